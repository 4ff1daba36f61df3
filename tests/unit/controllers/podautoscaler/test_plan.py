"""Autoscalers: replicas for metrics, and the limits of a step."""

from __future__ import annotations

import pytest

from pybernetes.api.quantity import Quantity
from pybernetes.api.types import autoscaling_v2 as autoscaling
from pybernetes.api.types import core_v1 as core
from pybernetes.controllers.podautoscaler import calculator as calc
from pybernetes.controllers.podautoscaler import limits
from pybernetes.controllers.podautoscaler.plan import scale_path, set_condition

from ..objects import NOW, ago, meta, pod

CONFIGURATION = calc.HPAControllerConfiguration()
WINDOW = 300.0
UPTIME = 7000.0


def worker(name: str, ready: float | None = 600, phase: str = "Running", request: int = 1000) -> core.Pod:
    found = pod(name, phase, ready)
    resources = core.ResourceRequirements(requests={"cpu": Quantity.from_milli(request)})
    found.spec.containers = [core.Container(name="c", resources=resources)]
    found.status.start_time = ago(1000)
    return found


def samples(*values: int) -> dict[str, calc.Sample]:
    return {f"p{number}": calc.Sample(value, NOW) for number, value in enumerate(values)}


def workers(count: int) -> list[core.Pod]:
    return [worker(f"p{number}") for number in range(count)]


@pytest.mark.parametrize(
    ("target", "used", "expected"),
    [
        (50, (500, 500), (2, 50)),
        (50, (525, 525), (2, 52)),  # within the tolerance
        (50, (1000, 1000), (4, 100)),
        (50, (100, 100), (1, 10)),
        (50, (900, 600), (3, 75)),
    ],
)
def test_utilization(target: int, used: tuple[int, ...], expected: tuple[int, int]) -> None:
    found = calc.by_utilization(2, target, "cpu", workers(2), samples(*used), CONFIGURATION, NOW)
    assert (found.replicas, found.percent) == expected


def test_missing_metrics_hold_back() -> None:
    # 3 pods, one without metrics: growing counts it as idle, shrinking as fully used.
    assert calc.by_utilization(3, 50, "cpu", workers(3), samples(1000, 1000), CONFIGURATION, NOW).replicas == 4
    assert calc.by_utilization(3, 50, "cpu", workers(3), samples(100, 100), CONFIGURATION, NOW).replicas == 3


def test_starting_pods_use_nothing_yet() -> None:
    pods = [*workers(2), worker("p2", phase="Pending")]
    assert calc.by_utilization(3, 50, "cpu", pods, samples(1000, 1000, 1000), CONFIGURATION, NOW).replicas == 4


def test_groups() -> None:
    young = worker("young", ready=None)
    young.status.start_time = ago(10)
    pods = [worker("ok"), young, worker("pending", phase="Pending"), worker("failed", phase="Failed"), worker("mute")]
    metrics = {name: calc.Sample(1, NOW) for name in ("ok", "young", "pending", "failed")}
    groups = calc.group(pods, metrics, "cpu", CONFIGURATION, NOW)
    assert (groups.ready, groups.unready, groups.missing, groups.ignored) == (
        1,
        {"young", "pending"},
        {"mute"},
        {"failed"},
    )
    assert calc.group([young], metrics, "memory", CONFIGURATION, NOW).ready == 1


def test_what_is_not_known() -> None:
    with pytest.raises(calc.Unknown, match="no pods returned by selector"):
        calc.by_utilization(1, 50, "cpu", [], samples(1), CONFIGURATION, NOW)
    with pytest.raises(calc.Unknown, match="did not receive metrics for any ready pods"):
        calc.by_average(1, 50, "", workers(1), {}, CONFIGURATION, NOW)
    bare = pod("p0", ready=600)
    bare.spec.containers, bare.status.start_time = [core.Container(name="c")], ago(1000)
    with pytest.raises(calc.Unknown, match="missing request for cpu in container c of Pod p0"):
        calc.by_utilization(1, 50, "cpu", [bare], samples(1), CONFIGURATION, NOW)


def test_averages_and_shared_values() -> None:
    assert calc.by_average(2, 100, "", workers(2), samples(200, 300), CONFIGURATION, NOW) == calc.Proposal(5, None, 250)
    assert calc.by_ratio(0, 2.5, [], CONFIGURATION) == 3
    assert calc.by_ratio(2, 1.05, workers(2), CONFIGURATION) == 2
    assert calc.by_ratio(2, 2.0, workers(2), CONFIGURATION) == 4
    assert calc.per_pod(2, 900, 100, CONFIGURATION) == (9, 450)
    assert calc.per_pod(2, 205, 100, CONFIGURATION) == (2, 103)


