"""The events of a namespace, for tests that look for one. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from .conditions import Object

MESSAGE = "message"
# What is asked for, and where an event has it.
FIELDS = {
    "type": ("type",),
    "reason": ("reason",),
    "kind": ("involvedObject", "kind"),
    "name": ("involvedObject", "name"),
    MESSAGE: ("message",),
}


class Events(list[Object]):
    """Oldest first."""

    def where(self, **attributes: str) -> Events:
        """Those with these: `where(reason="Created", kind="Pod", name="web")`, `type`; of `message` a part is enough. TypeError."""
        for name in attributes:
            if name not in FIELDS:
                raise TypeError(f"where({name}=...): there is {', '.join(FIELDS)}")
        return Events(one for one in self if all(_has(one, name, value) for name, value in attributes.items()))


def by_time(events: Iterable[Object]) -> Events:
    """Oldest first."""
    return Events(sorted(events, key=_time))


def _time(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])


def _has(event: Object, name: str, value: str) -> bool:
    field: object = event
    for part in FIELDS[name]:
        field = field.get(part) if isinstance(field, dict) else None
    return value in str(field or "") if name == MESSAGE else field == value
