"""How many pods of a budget are healthy, wanted and allowed to go; pure (upstream: pkg/controller/disruption)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from pybernetes.api.conditions import condition
from pybernetes.api.pods import is_finished, is_ready
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.types import policy_v1 as policy

from ..common import scaled

DELETION_TIMEOUT = timedelta(minutes=2)  # after an eviction a pod that is still there counts again
STALE_DISRUPTION = timedelta(minutes=2)  # after it a DisruptionTarget that came to nothing is taken back


class NoScale(Exception):
    """The number of pods that should be there cannot be known; the text is for event and condition."""


def needs_scale(pdb: policy.PodDisruptionBudget) -> bool:
    """Whether the controllers' sizes count, or just the pods."""
    return pdb.spec.max_unavailable is not None or isinstance(pdb.spec.min_available, str)


def expected_and_desired(pdb: policy.PodDisruptionBudget, pods: int, scale: int) -> tuple[int, int]:
    """How many pods should be there, and how many of them healthy; `scale` is the sum of the controllers' sizes."""
    if pdb.spec.max_unavailable is not None:
        return scale, max(0, scale - scaled(pdb.spec.max_unavailable, scale, True))
    if isinstance(pdb.spec.min_available, str):
        return scale, scaled(pdb.spec.min_available, scale, True)
    return pods, pdb.spec.min_available or 0


@dataclass
class Disrupted:
    """Evicted pods that are not seen leaving yet."""

    pods: dict[str, datetime | None] = field(default_factory=dict)
    overdue: list[core.Pod] = field(default_factory=list)
    recheck: datetime | None = None


def disrupted(pdb: policy.PodDisruptionBudget, pods: Sequence[core.Pod], now: datetime) -> Disrupted:
    """Those of the status that still count (buildDisruptedPodMap)."""
    result = Disrupted()
    recorded = pdb.status.disrupted_pods or {}
    for pod in pods:
        moment = recorded.get(pod.metadata.name)
        if moment is None or pod.metadata.deletion_timestamp is not None:
            continue
        end = moment + DELETION_TIMEOUT
        if end < now:
            result.overdue.append(pod)
            continue
        result.pods[pod.metadata.name] = moment
        result.recheck = end if result.recheck is None else min(result.recheck, end)
    return result


def count_healthy(pods: Sequence[core.Pod], evicted: Mapping[str, datetime | None]) -> int:
    """Ready ones that are not about to go."""
    return sum(
        is_ready(pod) and pod.metadata.deletion_timestamp is None and pod.metadata.name not in evicted for pod in pods
    )


def status_of(
    pdb: policy.PodDisruptionBudget,
    healthy: int,
    desired: int,
    expected: int,
    evicted: Mapping[str, datetime | None],
    now: datetime,
) -> policy.PodDisruptionBudgetStatus:
    """The status; a budget without pods allows nothing, so that the first pods are safe."""
    allowed = healthy - desired if expected > 0 and healthy > desired else 0
    reason = "SufficientPods" if allowed > 0 else "InsufficientPods"
    return policy.PodDisruptionBudgetStatus(
        current_healthy=healthy,
        desired_healthy=desired,
        expected_pods=expected,
        disruptions_allowed=allowed,
        disrupted_pods=dict(evicted) or None,
        observed_generation=pdb.metadata.generation,
        conditions=_conditions(pdb, allowed > 0, reason, "", now),
    )


def failed_status(pdb: policy.PodDisruptionBudget, message: str, now: datetime) -> policy.PodDisruptionBudgetStatus:
    """What cannot be calculated allows nothing (failSafe)."""
    return msgspec.structs.replace(
        pdb.status,
        disruptions_allowed=0,
        observed_generation=pdb.metadata.generation,
        conditions=_conditions(pdb, False, "SyncFailed", message, now),
    )


def _conditions(
    pdb: policy.PodDisruptionBudget, allowed: bool, reason: str, message: str, now: datetime
) -> list[meta.Condition]:
    current = condition(pdb.status.conditions, "DisruptionAllowed")
    desired = meta.Condition(
        type="DisruptionAllowed",
        status="True" if allowed else "False",
        reason=reason,
        message=message,
        observed_generation=pdb.metadata.generation,
        last_transition_time=now.replace(microsecond=0),
    )
    if current is None:
        return [*pdb.status.conditions, desired]
    if current.status == desired.status:
        desired.last_transition_time = current.last_transition_time
    return [desired if existing is current else existing for existing in pdb.status.conditions]


def stale_disruption(pod: core.Pod, now: datetime) -> float | None:
    """Seconds until the pod's DisruptionTarget is to be taken back; None if it has none, or is on its way out."""
    target = condition(pod.status.conditions, "DisruptionTarget")
    if target is None or target.status != "True" or pod.metadata.deletion_timestamp or is_finished(pod):
        return None
    since = target.last_transition_time or now
    return max(0.0, (since + STALE_DISRUPTION - now).total_seconds())
