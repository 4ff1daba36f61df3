"""What a cluster's events tell of why it does not come up. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from pybernetes.api.times import parse_time
from pybernetes.api.types import core_v1 as core

SECONDS = 5.0  # for the API server's answer: it may be what does not work
TOLD = 5  # warnings: the newest are about what is waited for, and a few show whether there is one reason or many
BEGINNING = datetime.min.replace(tzinfo=UTC)


def newest_warnings(events: Iterable[core.Event]) -> list[str]:
    """A line for each of the newest warnings that differ in more than whom they are about."""
    warnings = sorted((event for event in events if event.type == "Warning"), key=_when, reverse=True)
    lines: dict[tuple[str, str], str] = {}
    for event in warnings:
        about = event.involved_object
        where = f"{about.namespace}/{about.name}" if about.namespace else about.name
        message = event.message.replace(about.name, "").replace(about.uid or "\0", "")
        line = f"{about.kind.lower()} {where}: {event.reason}: {event.message}"
        lines.setdefault((event.reason, message), line)
        if len(lines) == TOLD:
            break
    return list(lines.values())


def _when(event: core.Event) -> datetime:
    moment = event.last_timestamp or event.first_timestamp
    if moment is None and event.event_time:
        moment = parse_time(event.event_time)
    return moment or BEGINNING
