"""When a kubelet writes its node's status: whenever the Node in the API says something else, and every five minutes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from msgspec import structs

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.conditions import condition
from pybernetes.api.types import core_v1 as core
from pybernetes.client.memory import MemoryClient
from pybernetes.controllers.nodelifecycle.health import unknown_conditions
from pybernetes.kubelet.machine import node as n
from pybernetes.kubelet.node.keeper import STATUS_REPORT_SECONDS, NodeKeeper
from pybernetes.kubelet.recorder import Recorder

FACTS = n.NodeFacts("a", ("10.0.0.1",), n.Machine(2, 4 << 30, 10 << 30))
Change = Callable[[core.Node, VirtualClock], None]


class World:
    """A node that is registered, and its keeper at work on a clock of the test's."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.client = MemoryClient(clock=self.clock)
        self.facts = FACTS
        recorder = Recorder(self.client, "a", self.clock)
        self.keeper = NodeKeeper(self.client, recorder, self._facts, self.clock, self.clock.now)

    async def _facts(self) -> n.NodeFacts:
        return self.facts

    @property
    def node(self) -> core.Node:
        (node,) = self.client.all(core.Node)
        return node

    def ready(self) -> str:
        ready = condition(self.node.status.conditions, "Ready")
        return ready.status if ready is not None else ""

    def writes(self) -> int:
        return sum(request.verb in ("update", "patch") for request in self.client.requests)

    def tamper(self, change: Change) -> None:
        """Somebody else writes into the status, and the keeper's watch tells of it."""
        node = self.node
        change(node, self.clock)
        self.client.put(node)
        self.keeper.on_node(None, self.node)


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[World]:
    world = World()
    await world.keeper.register()
    keeping = asyncio.ensure_future(world.keeper.keep_status())
    await world.clock.advance(1)
    try:
        yield world
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def said(node: core.Node) -> core.NodeStatus:
    """The status without the times of its conditions."""
    conditions = [
        structs.replace(c, last_heartbeat_time=None, last_transition_time=None) for c in node.status.conditions
    ]
    return structs.replace(node.status, conditions=conditions)


def _unknown(node: core.Node, clock: VirtualClock) -> None:
    node.status.conditions = unknown_conditions(node, clock.now())


def _no_conditions(node: core.Node, _: VirtualClock) -> None:
    node.status.conditions = []


def _pressure(node: core.Node, _: VirtualClock) -> None:
    pressed = [c for c in node.status.conditions if c.type == "MemoryPressure"]
    pressed[0].status = "True"


def _capacity(node: core.Node, _: VirtualClock) -> None:
    node.status.capacity = {}


def _addresses(node: core.Node, _: VirtualClock) -> None:
    node.status.addresses = node.status.addresses[:1]


def _kubelet_version(node: core.Node, _: VirtualClock) -> None:
    node.status.node_info.kubelet_version = "v1.0.0"


@pytest.mark.parametrize("change", [_unknown, _no_conditions, _pressure, _capacity, _addresses, _kubelet_version])
def test_what_others_wrote_is_mended_at_the_next_check(change: Change) -> None:
    """The kind: a status that is not the kubelet's word any more, whoever wrote it, long before the next report is due."""

    async def main() -> None:
        async with running() as world:
            right = said(world.node)
            world.tamper(change)
            assert said(world.node) != right
            await world.clock.advance(11)
            assert said(world.node) == right

    asyncio.run(main())


def test_a_node_that_is_back_is_told_of() -> None:
    """NodeReady, as after any change of the condition."""

    async def main() -> None:
        async with running() as world:
            world.tamper(_unknown)
            sending = asyncio.ensure_future(world.keeper._recorder.run())
            await world.clock.advance(11)
            sending.cancel()
            assert "NodeReady" in [event.reason for event in world.client.all(core.Event)]

    asyncio.run(main())


def test_an_unchanged_status_is_written_every_five_minutes() -> None:
    async def main() -> None:
        async with running() as world:
            before = world.writes()
            await world.clock.advance(STATUS_REPORT_SECONDS - 20)
            assert world.writes() == before
            await world.clock.advance(30)
            assert world.writes() == before + 1

    asyncio.run(main())


def test_a_wall_clock_that_jumps_makes_no_report_due_or_late() -> None:
    """Forward and back by an hour: reports are counted on the monotonic clock."""

    async def main() -> None:
        async with running() as world:
            before = world.writes()
            for hour in (3600, -3600):
                world.clock.step(hour)
                await world.clock.advance(20)
            assert world.writes() == before
            world.clock.step(-3600)
            await world.clock.advance(STATUS_REPORT_SECONDS)
            assert world.writes() == before + 1

    asyncio.run(main())


def test_a_changed_fact_is_written_at_the_next_check() -> None:
    async def main() -> None:
        async with running() as world:
            world.facts = replace(FACTS, problems=("container runtime is down",))
            await world.clock.advance(11)
            assert world.ready() == "False"

    asyncio.run(main())
