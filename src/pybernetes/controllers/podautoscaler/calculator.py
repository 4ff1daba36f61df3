"""How many replicas a metric asks for; pure (upstream: pkg/controller/podautoscaler/replica_calculator.go). Values are milli-units."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pybernetes.api.conditions import condition
from pybernetes.api.pods import is_ready
from pybernetes.api.types import core_v1 as core

NO_PODS = "no pods returned by selector while calculating replica count"
NO_METRICS = "did not receive metrics for any ready pods"


class Unknown(Exception):
    """The number cannot be known; the text is for event and condition."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A pod's metric: its value, when it was taken, over how long."""

    value: int
    at: datetime | None = None
    window: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class HPAControllerConfiguration:
    """Upstream's flags --horizontal-pod-autoscaler-*; tolerances for growing and shrinking."""

    cpu_initialization: timedelta = timedelta(minutes=5)
    initial_readiness: timedelta = timedelta(seconds=30)
    tolerance_up: float = 0.1
    tolerance_down: float = 0.1

    def small(self, ratio: float) -> bool:
        """Whether a ratio is so near to 1 that nothing changes."""
        return -self.tolerance_down <= ratio - 1.0 <= self.tolerance_up


@dataclass
class Groups:
    """Pods by what their metrics are worth."""

    ready: int = 0
    unready: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    ignored: set[str] = field(default_factory=set)


def group(
    pods: Sequence[core.Pod],
    metrics: Mapping[str, Sample],
    resource: str,
    configuration: HPAControllerConfiguration,
    now: datetime,
) -> Groups:
    """groupPods: leaving and failed pods do not count, starting ones use nothing yet, some have no metrics."""
    groups = Groups()
    for pod in pods:
        name = pod.metadata.name
        if pod.metadata.deletion_timestamp is not None or pod.status.phase == "Failed":
            groups.ignored.add(name)
        elif pod.status.phase == "Pending":
            groups.unready.add(name)
        elif name not in metrics:
            groups.missing.add(name)
        elif resource == "cpu" and _starting(pod, metrics[name], configuration, now):
            groups.unready.add(name)
        else:
            groups.ready += 1
    return groups


def _starting(pod: core.Pod, sample: Sample, configuration: HPAControllerConfiguration, now: datetime) -> bool:
    """Whether the processor's use is still that of the start."""
    ready, start = condition(pod.status.conditions, "Ready"), pod.status.start_time
    if ready is None or start is None or ready.last_transition_time is None:
        return True
    if start + configuration.cpu_initialization > now:
        early = sample.at is not None and sample.at < ready.last_transition_time + sample.window
        return ready.status == "False" or early
    return ready.status == "False" and start + configuration.initial_readiness > ready.last_transition_time


def requests_of(pods: Sequence[core.Pod], resource: str, container: str = "") -> dict[str, int]:
    """What each pod asks for; Unknown where a container asks for nothing."""
    result: dict[str, int] = {}
    for pod in pods:
        total = 0
        for one in pod.spec.containers:
            if container not in ("", one.name):
                continue
            amount = one.resources.requests.get(resource)
            if amount is None:
                raise Unknown(f"missing request for {resource} in container {one.name} of Pod {pod.metadata.name}")
            total += amount.milli_value()
        result[pod.metadata.name] = total
    return result


def utilization(metrics: Mapping[str, Sample], requests: Mapping[str, int]) -> tuple[int, int]:
    """Percent of the requests, and the average value."""
    values = {name: sample.value for name, sample in metrics.items() if name in requests}
    requested = sum(requests[name] for name in values)
    if requested == 0:
        raise Unknown("no metrics returned matched known pods")
    used = sum(values.values())
    return used * 100 // requested, used // len(values)


@dataclass(frozen=True, slots=True)
class Proposal:
    """Replicas, and the current utilization (percent, None for plain values) and average value."""

    replicas: int
    percent: int | None
    average: int


