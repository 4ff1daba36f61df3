"""What a pod's status says of its scheduling (upstream: pkg/api/v1/pod UpdatePodCondition, scheduler/util PatchPodStatus). Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api.conditions import condition
from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1 as core

UNSCHEDULABLE, ERROR = "Unschedulable", "SchedulerError"
DISRUPTION = "DisruptionTarget"
PREEMPTED = "PreemptionByScheduler"


def condition_patch(
    pod: core.Pod, kind: str, status: str, reason: str, message: str, now: datetime
) -> dict[str, Any] | None:
    """A strategic merge patch that sets a condition; None where it is so already."""
    old = condition(pod.status.conditions, kind)
    if old is not None and (old.status, old.reason, old.message) == (status, reason, message):
        return None
    same = old is not None and old.status == status and old.last_transition_time is not None
    since = old.last_transition_time if same and old is not None and old.last_transition_time is not None else now
    new: dict[str, Any] = {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": format_time(since),
    }
    if pod.metadata.generation:
        new["observedGeneration"] = pod.metadata.generation
    return {"status": {"conditions": [new]}}


def with_nomination(patch: dict[str, Any] | None, pod: core.Pod, node: str | None) -> dict[str, Any] | None:
    """The patch with the nominated node: "" clears it, None leaves it."""
    if node is None or node == pod.status.nominated_node_name:
        return patch
    nominated = {"status": dict(patch["status"])} if patch is not None else {"status": {}}
    nominated["status"]["nominatedNodeName"] = node or None
    return nominated
