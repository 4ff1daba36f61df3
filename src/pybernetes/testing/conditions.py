"""What a test waits for in an object. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Object = dict[str, Any]
Predicate = Callable[[Object], object]
CREATED, DELETED = "created", "deleted"
DEFAULT = "Ready or Available or Complete"
EXPLAINED = '"created", "deleted", a condition as "Ready" or "Ready=False", a field as ".status.phase=Running", or a function of the object'


class Condition:
    """One that an object fulfils or not; `text` is how a test has called it."""

    def __init__(self, given: str | Predicate) -> None:
        """ValueError where it is none of EXPLAINED."""
        self._test: Predicate
        if callable(given):
            self.text, self._test = getattr(given, "__name__", repr(given)), given
            return
        if not isinstance(given, str) or not given:
            raise ValueError(f"condition={given!r}: want {EXPLAINED}")
        self.text = given
        name, mark, value = given.partition("=")
        if given in (CREATED, DELETED):
            self._test = lambda obj: given == CREATED
        elif name.startswith("."):
            self._test = lambda obj: _field(obj, name) == value if mark else _field(obj, name) not in ("", None)
        else:
            expected = value if mark else "True"
            self._test = lambda obj: condition(obj, name) == expected

    def holds(self, obj: Object | None) -> bool:
        """`obj` None: there is none."""
        if obj is None:
            return self.text == DELETED
        return bool(self._test(obj))


def condition(obj: Mapping[str, Any], kind: str) -> str:
    """The status of a condition, "" where the object has none, or its controller has not seen the newest spec yet."""
    status = obj.get("status") or {}
    if (status.get("observedGeneration") or 0) < (
        obj["metadata"].get("generation") or 0
    ) and "observedGeneration" in status:
        return ""
    for one in status.get("conditions") or ():
        if str(one.get("type", "")).lower() == kind.lower():
            return str(one.get("status", ""))
    return ""


def _field(obj: Any, path: str) -> str | None:
    """As text; None where it is not there."""
    for name in path.strip(".").split("."):
        if isinstance(obj, list) and name.isdigit() and int(name) < len(obj):
            obj = obj[int(name)]
        elif isinstance(obj, dict) and name in obj:
            obj = obj[name]
        else:
            return None
    return obj if isinstance(obj, str) else json.dumps(obj)


def summary(obj: Mapping[str, Any]) -> str:
    """A line on how an object does."""
    status = obj.get("status") or {}
    words = [str(status["phase"])] if "phase" in status else []
    for one in status.get("conditions") or ():
        reason = f" ({one['reason']})" if one.get("reason") and one.get("status") != "True" else ""
        words.append(f"{one.get('type')}={one.get('status')}{reason}")
    for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        for state, told in (one.get("state") or {}).items():
            reason = told.get("reason") or ("" if state == "running" else state)
            if reason:
                words.append(f"{one['name']}: {reason}")
    if obj["metadata"].get("deletionTimestamp"):
        words.append("being deleted")
    return ", ".join(words)
