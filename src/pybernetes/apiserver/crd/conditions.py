"""Conditions of a CustomResourceDefinition (upstream: pkg/apihelpers)."""

from __future__ import annotations

from typing import Any

from ..resource import Object

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


def find(crd: Object, kind: str) -> dict[str, Any] | None:
    """The condition, None where it is not there."""
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c.get("type") == kind), None)


def is_true(crd: Object, kind: str) -> bool:
    """The condition is there, and True."""
    condition = find(crd, kind)
    return condition is not None and condition.get("status") == "True"


def put(crd: Object, kind: str, status: str, reason: str, message: str, now: str) -> None:
    """Sets a condition, in place; its time is that of the last change of its status."""
    holder = crd.setdefault("status", {})
    conditions = holder["conditions"] = list(holder.get("conditions") or ())
    condition = {"type": kind, "status": status, "lastTransitionTime": now, "reason": reason, "message": message}
    for index, old in enumerate(conditions):
        if old.get("type") == kind:
            if old.get("status") == status:
                condition["lastTransitionTime"] = old.get("lastTransitionTime") or now
            conditions[index] = condition
            return
    conditions.append(condition)
