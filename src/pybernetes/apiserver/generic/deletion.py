"""What a deletion leaves on an object, and whether it may go (upstream: registry/rest/delete.go, generic/registry/store.go). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from pybernetes.api import errors, times

from ..resource import Object, Resource
from .options import DeleteOptions

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"


def check(resource: Resource, old: Object, options: DeleteOptions) -> None:
    """StatusError 409 where the object is not the one that was meant."""
    metadata = old["metadata"]
    for precondition, name, title, then in (
        (options.uid, "uid", "UID", "deleted and then recreated"),
        (options.resource_version, "resourceVersion", "ResourceVersion", "modified"),
    ):
        if precondition is None or precondition == metadata[name]:
            continue
        if resource.own_deletion:
            why = f"precondition failed: {title} in precondition: {precondition}, {title} in object meta: {metadata[name]}"
            raise errors.conflict(resource.group, resource.name, metadata["name"], why)
        text = (
            f"the {title} in the precondition ({precondition}) does not match the {title} in record ({metadata[name]})"
        )
        why = f"{text}. The object might have been {then}"
        raise errors.conflict(resource.invalid_group, resource.kind, metadata["name"], why)


def deletable(resource: Resource, obj: Object) -> bool:
    """Whether nothing holds an object that is marked."""
    metadata = obj["metadata"]
    return not (metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds") or resource.held(obj))


@dataclass(frozen=True, slots=True)
class Marked:
    """What a deletion does: the object to be written first (None: nothing is), and whether it is removed then."""

    written: Object | None
    removed: bool


PENDING = Marked(None, False)  # it was asked for already, and for an earlier time


def marked(resource: Resource, old: Object, options: DeleteOptions, now: datetime) -> Marked:
    """Which of the two steps of a deletion are to be done.

    An object that is deleted gracefully is marked before it is removed, at a grace period of 0 too: who watches it learns
    so that nobody is to finish it any more. Others are marked only where finalizers hold them (upstream: BeforeDelete,
    updateForGracefulDeletionAndFinalizers; the storages of namespaces and definitions for kinds with `deleting`).
    """
    new: Object = msgspec.json.decode(msgspec.json.encode(old))
    metadata = new["metadata"]
    if resource.deleting is not None and not metadata.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = times.format_time(now)
        resource.deleting(new, times.format_time(now))
        _set_finalizers(resource, metadata, options.propagation)
        return Marked(new, False)
    seconds = options.grace_period_seconds
    seconds = 1 if seconds is not None and seconds < 0 else seconds
    period = _period(resource, old, seconds)
    if period == LATER:
        return PENDING
    _set_finalizers(resource, metadata, options.propagation)
    held = bool(metadata.get("finalizers")) or resource.held(new)
    if period is not None:
        _set_period(resource, metadata, period, now)
        return Marked(new, not held and not metadata["deletionGracePeriodSeconds"])
    if not held:
        return Marked(None, True)
    _mark_at_once(resource, metadata, now)
    return Marked(None if new == old else new, False)


LATER = -1


def _period(resource: Resource, old: Object, seconds: int | None) -> int | None:
    """The grace period that the object gets; None: it is not deleted gracefully; LATER: it has one that is no longer."""
    if resource.graceful is None:
        return None
    metadata = old["metadata"]
    if not metadata.get("deletionTimestamp"):
        return resource.graceful(old, seconds)
    present = metadata.get("deletionGracePeriodSeconds")
    if not present:
        return None
    return LATER if seconds is None or seconds >= present else seconds


def _set_period(resource: Resource, metadata: Object, period: int, now: datetime) -> None:
    """The time at which the period is over, counted from when the deletion was first asked for."""
    if not metadata.get("deletionTimestamp"):
        _bump_generation(resource, metadata)
        end = _after(now, period)
    else:
        begun = _after(times.parse_time(metadata["deletionTimestamp"]), -metadata["deletionGracePeriodSeconds"])
        end = _after(begun, period)
        if end < now:  # no deletion is dated back; who finishes the object still has a moment, if any was given
            end, period = now, min(period, 1)
    metadata["deletionTimestamp"], metadata["deletionGracePeriodSeconds"] = times.format_time(end), period


def _after(moment: datetime, seconds: int) -> datetime:
    """As Go adds time.Duration(seconds) * time.Second: int64 nanoseconds that run over, so at most 292 years either way."""
    nanoseconds = (seconds * 10**9 + 2**63) % 2**64 - 2**63
    return times.shifted(moment, nanoseconds / 1e9)


def _mark_at_once(resource: Resource, metadata: Object, now: datetime) -> None:
    """Upstream: markAsDeleting."""
    present = metadata.get("deletionTimestamp")
    if not present:
        _bump_generation(resource, metadata)
    if not present or times.parse_time(present) > now:
        metadata["deletionTimestamp"] = times.format_time(now)
    metadata["deletionGracePeriodSeconds"] = 0


def _bump_generation(resource: Resource, metadata: Object) -> None:
    if resource.generation and "generation" in metadata:
        metadata["generation"] += 1


def _set_finalizers(resource: Resource, metadata: Object, propagation: str) -> None:
    finalizers = _finalizers(resource, metadata.get("finalizers") or [], propagation)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)


def _finalizers(resource: Resource, present: list[str], propagation: str) -> list[str]:
    """With the garbage collector's own as the propagation asks for."""
    others = [name for name in present if name not in (ORPHAN, FOREGROUND)]
    if resource.default_propagation == "unsupported":
        return others
    own = [name for name in present if name in (ORPHAN, FOREGROUND)]
    if propagation:
        own = {"Orphan": [ORPHAN], "Foreground": [FOREGROUND]}.get(propagation, [])
    elif not own and resource.default_propagation == "orphan":
        own = [ORPHAN]
    return others + own
