"""Command-line flags as upstream's parts take them (spf13/pflag): `--name=value`, `--name value`, bare booleans, repeated lists.

A part declares a tuple of `Flag`s; `parse` gives `Values` by flag name with every default filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pybernetes.api.durations import format_duration, parse_duration
from pybernetes.api.strconv import NumberError

_BOOLS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


class FlagError(ValueError):
    """A command line that cannot be used; one line for the user."""


class Values(dict[str, Any]):
    """By flag name; `given` are the names that were on the command line, also where they say what the default is.

    `arguments` are the words beside the flags, where a command takes such.
    """

    def __init__(self, values: Mapping[str, Any], given: Collection[str] = (), arguments: Sequence[str] = ()) -> None:
        super().__init__(values)
        self.given = frozenset(given)
        self.arguments = tuple(arguments)


class HelpAsked(Exception):
    """--help or -h was given; the text is the usage."""


@dataclass(frozen=True, slots=True)
class Flag:
    """`type` is one of the parsers below; `default` is the parsed value; `group` is the heading in --help.

    One without effect is there so that upstream's command lines start; `command.main` warns where it is given. `short` is its letter
    after one dash.
    """

    name: str
    type: Callable[[str], Any]
    default: Any
    help: str
    group: str = ""
    effect: bool = True
    short: str = ""
    why: str = ""  # it has none
    remedy: str = ""  # of one that is upstream's and not done here: what to do instead


def ignored(name: str, type: Callable[[str], Any], why: str = "", default: Any = None) -> Flag:
    """A flag of upstream's that is taken and does nothing here; `why` says what makes it needless, if anything does."""
    text = f"Accepted, and without effect here{f': {why}' if why else ''}."
    return Flag(name, type, default, text, "Ignored", effect=False, why=why)


def refused(name: str, type: Callable[[str], Any], remedy: str) -> Flag:
    """A flag of upstream's that people type, and that is not done here: `parse` says so, and what to do instead."""
    return Flag(name, type, None, f"Not done here: {remedy}.", "Refused", remedy=remedy)


def warnings(flags: Sequence[Flag], values: Values) -> list[str]:
    """A line for each flag that was given and does nothing, and why."""
    return [
        f"--{flag.name} has no effect here{f': {flag.why}' if flag.why else ''}"
        for flag in flags
        if not flag.effect and flag.name in values.given
    ]


def string(text: str) -> str:
    """Any text."""
    return text


def integer(text: str) -> int:
    """Decimal, 0x.., 0o.. as Go's strconv.ParseInt(s, 0, 64). NumberError."""
    try:
        value = int(_plain(text), 0)
    except ValueError:
        raise NumberError("ParseInt", text, "invalid syntax") from None
    if not -(1 << 63) <= value < 1 << 63:
        raise NumberError("ParseInt", text, "value out of range")
    return value


def number(text: str) -> float:
    """A float. NumberError."""
    try:
        return float(_plain(text))
    except ValueError:
        raise NumberError("ParseFloat", text, "invalid syntax") from None


def _plain(text: str) -> str:
    """Python reads blanks and other scripts' digits, too. ValueError."""
    if not text.isascii() or text != text.strip():
        raise ValueError(text)
    return text


def boolean(text: str) -> bool:
    """true, false, t, f, 1, 0 in any usual case."""
    try:
        return _BOOLS[text if text.isdigit() else text.lower()]
    except KeyError:
        raise ValueError("invalid syntax") from None


def duration(text: str) -> float:
    """Seconds of a Go duration: 300ms, 1m30s, 2h."""
    return parse_duration(text)


def strings(text: str) -> list[str]:
    """A comma-separated list; repeated flags add up (StringSlice)."""
    return [item for item in text.split(",") if item]


def mapping(text: str) -> dict[str, str]:
    """a=b,c=d; repeated flags add up (MapStringString)."""
    pairs = [item.partition("=") for item in text.split(",") if item]
    for key, equals, _ in pairs:
        if not equals:
            raise ValueError(f"malformed pair, expect string=string: {key}")
    return {key.strip(): value.strip() for key, _, value in pairs}


