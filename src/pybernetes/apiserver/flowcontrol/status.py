"""The condition Dangling of FlowSchemas, and how often it is written (upstream: flowcontrol/apf_controller.go)."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from ..resource import Object

DANGLING = "Dangling"
PERIOD_SECONDS, MANY = 60.0, 5  # more updates of one schema than so many in a period: other servers see it otherwise


@dataclass(frozen=True, slots=True)
class Update:
    """The condition that a schema should have."""

    name: str
    condition: Object


def plan(schemas: Iterable[Object], levels: Container[str], now: str) -> list[Update]:
    """Of the schemas whose condition is another one; `levels` are the names of those that there are, `now` is a time of the API."""
    updates = []
    for schema in schemas:
        level = ((schema.get("spec") or {}).get("priorityLevelConfiguration") or {}).get("name") or ""
        condition = _condition(level, level in levels)
        conditions = (schema.get("status") or {}).get("conditions") or ()
        present: Object = next((one for one in conditions if one.get("type") == DANGLING), {})
        if any(present.get(key) != value for key, value in condition.items()):
            updates.append(Update(schema["metadata"]["name"], {**condition, "lastTransitionTime": now}))
    return updates


def _condition(level: str, there: bool) -> Object:
    text = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    if there:
        return {"type": DANGLING, "status": "False", "reason": "Found", "message": f"{text} and it exists"}
    why = f"{text} but there is no such object"
    return {"type": DANGLING, "status": "True", "reason": "NotFound", "message": why}


@dataclass(slots=True)
class Pace:
    """Servers that do not agree (one is behind) would write in turns for ever: who writes much waits."""

    _updates: dict[str, list[float]] = field(default_factory=dict)  # when each schema was written lately

    def may(self, name: str, now: float) -> bool:
        """Whether the schema is written now; it counts as written then."""
        recent = [one for one in self._updates.get(name, ()) if now - one <= PERIOD_SECONDS]
        allowed = len(recent) <= MANY
        if allowed:
            recent.append(now)
        self._updates[name] = recent
        return allowed

    def keep(self, names: Container[str]) -> None:
        """Forgets the schemas that there are no more."""
        for name in [name for name in self._updates if name not in names]:
            del self._updates[name]
