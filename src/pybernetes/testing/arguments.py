"""What a test asks its cluster for: read, checked and completed before anything starts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from pybernetes.api.durations import parse_duration
from pybernetes.api.version import MINOR
from pybernetes.controllers import CONTROLLERS, selected

NODE_LIFECYCLE = "node-lifecycle-controller"
MAX_ADVANCE = 3650 * 24 * 3600.0  # seconds: as long as certificates.LIFETIME
MAX_HOLLOW_NODES = 5000  # upstream's limit of a cluster; each costs a few tasks and connections
ALL, NONE = "all", "none"


class WrongArgument(ValueError):
    """One argument and what it may be; one line."""


def controllers(chosen: object) -> tuple[str, ...]:
    """The names as kube-controller-manager's --controllers has them: `*` for all, which may be asked for as "all" or True, too.

    A text is a list with commas. Nothing, "none" and False are no controllers. WrongArgument, which lists the names.
    """
    if chosen is None or isinstance(chosen, bool):
        return ("*",) if chosen else ()
    if isinstance(chosen, str):
        chosen = [name.strip() for name in chosen.split(",") if name.strip()]
    given: list[object] = list(chosen) if isinstance(chosen, Iterable) else [chosen]
    texts = [name for name in given if isinstance(name, str)]
    if len(texts) < len(given):
        raise WrongArgument(f"controllers={chosen!r}: want {ALL!r}, or a list of names: {_names()}")
    names = ["*" if name == ALL else name for name in texts if name != NONE]
    if len(names) < len(given) and names:
        raise WrongArgument(f"controllers={chosen!r}: {NONE!r} stands alone")
    try:
        selected(names)
    except ValueError as error:
        raise WrongArgument(f"controllers={chosen!r}: {error}; want {ALL!r}, or some of: {_names()}") from error
    return tuple(names)


def hollow_nodes(count: object) -> int:
    """WrongArgument."""
    return number_of_nodes("hollow_nodes", count)


def number_of_nodes(name: str, count: object) -> int:
    """WrongArgument."""
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_HOLLOW_NODES:
        raise WrongArgument(f"{name}={count!r}: want a number from 0 to {MAX_HOLLOW_NODES}")
    return count


def scheduler(asked: object) -> bool:
    """WrongArgument."""
    if not isinstance(asked, bool):
        raise WrongArgument(f"scheduler={asked!r}: want True or False")
    return asked


def seconds(name: str, given: object) -> float:
    """WrongArgument."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < float("inf"):
        raise WrongArgument(f"{name}={given!r}: want a number of seconds above 0")
    return float(given)


def duration(name: str, given: object) -> float:
    """Seconds of a number, a timedelta or a text as "90s", "1h30m". WrongArgument."""
    try:
        number = given.total_seconds() if isinstance(given, timedelta) else given
        length = parse_duration(number) if isinstance(number, str) else float(number)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        length = -1.0
    if isinstance(given, bool) or not 0 <= length < float("inf"):
        raise WrongArgument(f'{name}={given!r}: want seconds, a timedelta, or a text as "500ms", "90s", "1h30m"')
    return length


def advance(given: object) -> float:
    """Seconds that may pass at once. WrongArgument."""
    length = duration("advance", given)
    if length > MAX_ADVANCE:
        raise WrongArgument(f"advance={given!r}: want ten years at most, for so long the cluster's certificates hold")
    return length


def port(number: object) -> int:
    """WrongArgument."""
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 65535:
        raise WrongArgument(f"port={number!r}: want a number from 0 to 65535; 0 is for any that is free")
    return number


def name(what: str, given: object) -> str:
    """Of an object. WrongArgument: with an empty one a path would be that of all of them."""
    if not isinstance(given, str) or not given:
        raise WrongArgument(f"{what}={given!r}: want a name")
    return given


def selector(given: object) -> str:
    """Of labels: a text as kubectl takes it, or a mapping of labels and values. WrongArgument."""
    if isinstance(given, Mapping):
        return ",".join(f"{key}={value}" for key, value in given.items())
    if not isinstance(given, str):
        raise WrongArgument(f'selector={given!r}: want a text, as "app=web,tier!=db", or a mapping of labels')
    return given


def version(asked: object) -> None:
    """Of Kubernetes: "" or None for any, else the one that there is, with or without its patch. WrongArgument."""
    words = str(asked or "").removeprefix("v")
    if words not in ("", MINOR) and not words.startswith(f"{MINOR}."):
        raise WrongArgument(f"version={asked!r}: there is {MINOR} alone; envtest, kind and kwok have others")


def with_lifecycle(names: Sequence[str], nodes: int, scheduling: bool) -> tuple[str, ...]:
    """New nodes have a taint that this controller alone takes away: without it a scheduler would place nothing.

    Whoever writes `-node-lifecycle-controller` wants just that.
    """
    if not nodes or not scheduling or f"-{NODE_LIFECYCLE}" in names:
        return tuple(names)
    if any(entry.name == NODE_LIFECYCLE for entry in selected(names)):
        return tuple(names)
    return (*names, NODE_LIFECYCLE)


def _names() -> str:
    return ", ".join(entry.name for entry in CONTROLLERS)