def configuration(text: str) -> dict[str, str]:
    """a=b,c (ConfigurationMap): what has no value has an empty one."""
    pairs = [item.partition("=") for item in text.split(",") if item.strip()]
    return {key.strip(): value.strip() for key, _, value in pairs}


def switches(text: str) -> dict[str, bool]:
    """Foo=true,Bar=false (--feature-gates)."""
    return {key: boolean(value) for key, value in mapping(text).items()}


def parse(program: str, flags: Sequence[Flag], arguments: Sequence[str], words: bool = False) -> Values:
    """Values by flag name. FlagError for unknown flags and bad values, HelpAsked for --help.

    `words`: whether others may stand beside the flags; what follows `--` is a word in any case.
    """
    by_name = {flag.name: flag for flag in flags}
    values: dict[str, Any] = {flag.name: flag.default for flag in flags}
    given: set[str] = set()
    beside: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument in ("--help", "-h"):
            raise HelpAsked(usage(program, flags))
        if words and argument == "--":
            beside += rest
            break
        named = _named(argument, flags)
        if named is None:
            if not words or (argument.startswith("-") and argument != "-"):
                raise FlagError(
                    f"unknown command {argument!r} for {program!r}: it takes flags only (see {program} --help)"
                )
            beside.append(argument)
            continue
        name, equals, text = named
        flag = by_name.get(name.replace("_", "-"))
        if flag is None:
            raise FlagError(f"unknown flag: --{name} (see {program} --help)")
        if not equals and flag.type is boolean:
            text = "true"
        elif not equals:
            if not rest:
                raise FlagError(f"flag needs an argument: --{name}")
            text = rest.pop(0)
        _store(flag, text, values, given)
        if flag.remedy and values[flag.name] not in (False, "", []):
            raise FlagError(f"--{flag.name} is not done here: {flag.remedy}")
    return Values(values, given, beside)


def _named(argument: str, flags: Sequence[Flag]) -> tuple[str, str, str] | None:
    """(name, "=" or "", text) of --name=text, -ntext, -n=text; None for what names no flag."""
    if argument.startswith("--") and argument != "--":
        return argument[2:].partition("=")
    flag = next((flag for flag in flags if flag.short and argument.startswith(f"-{flag.short}")), None)
    if flag is None:
        return None
    text = argument[2:]
    return flag.name, "=" if text else "", text.removeprefix("=")


def _store(flag: Flag, text: str, values: dict[str, Any], given: set[str]) -> None:
    try:
        value = flag.type(text)
    except ValueError as error:
        raise FlagError(f'invalid argument "{text}" for "--{flag.name}" flag: {error}') from None
    if flag.name in given and isinstance(value, list):
        value = values[flag.name] + value
    elif flag.name in given and isinstance(value, dict):
        value = {**values[flag.name], **value}
    given.add(flag.name)
    values[flag.name] = value


def usage(program: str, flags: Sequence[Flag]) -> str:
    """The text of --help."""
    lines = [f"Usage:\n  {program} [flags]"]
    for group in dict.fromkeys(flag.group for flag in flags):
        lines.append(f"\n{group or 'Generic'} flags:")
        for flag in flags:
            if flag.group != group:
                continue
            kind = "" if flag.type is boolean else f" {flag.type.__name__}"
            default = "" if flag.default in ("", None, [], {}, False) else f" (default {_shown(flag)})"
            short = f"-{flag.short}, " if flag.short else ""
            lines.append(f"  {short}--{flag.name}{kind}\n        {flag.help}{default}")
    return "\n".join(lines)


def _shown(flag: Flag) -> str:
    value = flag.default
    if isinstance(value, list):
        return "[" + ",".join(value) + "]"
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    if flag.type is duration:
        return format_duration(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
