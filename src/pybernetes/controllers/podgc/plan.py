"""Which pods nobody else will delete; pure (upstream: pkg/controller/podgc)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pybernetes.api.conditions import condition
from pybernetes.api.pods import is_finished
from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import TAINT_NODE_OUT_OF_SERVICE

from ..common import creation_order, observed_generation

QUARANTINE_SECONDS = 40.0  # that a node must have been missing, since pods may be seen before their node
EVICTED = "Evicted"


@dataclass(frozen=True, slots=True)
class Deletion:
    """A pod to delete at once; one that has not finished is marked Failed first, with `message` as the reason why."""

    pod: core.Pod
    message: str = ""


def surplus(pods: Iterable[core.Pod], threshold: int) -> list[Deletion]:
    """The finished pods beyond the threshold: evicted ones first, then the oldest."""
    if threshold <= 0:
        return []
    finished = sorted(
        (pod for pod in pods if is_finished(pod) and pod.metadata.deletion_timestamp is None),
        key=lambda pod: (pod.status.reason != EVICTED, *creation_order(pod)),
    )
    return [Deletion(pod) for pod in finished[: max(len(finished) - threshold, 0)]]


def out_of_service(pods: Iterable[core.Pod], nodes: Mapping[str, core.Node]) -> list[Deletion]:
    """Terminating pods of nodes that are not ready and tainted as out of service."""
    deletions: list[Deletion] = []
    for pod in pods:
        if pod.metadata.deletion_timestamp is None:
            continue
        node = nodes.get(pod.spec.node_name)
        if node is None or not _out_of_service(node):
            continue
        deletions.append(Deletion(pod, "PodGC: node is out-of-service"))
    return deletions


def _out_of_service(node: core.Node) -> bool:
    ready = condition(node.status.conditions, "Ready")
    healthy = ready is not None and ready.status == "True"
    return not healthy and any(taint.key == TAINT_NODE_OUT_OF_SERVICE for taint in node.spec.taints)


def unscheduled(pods: Iterable[core.Pod]) -> list[Deletion]:
    """Terminating pods that never came to a node."""
    return [
        Deletion(pod, "PodGC: pod is unscheduled and terminating")
        for pod in pods
        if pod.metadata.deletion_timestamp is not None and not pod.spec.node_name
    ]


class Quarantine:
    """Names of nodes that pods have and that do not exist, until they have been missing for long."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def ripe(self, missing: Iterable[str], now: float) -> list[str]:
        """Those that have been missing for QUARANTINE_SECONDS; the others' time goes on."""
        names = set(missing)
        self._since = {name: since for name, since in self._since.items() if name in names}
        for name in names:
            self._since.setdefault(name, now)
        return sorted(name for name, since in self._since.items() if now - since >= QUARANTINE_SECONDS)


def failed_status(pod: core.Pod, message: str, now: datetime) -> dict[str, Any] | None:
    """The status patch that tells why a pod ended; None where it has finished."""
    if is_finished(pod):
        return None
    status: dict[str, Any] = {"phase": "Failed"}
    if message:
        target = {
            "type": "DisruptionTarget",
            "status": "True",
            **observed_generation(pod),
            "reason": "DeletionByPodGC",
            "message": message,
            "lastTransitionTime": format_time(now),
        }
        status["conditions"] = [target]
    return {"metadata": {"uid": pod.metadata.uid}, "status": status}
