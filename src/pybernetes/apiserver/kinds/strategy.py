"""What the strategies of many kinds do alike (upstream: strategy.go of each kind)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Object = dict[str, Any]


def keep(new: Object, old: Object, *names: str) -> None:
    """The named fields are as they were; absent where they were absent."""
    for name in names:
        if name in old:
            new[name] = old[name]
        else:
            new.pop(name, None)


def keep_status(new: Object, old: Object) -> None:
    """An update of the object leaves its status alone."""
    keep(new, old, "status")


def keep_spec(new: Object, old: Object) -> None:
    """An update of the status leaves all but metadata alone."""
    keep(new, old, *{name for name in (*new, *old) if name not in ("apiVersion", "kind", "metadata", "status")})


def keep_spec_and_metadata(new: Object, old: Object) -> None:
    """An update of the status leaves everything else alone, but for who manages what."""
    managers = (new.get("metadata") or {}).get("managedFields")
    keep(new, old, *{name for name in (*new, *old) if name not in ("apiVersion", "kind", "status")})
    kept = {name: value for name, value in new["metadata"].items() if name != "managedFields"}
    new["metadata"] = kept if managers is None else {**kept, "managedFields": managers}


def keep_spec_and(*meta: str) -> Callable[[Object, Object], None]:
    """As keep_spec, and the named fields of metadata."""

    def prepare(new: Object, old: Object) -> None:
        keep_spec(new, old)
        keep(new.setdefault("metadata", {}), old.get("metadata") or {}, *meta)

    return prepare
