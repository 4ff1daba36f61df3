"""When a pod has to leave a tainted node; pure (upstream: pkg/controller/tainteviction)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pybernetes.api.nodes import tolerates
from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1 as core

from ..common import observed_generation


@dataclass(frozen=True, slots=True)
class Eviction:
    """A deletion that is to come, on the monotonic clock: tolerationSeconds pass, whatever happens to the wall clock."""

    decided: float
    at: float


def tolerated_for(taints: Sequence[core.Taint], tolerations: Sequence[core.Toleration]) -> float | None:
    """Seconds that all the taints are tolerated: 0 if one is not at all, None if all are for ever."""
    seconds: list[int] = []
    for taint in taints:
        used = next((t for t in tolerations if tolerates(t, taint)), None)
        if used is None:
            return 0
        if used.toleration_seconds is not None:
            seconds.append(max(used.toleration_seconds, 0))
    return min(seconds, default=None)


def plan(
    taints: Sequence[core.Taint], tolerations: Sequence[core.Toleration], scheduled: Eviction | None, now: float
) -> Eviction | None:
    """When the pod goes; None: it stays. What was decided before stands while it is tolerated for a time."""
    seconds = tolerated_for(taints, tolerations) if taints else None
    if seconds is None:
        return None
    if seconds == 0:
        return Eviction(now, now)
    return scheduled if scheduled is not None else Eviction(now, now + seconds)


def no_execute(node: core.Node | None) -> list[core.Taint]:
    """The taints that count here."""
    return [taint for taint in node.spec.taints if taint.effect == "NoExecute"] if node is not None else []


def disruption(pod: core.Pod, now: datetime) -> dict[str, Any]:
    """The status patch that tells why."""
    target = {
        "type": "DisruptionTarget",
        "status": "True",
        **observed_generation(pod),
        "reason": "DeletionByTaintManager",
        "message": "Taint manager: deleting due to NoExecute taint",
        "lastTransitionTime": format_time(now),
    }
    return {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [target]}}
