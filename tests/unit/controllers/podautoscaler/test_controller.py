"""What an autoscaler says, in events and conditions, of metrics and selectors that tell it nothing (horizontal.go of upstream)."""

from __future__ import annotations

import asyncio
import json

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.conditions import condition
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import autoscaling_v1, encode
from pybernetes.api.types import autoscaling_v2 as autoscaling
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.events import EventBroadcaster
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.controllers.framework import Context
from pybernetes.controllers.podautoscaler.controller import HorizontalController

TARGET = autoscaling.CrossVersionObjectReference(api_version="apps/v1", kind="Deployment", name="web")
METRIC = autoscaling.MetricIdentifier(name="queue", selector=meta.LabelSelector(match_labels={"a": "b"}))
PLAIN = autoscaling.MetricIdentifier(name="queue")
PERCENT = autoscaling.MetricTarget(type="Utilization", average_utilization=50)
AVERAGE = autoscaling.MetricTarget(type="AverageValue", average_value=Quantity.parse("1"))
VALUE = autoscaling.MetricTarget(type="Value", value=Quantity.parse("1"))
NOWHERE = "the server could not find the requested resource"
SHOWN = "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}"


class World:
    """Autoscalers, and the scale of a Deployment named web with one pod."""

    def __init__(self, *hpas: autoscaling.HorizontalPodAutoscaler, selector: str = "app=web") -> None:
        self.clock = VirtualClock()
        self.client = MemoryClient(*hpas, clock=self.clock)
        scale = autoscaling_v1.Scale(
            spec=autoscaling_v1.ScaleSpec(replicas=1),
            status=autoscaling_v1.ScaleStatus(replicas=1, selector=selector),
        )
        self.client.answers["GET", "/apis/apps/v1/namespaces/ns/deployments/web/scale"] = encode(scale)
        self.client.put(core.Pod(metadata=meta.ObjectMeta(name="p", namespace="ns", labels={"app": "web"})))
        self.said: list[str] = []
        events = EventBroadcaster(self.client, self.clock)
        events._outbox.put = lambda event: self.said.append(f"{event.reason}: {event.message}")  # type: ignore[method-assign]  # heard, not sent
        context = Context(self.client, MemoryInformers(self.client), events, self.clock)
        self.controller = HorizontalController(context)

    async def sync(self, name: str = "h") -> tuple[str, str, str]:
        """ScalingActive after one sync, or AbleToScale where there is none: status, reason and message."""
        await self.controller.sync(("ns", name))
        hpa = await self.client.get(autoscaling.HorizontalPodAutoscaler, name, "ns")
        active = condition(hpa.status.conditions, "ScalingActive") or condition(hpa.status.conditions, "AbleToScale")
        assert active is not None
        return active.status, active.reason, active.message


def hpa(
    *metrics: autoscaling.MetricSpec, name: str = "h", target: autoscaling.CrossVersionObjectReference = TARGET
) -> autoscaling.HorizontalPodAutoscaler:
    spec = autoscaling.HorizontalPodAutoscalerSpec(scale_target_ref=target, max_replicas=3, metrics=list(metrics))
    return autoscaling.HorizontalPodAutoscaler(metadata=meta.ObjectMeta(name=name, namespace="ns"), spec=spec)


def resource(target: autoscaling.MetricTarget) -> autoscaling.MetricSpec:
    return autoscaling.MetricSpec(type="Resource", resource=autoscaling.ResourceMetricSource(name="cpu", target=target))


def container(target: autoscaling.MetricTarget) -> autoscaling.MetricSpec:
    source = autoscaling.ContainerResourceMetricSource(name="cpu", container="c", target=target)
    return autoscaling.MetricSpec(type="ContainerResource", container_resource=source)


def external(target: autoscaling.MetricTarget, metric: autoscaling.MetricIdentifier = METRIC) -> autoscaling.MetricSpec:
    return autoscaling.MetricSpec(
        type="External", external=autoscaling.ExternalMetricSource(metric=metric, target=target)
    )


def of_object(target: autoscaling.MetricTarget) -> autoscaling.MetricSpec:
    about = autoscaling.CrossVersionObjectReference(api_version="v1", kind="Service", name="s")
    source = autoscaling.ObjectMetricSource(described_object=about, metric=PLAIN, target=target)
    return autoscaling.MetricSpec(type="Object", object=source)


def of_pods() -> autoscaling.MetricSpec:
    return autoscaling.MetricSpec(type="Pods", pods=autoscaling.PodsMetricSource(metric=PLAIN, target=AVERAGE))


CPU = f"unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: {NOWHERE} (get pods.metrics.k8s.io)"
QUEUE = f"unable to fetch metrics from external metrics API: {NOWHERE} (get queue.external.metrics.k8s.io)"
CUSTOM = "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered"


