"""What events say where a controller could not do its work, in upstream's words: texts that people search for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.types import meta_v1
from pybernetes.api.types import policy_v1 as policy
from pybernetes.client.events import EventBroadcaster
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.controllers.common import aggregate, shown_selector
from pybernetes.controllers.disruption.controller import DisruptionController
from pybernetes.controllers.endpointslice.controller import EndpointSliceController
from pybernetes.controllers.framework import Again, Context, Controller

from .objects import LABELS, meta, pod, selector


class World:
    """One controller, and what its events say."""

    def __init__(self, kind: type[Controller], *objects: core.Pod | core.Service | policy.PodDisruptionBudget) -> None:
        self.clock = VirtualClock()
        self.client = MemoryClient(*objects, clock=self.clock)
        self.said: list[str] = []
        events = EventBroadcaster(self.client, self.clock)
        events._outbox.put = lambda event: self.said.append(f"{event.type} {event.reason}: {event.message}")  # type: ignore[method-assign]  # heard, not sent
        self.controller = kind(Context(self.client, MemoryInformers(self.client), events, self.clock))


def service() -> core.Service:
    ports = [core.ServicePort(port=80)]
    return core.Service(
        metadata=meta("s"),
        spec=core.ServiceSpec(selector=dict(LABELS), ports=ports, ip_families=["IPv4"], cluster_ips=["10.0.0.1"]),
    )


PREFIX = "Warning FailedToUpdateEndpointSlices: Error updating Endpoint Slices for Service ns/s: "


def test_endpoints_on_nodes_that_are_gone() -> None:
    """Each is told of, one as it is, several in brackets; many are cut short."""

    async def main() -> None:
        for count in (1, 2, 400):
            lost = [pod(f"p{number:03}", ready=10, node="gone", ip=f"10.1.0.{number % 250}") for number in range(count)]
            world = World(EndpointSliceController, service(), *lost)
            with pytest.raises(Again):
                await world.controller.sync(("ns", "s"))
            (said,) = world.said
            first = "skipping Pod p000 for Service ns/s: Node gone Not Found"
            assert said.startswith(PREFIX + ("" if count == 1 else "[") + first) and len(said) < 1024

    asyncio.run(main())


def refusal() -> StatusError:
    return errors.conflict("discovery.k8s.io", "endpointslices", "s-x", "the object has been modified")


@pytest.mark.parametrize(
    ("fail", "words"),
    [
        (
            lambda client: client.fail(refusal(), "create", discovery.EndpointSlice, 9),
            "failed to create EndpointSlice for Service ns/s: ",
        ),
        (
            lambda client: client.fail(refusal(), "update", discovery.EndpointSlice, 9),
            "failed to update s-x EndpointSlice for Service ns/s: ",
        ),
    ],
)
def test_slices_that_could_not_be_written(fail: Callable[[MemoryClient], None], words: str) -> None:
    async def main() -> None:
        world = World(EndpointSliceController, service())
        if "update" in words:
            await world.controller.sync(("ns", "s"))
            (made,) = world.client.all(discovery.EndpointSlice)
            world.client.drop(made)
            made.metadata.name, made.metadata.labels["kubernetes.io/service-name"] = "s-x", "s"
            made.metadata.labels["left"] = "over"
            world.client.put(made)
            world.controller = EndpointSliceController(world.controller.context)
        fail(world.client)
        with pytest.raises(StatusError):
            await world.controller.sync(("ns", "s"))
        assert world.said == [PREFIX + words + str(refusal())]

    asyncio.run(main())


def test_a_budget_of_pods_that_nobody_manages() -> None:
    async def main() -> None:
        spec = policy.PodDisruptionBudgetSpec(max_unavailable=1, selector=selector())
        budget = policy.PodDisruptionBudget(metadata=meta("b"), spec=spec)
        world = World(DisruptionController, budget, pod("p", ready=10))
        await world.controller.sync(("ns", "b"))
        shown = (
            "&LabelSelector{MatchLabels:map[string]string{app: web,},MatchExpressions:[]LabelSelectorRequirement{},}"
        )
        start = f"Warning UnmanagedPods: Pods selected by this PodDisruptionBudget (selector: {shown}) were found to be unmanaged."
        assert any(said.startswith(start) for said in world.said)

    asyncio.run(main())


def test_selectors_as_go_prints_them() -> None:
    assert shown_selector(None) == "nil"
    rule = meta_v1.LabelSelectorRequirement(key="k", operator="In", values=["a", "b"])
    assert shown_selector(meta_v1.LabelSelector(match_labels={"z": "1", "a": "2"}, match_expressions=[rule])) == (
        "&LabelSelector{MatchLabels:map[string]string{a: 2,z: 1,},MatchExpressions:[]LabelSelectorRequirement{"
        "LabelSelectorRequirement{Key:k,Operator:In,Values:[a b],},},}"
    )


def test_several_errors_as_one() -> None:
    assert aggregate(["a"]) == "a" and aggregate(["a", "b", "a"]) == "[a, b]"
