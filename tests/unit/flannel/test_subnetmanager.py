"""The subnet manager against a client without a server: own lease, news of others, what is told of the node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.api.types import core_v1
from pybernetes.client.informer import InformerFactory
from pybernetes.client.memory import MemoryClient
from pybernetes.flannel.annotations import annotation_names
from pybernetes.flannel.config import NetworkConfig
from pybernetes.flannel.subnetmanager import KubeSubnetManager, SubnetError, node_name

from .hosts import NETWORK, lease, node, vxlan_node

NAMES = annotation_names("flannel.alpha.coreos.com")
NOW = datetime(2026, 11, 30, 10, tzinfo=UTC)


class World:
    """A client, a clock, and host 1's manager."""

    def __init__(self, *nodes: core_v1.Node) -> None:
        self.clock = VirtualClock(epoch=NOW)
        self.client = MemoryClient(*nodes, clock=self.clock)
        self.informers = InformerFactory(self.client, self.clock)
        self.manager = KubeSubnetManager(
            self.client, self.informers, "host1", NAMES, NetworkConfig(NETWORK), self.clock
        )

    def patches(self) -> list[object]:
        return [request.body for request in self.client.requests if request.verb == "patch"]


def played(world: World, scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        running = asyncio.ensure_future(world.informers.run())
        try:
            await world.manager.wait_synced()
            await scenario()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_a_lease_is_written_once() -> None:
    world = World(node(1, other="x"), vxlan_node(2))

    async def scenario() -> None:
        assert await world.manager.acquire(lease(1).attributes) == lease(1)
        # A server takes annotations through the status, the client without one does not.
        world.client.put(vxlan_node(1))
        await world.clock.settle()
        assert await world.manager.acquire(lease(1).attributes) == lease(1)

    played(world, scenario)
    (request,) = [r for r in world.client.requests if r.verb == "patch"]
    assert request.body == {"metadata": {"annotations": vxlan_node(1).metadata.annotations}}
    assert request.subresource == "status"  # upstream's ClusterRole lets it write no other


def test_news_of_leases() -> None:
    """The last of several changes counts; heartbeats, and nodes that say nothing, are none."""
    world = World(vxlan_node(1), vxlan_node(2), node(3))

    async def scenario() -> None:
        assert world.manager.take() == {"host1": lease(1), "host2": lease(2)}
        beating = vxlan_node(2)
        beating.metadata.labels["beat"] = "1"
        world.client.put(beating)
        await world.clock.settle()
        assert world.manager.take() == {}
        world.client.put(vxlan_node(2, public_ip="10.79.0.8"), vxlan_node(3))
        world.client.put(vxlan_node(2, public_ip="10.79.0.9"))
        await world.manager.wait()
        await world.clock.settle()
        assert world.manager.take() == {"host2": lease(2, public_ip="10.79.0.9"), "host3": lease(3)}
        world.client.drop(vxlan_node(2))
        await world.manager.wait()
        assert world.manager.take() == {"host2": None}

    played(world, scenario)


def test_a_lease_that_cannot_be_read_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    world = World(vxlan_node(1), vxlan_node(2, public_ip="somewhere"))

    async def scenario() -> None:
        beating = vxlan_node(2, public_ip="somewhere")
        beating.metadata.labels["beat"] = "1"
        world.client.put(beating)
        await world.clock.settle()
        assert world.manager.take() == {"host1": lease(1)}

    played(world, scenario)
    assert caplog.text.count('Error turning node "host2" to lease') == 1


def test_a_server_that_refuses_is_asked_again_and_not_for_ever() -> None:
    world = World(node(1))
    world.client.fail(errors.internal_error("no"), "patch", core_v1.Node, 3)

    async def scenario() -> None:
        acquired = asyncio.ensure_future(world.manager.acquire(lease(1).attributes))
        await world.clock.advance(9)
        assert await acquired == lease(1)
        world.client.fail(errors.service_unavailable("never"), "patch", core_v1.Node, 100)
        refused = asyncio.ensure_future(world.manager.acquire(lease(1, public_ip="10.79.0.77").attributes))
        await world.clock.advance(33)
        with pytest.raises(SubnetError, match='timeout contacting kube-api, failed to patch node "host1"'):
            await refused

    played(world, scenario)


def test_a_node_that_registers_late_and_one_that_never_does() -> None:
    world = World()

    async def scenario() -> None:
        acquired = asyncio.ensure_future(world.manager.acquire(lease(1).attributes))
        await world.clock.advance(1)
        world.client.put(node(1))
        await world.clock.advance(5)
        assert await acquired == lease(1)
        world.client.drop(node(1))
        await world.clock.settle()
        never = asyncio.ensure_future(world.manager.own_node())
        await world.clock.advance(33)
        with pytest.raises(SubnetError, match='there is no node "host1"'):
            await never

    played(world, scenario)


def test_no_range_yet() -> None:
    late = node(1)
    late.spec.pod_cidr, late.spec.pod_cidrs = "", []
    world = World(late)

    async def scenario() -> None:
        with pytest.raises(SubnetError, match="pod cidr not assigned"):
            await world.manager.acquire(lease(1).attributes)

    played(world, scenario)
    assert world.patches() == []


def test_the_condition() -> None:
    world = World(node(1))

    async def scenario() -> None:
        await world.manager.tell_available()
        (condition,) = (await world.client.get(core_v1.Node, "host1")).status.conditions
        assert (condition.type, condition.status) == ("NetworkUnavailable", "False")
        assert (condition.reason, condition.message) == ("FlannelIsUp", "Flannel is running on this node")
        assert condition.last_transition_time == condition.last_heartbeat_time is not None

    played(world, scenario)


def test_the_own_name() -> None:
    pod = core_v1.Pod()
    pod.metadata.name, pod.metadata.namespace, pod.spec.node_name = "kube-flannel-x", "kube-flannel", "host7"
    client = MemoryClient(pod)

    def name(**environment: str) -> str:
        return asyncio.run(node_name(environment, client))

    assert name(NODE_NAME="host1", POD_NAME="x", POD_NAMESPACE="y") == "host1"
    assert name(POD_NAME="kube-flannel-x", POD_NAMESPACE="kube-flannel") == "host7"
    for environment, words in (
        ({}, "env variables POD_NAME and POD_NAMESPACE must be set"),
        ({"POD_NAME": "x"}, "env variables POD_NAME and POD_NAMESPACE must be set"),
        ({"POD_NAME": "x", "POD_NAMESPACE": "y"}, "error retrieving pod spec for 'y/x'"),
    ):
        with pytest.raises(SubnetError, match=words):
            name(**environment)
