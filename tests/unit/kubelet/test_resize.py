"""Resources that change while a pod runs: granted, deferred, infeasible, failing; and what the status says of it.

The kind: a change that is accepted and has no effect. Inputs beside more and less processor: memory whose policy is to restart
the container, a node that has room only later, a runtime that refuses, a kubelet that begins anew in the midst of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.kubelet.app import Kubelet
from pybernetes.kubelet.hollownodes import hollow_kubelets, hollow_machine
from pybernetes.kubelet.runtime.hollow import HollowRuntime
from pybernetes.kubelet.runtime.types import Resources, RuntimeFailure


class World:
    """A hollow node of two processors."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.api = MemoryClient(clock=self.clock)
        self.kubelet = self.begin()
        self.updates: list[Resources] = []
        self.refuses = 0

    def begin(self) -> Kubelet:
        machine = hollow_machine(cpus=2, memory_bytes=4 << 30)
        [kubelet] = hollow_kubelets(self.api, MemoryInformers(self.api), ["n"], machine=machine, clock=self.clock)
        assert isinstance(kubelet.runtime, HollowRuntime)
        kubelet.runtime.update_container = self.update  # type: ignore[method-assign]  # to note what it is told
        self.task = asyncio.ensure_future(kubelet.run())
        return kubelet

    async def update(self, container_id: str, resources: Resources) -> None:
        if self.refuses:
            self.refuses -= 1
            raise RuntimeFailure("device or resource busy")
        self.updates.append(resources)

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def create(self, name: str, *policies: str, **amounts: str) -> None:
        pod = core.Pod(spec=core.PodSpec(node_name="n", restart_policy="Always"))
        pod.metadata.name, pod.metadata.namespace = name, "ns"
        wanted = {key: Quantity.parse(text) for key, text in amounts.items()}
        policy = [core.ContainerResizePolicy(resource_name=p, restart_policy="RestartContainer") for p in policies]
        resources = core.ResourceRequirements(requests=wanted, limits=dict(wanted))
        pod.spec.containers = [core.Container(name="c", image="i", resources=resources, resize_policy=policy)]
        await self.api.create(pod)
        await self.clock.advance(2)

    async def resize(self, name: str, seconds: float = 2, **amounts: str) -> core.PodStatus:
        pod = await self.api.get(core.Pod, name, "ns")
        resources = pod.spec.containers[0].resources
        for of in (resources.requests, resources.limits):
            of.update({key: Quantity.parse(text) for key, text in amounts.items()})
        await self.api.update(pod)
        return await self.later(name, seconds)

    async def later(self, name: str, seconds: float) -> core.PodStatus:
        await self.clock.advance(seconds)
        return (await self.api.get(core.Pod, name, "ns")).status


def conditions(status: core.PodStatus) -> dict[str, tuple[str, str]]:
    return {c.type: (c.reason, c.message) for c in status.conditions if "Resize" in c.type}


def has(status: core.PodStatus) -> tuple[str, str]:
    """Processors that the container was granted, and that it runs with."""
    one = status.container_statuses[0]
    assert one.resources is not None
    return str(one.allocated_resources["cpu"]), str(one.resources.limits["cpu"])


def play(body: Callable[[World], Awaitable[Any]]) -> None:
    async def main() -> None:
        world = World()
        try:
            await world.clock.advance(1)
            await body(world)
        finally:
            await world.end()

    asyncio.run(main())


def test_what_fits_is_done_in_place() -> None:
    async def body(world: World) -> None:
        await world.create("p", cpu="1", memory="64Mi")
        assert has(await world.later("p", 0)) == ("1", "1")
        status = await world.resize("p", cpu="1500m", memory="128Mi")
        assert (has(status), conditions(status)) == (("1500m", "1500m"), {})
        assert (status.container_statuses[0].restart_count, world.updates[-1].cpu_quota) == (0, 150_000)
        assert world.updates[-1].memory_bytes == 128 << 20
        status = await world.resize("p", cpu="500m")
        assert (has(status), world.updates[-1].cpu_shares) == (("500m", "500m"), 512)
        texts = [event.message for event in world.api.all(core.Event) if event.reason == "ResizeCompleted"]
        assert texts[-1].startswith('Pod resize completed: {"containers":[{"name":"c","resources":{')

    play(body)


def test_what_does_not_fit_waits_or_never_comes() -> None:
    async def body(world: World) -> None:
        await world.create("other", cpu="1")
        await world.create("p", cpu="500m")
        status = await world.resize("p", cpu="5")
        text = "Node didn't have enough capacity: cpu, requested: 5000, capacity: 2000"
        assert (has(status), conditions(status)) == (("500m", "500m"), {"PodResizePending": ("Infeasible", text)})
        status = await world.resize("p", cpu="1500m")
        text = "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000"
        assert (has(status), conditions(status)) == (("500m", "500m"), {"PodResizePending": ("Deferred", text)})
        await world.create("q", cpu="500m")  # what was granted counts, not what is asked for
        assert (await world.later("q", 0)).phase == "Running"
        for name in ("other", "q"):
            await world.api.delete(core.Pod, name, "ns")
        status = await world.later("p", 60)
        assert (has(status), conditions(status)) == (("1500m", "1500m"), {})

    play(body)


def test_a_container_that_takes_it_up_only_at_its_start_is_restarted() -> None:
    async def body(world: World) -> None:
        await world.create("p", "memory", cpu="500m", memory="64Mi")
        status = await world.resize("p", cpu="600m")
        assert (has(status), status.container_statuses[0].restart_count) == (("600m", "600m"), 0)
        status = await world.resize("p", memory="96Mi")
        one = status.container_statuses[0]
        assert one.resources is not None and str(one.resources.limits["memory"]) == "96Mi"
        assert (one.restart_count, one.state.running is not None, len(world.updates)) == (1, True, 1)
        texts = [event.message for event in world.api.all(core.Event) if event.reason == "Killing"]
        assert texts == ["Container c resize requires restart"]

    play(body)


def test_a_runtime_that_refuses_is_asked_again() -> None:
    async def body(world: World) -> None:
        await world.create("p", cpu="1")
        world.refuses = 1
        status = await world.resize("p", cpu="500m")
        assert conditions(status) == {"PodResizeInProgress": ("Error", "device or resource busy")}
        assert has(status) == ("500m", "1")
        status = await world.later("p", 15)
        assert (has(status), conditions(status)) == (("500m", "500m"), {})

    play(body)


def test_a_kubelet_that_begins_anew_grants_what_was_asked_for_meanwhile() -> None:
    async def body(world: World) -> None:
        await world.create("p", cpu="1")
        runtime = world.kubelet.runtime
        await world.end()
        assert isinstance(runtime, HollowRuntime)
        pod = await world.api.get(core.Pod, "p", "ns")
        pod.spec.containers[0].resources.requests["cpu"] = Quantity.parse("9")
        await world.api.update(pod)
        world.kubelet = world.begin()
        present = world.kubelet.runtime
        assert isinstance(present, HollowRuntime)
        present.containers, present.sandboxes, present._runs = runtime.containers, runtime.sandboxes, runtime._runs
        status = await world.later("p", 5)
        assert conditions(status)["PodResizePending"][0] == "Infeasible"
        assert (has(status)[0], status.container_statuses[0].restart_count) == ("1", 0)

    play(body)