def by_utilization(
    current: int,
    target: int,
    resource: str,
    pods: Sequence[core.Pod],
    metrics: Mapping[str, Sample],
    configuration: HPAControllerConfiguration,
    now: datetime,
    container: str = "",
) -> Proposal:
    """Replicas for a percentage of the requests (GetResourceReplicas)."""
    groups, counted = _counted(pods, metrics, resource, configuration, now)
    requests = requests_of(pods, resource, container)
    if not counted:
        raise Unknown(NO_METRICS)
    percent, average = utilization(counted, requests)
    ratio = percent / target

    def again(filled: Mapping[str, Sample]) -> float:
        return utilization(filled, requests)[0] / target

    full = {name: max(100, target) * requests.get(name, 0) // 100 for name in groups.missing}
    return Proposal(_replicas(current, ratio, groups, counted, full, again, configuration), percent, average)


def by_average(
    current: int,
    target: int,
    resource: str,
    pods: Sequence[core.Pod],
    metrics: Mapping[str, Sample],
    configuration: HPAControllerConfiguration,
    now: datetime,
) -> Proposal:
    """Replicas for an average value (calcPlainMetricReplicas)."""
    groups, counted = _counted(pods, metrics, resource, configuration, now)
    if not counted:
        raise Unknown(NO_METRICS)

    def mean(of: Mapping[str, Sample]) -> int:
        return sum(sample.value for sample in of.values()) // len(of)

    full = dict.fromkeys(groups.missing, target)
    replicas = _replicas(
        current, mean(counted) / target, groups, counted, full, lambda filled: mean(filled) / target, configuration
    )
    return Proposal(replicas, None, mean(counted))


def _counted(
    pods: Sequence[core.Pod],
    metrics: Mapping[str, Sample],
    resource: str,
    configuration: HPAControllerConfiguration,
    now: datetime,
) -> tuple[Groups, dict[str, Sample]]:
    if not pods:
        raise Unknown(NO_PODS)
    groups = group(pods, metrics, resource, configuration, now)
    left_out = groups.ignored | groups.unready
    return groups, {name: sample for name, sample in metrics.items() if name not in left_out}


def _replicas(
    current: int,
    ratio: float,
    groups: Groups,
    counted: Mapping[str, Sample],
    full: Mapping[str, int],
    again: Callable[[Mapping[str, Sample]], float],
    configuration: HPAControllerConfiguration,
) -> int:
    """Missing pods are taken at their best when shrinking, and at nothing when growing; so are starting ones."""
    rebalance = bool(groups.unready) and ratio > 1.0
    if not rebalance and not groups.missing:
        return current if configuration.small(ratio) else math.ceil(ratio * groups.ready)
    filled = dict(counted)
    if ratio < 1.0:
        filled |= {name: Sample(value) for name, value in full.items()}
    elif ratio > 1.0:
        filled |= {name: Sample(0) for name in groups.missing}
    if rebalance:
        filled |= {name: Sample(0) for name in groups.unready}
    fresh = again(filled)
    if configuration.small(fresh) or (ratio < 1.0 < fresh) or (fresh < 1.0 < ratio):
        return current
    replicas = math.ceil(fresh * len(filled))
    if (fresh < 1.0 and replicas > current) or (fresh > 1.0 and replicas < current):
        return current
    return replicas


def by_ratio(current: int, ratio: float, pods: Sequence[core.Pod], configuration: HPAControllerConfiguration) -> int:
    """Replicas for the value of an object or of something outside (getUsageRatioReplicaCount)."""
    if current == 0:
        return math.ceil(ratio)
    if configuration.small(ratio):
        return current
    if not pods:
        raise Unknown(f"unable to calculate ready pods: {NO_PODS}")
    return math.ceil(ratio * sum(pod.status.phase == "Running" and is_ready(pod) for pod in pods))


def per_pod(replicas: int, value: int, target: int, configuration: HPAControllerConfiguration) -> tuple[int, int]:
    """Replicas for a value that all pods share, and the share of each."""
    proposed = replicas
    if replicas == 0 or not configuration.small(value / (target * replicas)):
        proposed = math.ceil(value / target)
    return proposed, math.ceil(value / replicas) if replicas else value
