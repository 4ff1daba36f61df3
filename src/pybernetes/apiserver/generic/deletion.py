"""What a deletion leaves on an object, and whether it may go (upstream: registry/rest/delete.go, generic/registry/store.go). Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from pybernetes.api import errors, times

from ..resource import Object, Resource
from .options import DeleteOptions

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"


def check(resource: Resource, old: Object, options: DeleteOptions) -> None:
    """StatusError 409 where the object is not the one that was meant."""
    metadata = old["metadata"]
    for asked, name, title, then in (
        (options.uid, "uid", "UID", "deleted and then recreated"),
        (options.resource_version, "resourceVersion", "ResourceVersion", "modified"),
    ):
        if asked and asked != metadata[name]:
            text = f"the {title} in the precondition ({asked}) does not match the {title} in record ({metadata[name]})"
            why = f"{text}. The object might have been {then}"
            raise errors.conflict(resource.group, resource.kind, metadata["name"], why)


def deletable(resource: Resource, obj: Object) -> bool:
    """Whether nothing holds an object that is marked."""
    metadata = obj["metadata"]
    return not (metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds") or resource.held(obj))


def marked(resource: Resource, old: Object, options: DeleteOptions, now: datetime) -> tuple[Object, bool]:
    """A copy with what the deletion leaves on it, and whether nothing holds it any longer."""
    new: Object = msgspec.json.decode(msgspec.json.encode(old))
    metadata = new["metadata"]
    if resource.deleting is not None and not metadata.get("deletionTimestamp"):
        resource.deleting(new, times.format_time(now))
    finalizers = _finalizers(resource, metadata.get("finalizers") or [], options.propagation)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    grace = resource.graceful(old, options.grace_period_seconds) if resource.graceful else 0
    if not metadata.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = times.format_time(now + timedelta(seconds=grace))
        metadata["deletionGracePeriodSeconds"] = grace
        if resource.generation and "generation" in metadata:
            metadata["generation"] += 1
        return new, deletable(resource, new)
    known = metadata.get("deletionGracePeriodSeconds")
    if known is not None and grace < known:  # the period only ever gets shorter
        start = times.parse_time(metadata["deletionTimestamp"]) - timedelta(seconds=known)
        metadata["deletionTimestamp"] = times.format_time(start + timedelta(seconds=grace))
        metadata["deletionGracePeriodSeconds"] = grace
    return new, deletable(resource, new)


def _finalizers(resource: Resource, present: list[str], propagation: str) -> list[str]:
    """With the garbage collector's own as the propagation asks for."""
    others = [name for name in present if name not in (ORPHAN, FOREGROUND)]
    own = [name for name in present if name in (ORPHAN, FOREGROUND)]
    if propagation:
        own = {"Orphan": [ORPHAN], "Foreground": [FOREGROUND]}.get(propagation, [])
    elif not own and resource.default_propagation == "orphan":
        own = [ORPHAN]
    return others + own
