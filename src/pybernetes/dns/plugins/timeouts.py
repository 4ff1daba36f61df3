"""timeouts { read|write|idle DURATION; maxtcpqueries N }: of connections over TCP (upstream: plugin/timeouts)."""

from __future__ import annotations

from pybernetes.api.durations import format_duration, parse_duration

from ..corefile import Directive
from ..plugin import BlockContext, Plugin

NAME = "timeouts"
SHORTEST, LONGEST = 1.0, 86400.0


def setup(directive: Directive, block: BlockContext) -> Plugin | None:
    """Has done its work when the file is read. CorefileError."""
    if directive.arguments:
        raise directive.wrong_arguments()
    if not directive.properties:
        raise directive.error("plugin/timeouts: timeouts block with no timeouts specified")
    for prop in directive.properties:
        text = prop.one()
        if prop.name == "maxtcpqueries":
            block.limits.queries = _queries(prop, text)
            continue
        seconds = _seconds(prop, text)
        if prop.name == "read":
            block.limits.read = seconds
        elif prop.name == "write":
            block.limits.write = seconds
        elif prop.name == "idle":
            block.limits.idle = seconds
        else:
            raise prop.error(f"unknown option: '{prop.name}'")
    return None


def _queries(prop: Directive, text: str) -> int:
    if not text.removeprefix("-").isdecimal() or len(text) > 9:
        raise prop.error(f"invalid value for maxtcpqueries '{text}': strconv.Atoi: parsing \"{text}\": invalid syntax")
    number = int(text)
    if number == 0 or number < -1:
        raise prop.error(f"maxtcpqueries provided '{number}' needs to be -1 (unlimited) or a positive integer")
    return number


def _seconds(prop: Directive, text: str) -> float:
    """A number alone is of seconds."""
    try:
        seconds = parse_duration(f"{text}s" if text.isdecimal() else text)
    except ValueError:
        raise prop.error(f"failed to parse duration '{text}'") from None
    if not SHORTEST <= seconds <= LONGEST:
        raise prop.error(f"timeout provided '{format_duration(seconds)}' needs to be between 1 second and 24 hours")
    return seconds
