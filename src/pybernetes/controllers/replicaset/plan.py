"""How many pods a replica set lacks, which are too many, and its status; pure (upstream: pkg/controller/replicaset)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cmp_to_key

from pybernetes.api.conditions import condition, without_condition
from pybernetes.api.pods import is_active, is_available, is_ready
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core

from ..common import deletion_order

BURST_REPLICAS = 500  # one sync creates or deletes no more, so that a typo floods nothing


@dataclass(frozen=True)
class Create:
    """So many pods of the template."""

    count: int


@dataclass(frozen=True)
class Delete:
    """These pods, the least valuable first."""

    pods: Sequence[core.Pod]


def plan(
    rs: apps.ReplicaSet, pods: Sequence[core.Pod], related: Sequence[core.Pod], now: datetime
) -> Create | Delete | None:
    """What is missing or too much; `pods` are its active ones, `related` those of all replica sets of the same owner."""
    surplus = len(pods) - (rs.spec.replicas or 0)
    if surplus < 0:
        return Create(min(-surplus, BURST_REPLICAS))
    if surplus > 0:
        return Delete(pods_to_delete(pods, related, min(surplus, BURST_REPLICAS), now))
    return None


def pods_to_delete(pods: Sequence[core.Pod], related: Sequence[core.Pod], count: int, now: datetime) -> list[core.Pod]:
    """The first `count` in upstream's order; nodes with many related pods give theirs first."""
    if count >= len(pods):
        return list(pods)
    on_node = Counter(pod.spec.node_name for pod in related if is_active(pod))

    def compare(a: core.Pod, b: core.Pod) -> int:
        return deletion_order(a, b, (on_node[a.spec.node_name], on_node[b.spec.node_name]), now)

    return sorted(pods, key=cmp_to_key(compare))[:count]


def status_of(
    rs: apps.ReplicaSet, pods: Sequence[core.Pod], terminating: int, failure: tuple[str, str] | None, now: datetime
) -> apps.ReplicaSetStatus:
    """The status that the pods amount to; `failure` is reason and message of what could not be done in this sync."""
    template = rs.spec.template.metadata.labels.items()
    conditions = list(rs.status.conditions)
    present = condition(conditions, "ReplicaFailure")
    if failure is not None and present is None:
        conditions.append(
            apps.ReplicaSetCondition(
                type="ReplicaFailure",
                status="True",
                reason=failure[0],
                message=failure[1],
                last_transition_time=now.replace(microsecond=0),
            )
        )
    elif failure is None and present is not None:
        conditions = without_condition(conditions, "ReplicaFailure")
    return apps.ReplicaSetStatus(
        replicas=len(pods),
        fully_labeled_replicas=sum(template <= pod.metadata.labels.items() for pod in pods),
        ready_replicas=sum(map(is_ready, pods)),
        available_replicas=sum(is_available(pod, rs.spec.min_ready_seconds, now) for pod in pods),
        terminating_replicas=terminating,
        observed_generation=rs.metadata.generation,
        conditions=conditions,
    )