@pytest.mark.parametrize(
    ("current", "desired", "replicas", "why"),
    [
        (3, 5, 5, "DesiredWithinRange"),
        (1, 9, 4, "ScaleUpLimit"),
        (5, 20, 10, "TooManyReplicas"),
        (5, 1, 2, "TooFewReplicas"),
    ],
)
def test_a_simple_step(current: int, desired: int, replicas: int, why: str) -> None:
    step = limits.simple_step(limits.History(), UPTIME, current, desired, 2, 10, WINDOW)
    assert (step.replicas, step.why[0], step.limited) == (replicas, why, replicas != desired)


def test_shrinking_waits_for_the_window() -> None:
    history = limits.History()
    assert limits.simple_step(history, UPTIME, 8, 8, 1, 10, WINDOW).replicas == 8
    step = limits.simple_step(history, UPTIME + 240, 8, 2, 1, 10, WINDOW)
    assert (step.replicas, step.able[0]) == (8, "ScaleDownStabilized")
    assert limits.simple_step(history, UPTIME + 360, 8, 2, 1, 10, WINDOW).replicas == 2


def rules(type: str, value: int, window: int = 0, select: str = "Max") -> autoscaling.HPAScalingRules:
    policy = autoscaling.HPAScalingPolicy(type=type, value=value, period_seconds=60)
    return autoscaling.HPAScalingRules(policies=[policy], stabilization_window_seconds=window, select_policy=select)


@pytest.mark.parametrize(
    ("up", "down", "current", "desired", "replicas", "why"),
    [
        (rules("Pods", 2), None, 4, 9, 6, "ScaleUpLimit"),
        (rules("Percent", 10), None, 4, 9, 5, "ScaleUpLimit"),
        (rules("Pods", 2, select="Disabled"), None, 4, 9, 4, "ScaleUpLimit"),
        (None, rules("Pods", 1), 8, 2, 7, "ScaleDownLimit"),
        (None, rules("Percent", 25), 8, 2, 6, "ScaleDownLimit"),
        (None, rules("Percent", 100), 8, 1, 2, "TooFewReplicas"),
    ],
)
def test_policies(up, down, current: int, desired: int, replicas: int, why: str) -> None:
    behavior = autoscaling.HorizontalPodAutoscalerBehavior(scale_up=up, scale_down=down)
    history = limits.History()
    step = limits.behaved_step(history, UPTIME, current, desired, 2, 10, behavior, 0)
    assert (step.replicas, step.why[0]) == (replicas, why)


def test_a_period_counts_what_was_done_in_it() -> None:
    behavior = autoscaling.HorizontalPodAutoscalerBehavior(scale_up=rules("Pods", 3))
    history = limits.History()
    history.scaled(UPTIME - 30, 2, 4, limits.longest_period(behavior))
    assert limits.behaved_step(history, UPTIME, 4, 9, 1, 10, behavior, WINDOW).replicas == 5
    later = UPTIME + 40
    assert limits.behaved_step(history, later, 4, 9, 1, 10, behavior, WINDOW).replicas == 7


def test_growing_may_wait_too() -> None:
    behavior = autoscaling.HorizontalPodAutoscalerBehavior(scale_up=rules("Pods", 99, window=120))
    history = limits.History([(UPTIME - 60, 3)])
    step = limits.behaved_step(history, UPTIME, 3, 9, 1, 10, behavior, WINDOW)
    assert (step.replicas, step.able[0]) == (3, "ScaleUpStabilized")


def test_conditions_and_paths() -> None:
    target = autoscaling.CrossVersionObjectReference(api_version="apps/v1", kind="Deployment", name="web")
    spec = autoscaling.HorizontalPodAutoscalerSpec(scale_target_ref=target)
    hpa = autoscaling.HorizontalPodAutoscaler(metadata=meta("h"), spec=spec)
    assert scale_path(hpa) == "/apis/apps/v1/namespaces/ns/deployments/web/scale"
    set_condition(hpa, "AbleToScale", "True", "A", "a", ago(10))
    set_condition(hpa, "AbleToScale", "True", "B", "b", NOW)
    known = hpa.status.conditions[0]
    assert (known.reason, known.last_transition_time) == ("B", ago(10))
    set_condition(hpa, "AbleToScale", "False", "C", "c", NOW)
    assert len(hpa.status.conditions) == 1 and known.last_transition_time == NOW
