"""The look at all nodes, on objects that a test puts into the informers: what is written, told, tainted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.types import coordination_v1 as coordination
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.events import EventBroadcaster
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.controllers.framework import Context
from pybernetes.controllers.nodelifecycle.controller import LEASES, NodeLifecycleController
from pybernetes.controllers.options import Options

START = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """Client and clock of a controller."""

    def __init__(self, options: Options) -> None:
        self.clock = VirtualClock(epoch=START)
        self.client = MemoryClient(clock=self.clock)
        self.told: list[str] = []
        events = EventBroadcaster(self.client, self.clock)
        events._outbox.put = lambda event: self.told.append(f"{event.reason} {event.involved_object.name}")  # type: ignore[method-assign]  # heard, not sent
        context = Context(self.client, MemoryInformers(self.client), events, self.clock, options)
        self.controller = NodeLifecycleController(context)

    def node(self, name: str, ready: str = "True", zone: str = "") -> None:
        labels = {"topology.kubernetes.io/zone": zone} if zone else {}
        conditions = [core.NodeCondition(type="Ready", status=ready, last_heartbeat_time=self.clock.now())]
        self.client.put(
            core.Node(
                metadata=meta.ObjectMeta(name=name, labels=labels, creation_timestamp=START),
                status=core.NodeStatus(conditions=conditions),
            )
        )

    def renew(self, name: str) -> None:
        spec = coordination.LeaseSpec(renew_time=self.clock.now().isoformat())
        self.client.put(coordination.Lease(metadata=meta.ObjectMeta(name=name, namespace=LEASES), spec=spec))

    def taints(self, name: str) -> list[str]:
        (found,) = [node for node in self.client.all(core.Node) if node.metadata.name == name]
        return [taint.key.rpartition("/")[2] for taint in found.spec.taints if taint.effect == "NoExecute"]

    async def look(self, seconds: float = 0.0, *alive: str) -> None:
        """After some time in which these renewed their leases; taints that may be set at once are set."""
        await self.clock.advance(seconds)
        for name in alive:
            self.renew(name)
        await self.controller.look()
        await self.clock.settle()


def played(scenario: Callable[[World], Awaitable[None]], options: Options | None = None) -> None:
    async def main() -> None:
        world = World(options or Options())
        tainting = asyncio.ensure_future(world.controller._tainter.run())
        await scenario(world)
        tainting.cancel()

    asyncio.run(main())


def test_a_silent_node_is_told_tainted_and_its_pods_are_not_ready() -> None:
    async def scenario(world: World) -> None:
        for name in ("a", "b"):
            world.node(name)
        world.client.put(
            core.Pod(
                metadata=meta.ObjectMeta(name="p", namespace="ns"),
                spec=core.PodSpec(node_name="a"),
                status=core.PodStatus(conditions=[core.PodCondition(type="Ready", status="True")]),
            )
        )
        await world.look()
        assert world.told == ["RegisteredNode a", "RegisteredNode b"]
        await world.look(51, "b")
        (pod,) = world.client.all(core.Pod)
        assert pod.status.conditions[0].status == "False"
        assert world.told[2:] == ["NodeNotReady a", "NodeNotReady p"]
        assert world.taints("a") == []  # with the next look, as upstream: what was observed counts
        await world.look(5, "b")
        assert world.taints("a") == ["unreachable"] and world.taints("b") == []
        world.node("a")  # its kubelet is back
        await world.look(5, "a", "b")
        assert world.taints("a") == []

    played(scenario)


def test_a_zone_loses_its_nodes_slowly() -> None:
    async def scenario(world: World) -> None:
        for name in ("a", "b", "c", "d", "e"):
            world.node(name)
        await world.look()
        for name in ("a", "b"):
            world.node(name, "False")
        await world.look(1, "c", "d", "e")
        assert [world.taints(name) for name in ("a", "b")] == [["not-ready"], []]
        await world.clock.advance(10)
        assert world.taints("b") == ["not-ready"]

    played(scenario)


def test_with_all_nodes_silent_nothing_is_evicted() -> None:
    async def scenario(world: World) -> None:
        for name in ("a", "b"):
            world.node(name)
        await world.look()
        await world.look(51)
        await world.look(60)
        assert world.taints("a") == world.taints("b") == []
        world.node("b")
        await world.look(5, "b")
        await world.look(5, "b")
        assert world.taints("a") == ["unreachable"]  # once somebody is heard of again

    played(scenario)


def test_a_small_zone_in_a_partial_disruption_keeps_its_pods() -> None:
    async def scenario(world: World) -> None:
        for name in ("a", "b", "c", "d"):
            world.node(name)
        await world.look()
        for name in ("a", "b", "c"):
            world.node(name, "False")
        await world.look(1, "d")
        tainted = [name for name in ("a", "b", "c") if world.taints(name)]
        await world.clock.advance(100)
        assert [name for name in ("a", "b", "c") if world.taints(name)] == tainted and len(tainted) <= 1

    played(scenario)


def test_a_node_that_goes_is_told() -> None:
    async def scenario(world: World) -> None:
        world.node("a")
        await world.look()
        world.client.drop(*world.client.all(core.Node))
        await world.look(5)
        assert world.told == ["RegisteredNode a", "RemovingNode a"]

    played(scenario)


@pytest.mark.parametrize("step", [3600, -3600])
def test_a_wall_clock_that_jumps_loses_no_node_and_hides_none(step: int) -> None:
    async def scenario(world: World) -> None:
        for name in ("a", "b", "c"):
            world.node(name)
        await world.look(0, "a", "b", "c")
        await world.look(20, "a", "b", "c")
        world.clock.step(step)
        await world.look(20, "a", "b", "c")
        assert [world.taints(name) for name in "abc"] == [[], [], []]
        for _ in range(4):  # one look finds it silent, the next one taints it
            await world.look(20, "b", "c")
        assert [world.taints(name) for name in "abc"] == [["unreachable"], [], []]

    played(scenario)
