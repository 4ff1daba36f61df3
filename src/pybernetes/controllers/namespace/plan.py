"""What the conditions of a leaving namespace say, and when it is looked at again; pure (upstream: pkg/controller/namespace/deletion)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pybernetes.api.pods import is_finished
from pybernetes.api.types import core_v1 as core

from ..common import aggregate

MOST_DOUBLINGS = 30  # 34 years; a float ends at 1023
FIRST_LOOK = 1.0  # seconds until what remains is looked at again, doubled up to half of what upstream estimates


# type -> (reason, message) while all is well, in upstream's order
CONDITIONS = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


@dataclass(slots=True)
class Emptied:
    """What one go at a namespace came to; `remaining` by group and resource, `estimate` in seconds."""

    undiscovered: Mapping[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    remaining: dict[str, int] = field(default_factory=dict)
    finalizers: Counter[str] = field(default_factory=Counter)
    estimate: int = 0

    @property
    def failed(self) -> bool:
        return bool(self.errors or self.undiscovered)


def failures(emptied: Emptied) -> dict[str, tuple[str, str]]:
    """type -> (reason, message) of the conditions that are True."""
    failing: dict[str, tuple[str, str]] = {}
    if emptied.undiscovered:
        groups = ", ".join(f"{name}: {why}" for name, why in sorted(emptied.undiscovered.items()))
        why = f"unable to retrieve the complete list of server APIs: {groups}"
        message = f"Discovery failed for some groups, {len(emptied.undiscovered)} failing: {why}"
        failing["NamespaceDeletionDiscoveryFailure"] = ("DiscoveryFailed", message)
    if emptied.errors:
        message = f"Failed to delete all resource types, {len(emptied.errors)} remaining: {aggregate(emptied.errors)}"
        failing["NamespaceDeletionContentFailure"] = ("ContentDeletionFailed", message)
    if emptied.remaining:
        texts = sorted(f"{name} has {count} resource instances" for name, count in emptied.remaining.items())
        message = f"Some resources are remaining: {', '.join(texts)}"
        failing["NamespaceContentRemaining"] = ("SomeResourcesRemain", message)
    if emptied.finalizers:
        texts = sorted(f"{name} in {count} resource instances" for name, count in emptied.finalizers.items())
        message = f"Some content in the namespace has finalizers remaining: {', '.join(texts)}"
        failing["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", message)
    return failing


def conditions_of(
    current: Sequence[core.NamespaceCondition], failing: Mapping[str, tuple[str, str]], now: datetime
) -> list[core.NamespaceCondition]:
    """All of upstream's conditions; a time changes only with the status."""
    result = [c for c in current if c.type not in CONDITIONS]
    before = {c.type: c for c in current}
    conditions: list[core.NamespaceCondition] = []
    for type_, well in CONDITIONS.items():
        status = "True" if type_ in failing else "False"
        reason, message = failing.get(type_, well)
        old = before.get(type_)
        since = old.last_transition_time if old is not None and old.status == status else now.replace(microsecond=0)
        conditions.append(
            core.NamespaceCondition(
                type=type_, status=status, reason=reason, message=message, last_transition_time=since
            )
        )
    return [*result, *conditions]


def graceful_estimate(pods: Sequence[core.Pod], deleted_at: datetime, now: datetime) -> int:
    """Seconds that the pods may still take by their grace periods; 0 once these have passed."""
    running = [pod for pod in pods if not is_finished(pod)]
    estimate = max((pod.spec.termination_grace_period_seconds or 0 for pod in running), default=0)
    return 0 if (now - deleted_at).total_seconds() >= estimate else estimate


def next_look(estimate: int, looks: int) -> float:
    """Seconds until the next go after so many."""
    return min(FIRST_LOOK * 2.0 ** min(looks, MOST_DOUBLINGS), estimate // 2 + 1)