@pytest.mark.parametrize(
    ("spec", "reason", "text", "around"),
    [
        (
            resource(PERCENT),
            "FailedGetResourceMetric",
            f"failed to get cpu utilization: {CPU}",
            "failed to get cpu resource metric value: ",
        ),
        (
            resource(AVERAGE),
            "FailedGetResourceMetric",
            f"failed to get cpu usage: {CPU}",
            "failed to get cpu resource metric value: ",
        ),
        (
            container(PERCENT),
            "FailedGetContainerResourceMetric",
            f"failed to get cpu utilization: {CPU}",
            "failed to get c container metric value: ",
        ),
        (
            external(VALUE),
            "FailedGetExternalMetric",
            f"unable to get external metric ns/queue/{SHOWN}: {QUEUE}",
            "failed to get queue external metric value: failed to get external metric queue: ",
        ),
        (
            external(AVERAGE, PLAIN),
            "FailedGetExternalMetric",
            f"unable to get external metric ns/queue/nil: {QUEUE}",
            "failed to get queue external metric value: failed to get queue external metric: ",
        ),
        (
            of_object(VALUE),
            "FailedGetObjectMetric",
            f"unable to get metric queue: Service on ns s/{CUSTOM}",
            "failed to get object metric value: ",
        ),
        (
            of_object(AVERAGE),
            "FailedGetObjectMetric",
            f"unable to get metric queue: Service on ns s/{CUSTOM}",
            "failed to get object metric value: failed to get queue object metric: ",
        ),
        (
            of_pods(),
            "FailedGetPodsMetric",
            f"unable to get metric queue: {CUSTOM}",
            "failed to get pods metric value: ",
        ),
    ],
)
def test_words_without_any_metrics_api(spec: autoscaling.MetricSpec, reason: str, text: str, around: str) -> None:
    async def main() -> None:
        world = World(hpa(spec))
        assert await world.sync() == ("False", reason, f"the HPA was unable to compute the replica count: {text}")
        total = f"invalid metrics (1 invalid out of 1), first error is: {around}{text}"
        assert world.said == [f"{reason}: {text}", f"FailedComputeMetricsReplicas: {total}"]

    asyncio.run(main())


def test_autoscalers_of_the_same_pods_do_not_scale() -> None:
    """Each would undo what the other does; both say who they are, once both were looked at."""

    async def main() -> None:
        world = World(hpa(of_pods(), name="a"), hpa(of_pods(), name="b"))
        await world.sync("a")
        world.said.clear()
        text = "pods by selector app=web are controlled by multiple HPAs: [ns/a ns/b]"
        for name in ("b", "a"):
            assert await world.sync(name) == ("False", "AmbiguousSelector", text)
        assert world.said == [f"AmbiguousSelector: {text}", f"FailedComputeMetricsReplicas: {text}"] * 2
        world.client.drop(hpa(name="b"))
        await world.controller.sync(("ns", "b"))
        assert (await world.sync("a"))[1] == "FailedGetPodsMetric"

    asyncio.run(main())


def test_a_target_without_a_selector() -> None:
    async def main() -> None:
        world = World(hpa(of_pods()), selector="")
        assert await world.sync() == ("False", "InvalidSelector", "the HPA target's scale is missing a selector")
        assert world.said == [
            "SelectorRequired: selector is required",
            "FailedComputeMetricsReplicas: selector is required",
        ]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("version", "kind", "text"),
    [
        ("example.com/v1", "Rocket", 'no matches for kind "Rocket" in group "example.com"'),
        ("v1", "Rocket", 'no matches for kind "Rocket" in group ""'),
        ("v1", "Scale", 'no matches for kind "Scale" in group ""'),
        ("v1", "Gadget", NOWHERE),
        ("apps/v1", "Gadget", NOWHERE),
        ("apps/v1", "Rocket", 'no matches for kind "Rocket" in group "apps"'),
    ],
)
def test_a_target_of_a_kind_that_nobody_knows_or_that_has_no_scale(version: str, kind: str, text: str) -> None:
    async def main() -> None:
        target = autoscaling.CrossVersionObjectReference(api_version=version, kind=kind, name="r")
        world = World(hpa(of_pods(), target=target))
        core_kinds = [
            {"name": "gadgets", "kind": "Gadget"},
            {"name": "replicationcontrollers/scale", "kind": "Scale"},
        ]
        world.client.answers["GET", "/api/v1"] = json.dumps({"resources": core_kinds}).encode()
        apps_kinds = [{"name": "gadgets", "kind": "Gadget"}]
        world.client.answers["GET", "/apis/apps/v1"] = json.dumps({"resources": apps_kinds}).encode()
        prefix = "the HPA controller was unable to get the target's current scale: "
        assert await world.sync() == ("False", "FailedGetScale", prefix + text)
        assert world.said == [f"FailedGetScale: {text}"]

    asyncio.run(main())
