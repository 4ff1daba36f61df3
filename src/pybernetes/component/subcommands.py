"""Commands below a command, as upstream's tools have them (spf13/cobra): `token create [token] --ttl 1h`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from . import command
from .flags import Flag, FlagError, HelpAsked, Values


@dataclass(frozen=True, slots=True)
class Subcommand:
    """`words` are those that may stand beside the flags, as the usage shows them: "" none, "[token]" one, "TOKEN..." any number."""

    summary: str
    flags: Sequence[Flag]
    run: Callable[[Values], int | None]
    words: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Commands by name."""

    summary: str
    commands: Mapping[str, Group | Subcommand]


def main(program: str, group: Group, arguments: Sequence[str]) -> int:
    """Runs the one that is named; the exit code, 2 for a command line that cannot be understood."""
    name, *rest = arguments or [""]
    if name in ("--help", "-h", "help"):
        return command.show(HelpAsked(usage(program, group)))
    chosen = group.commands.get(name)
    if isinstance(chosen, Group):
        return main(f"{program} {name}", chosen, rest)
    if chosen is not None:
        return command.once(
            f"{program} {name}", chosen.flags, _limited(program, name, chosen), rest, bool(chosen.words)
        )
    if not arguments:
        print(usage(program, group), file=sys.stderr)
        return 2
    flag = name.startswith("--")
    problem = (
        f"unknown flag: {name.partition('=')[0]} (see {program} --help)" if flag else f'invalid subcommand "{name}"'
    )
    print(f"{program}: {problem}" if flag else f"{program}: {problem}; see {program} --help", file=sys.stderr)
    return 2


def _limited(program: str, name: str, chosen: Subcommand) -> Callable[[Values], int | None]:
    def run(values: Values) -> int | None:
        if len(values.arguments) > 1 and not chosen.words.endswith("..."):
            raise FlagError(f"accepts at most 1 arg(s), received {len(values.arguments)} (see {program} {name} --help)")
        return chosen.run(values)

    return run


def usage(program: str, group: Group) -> str:
    """The text of --help."""
    width = max(map(len, group.commands))
    lines = [f"  {name:<{width}}  {chosen.summary}" for name, chosen in group.commands.items()]
    head = [f"Usage:\n  {program} COMMAND [flags]", "", group.summary, ""]
    return "\n".join([*head, *lines, "", f"{program} COMMAND --help shows a command's flags."])
