"""NetworkPolicies by packets: pods in three namespaces on one bridge, and somebody outside."""

from __future__ import annotations

import asyncio
import random
import shutil
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import pytest

from pybernetes.api import types
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import networking_v1 as networking
from pybernetes.client.memory import MemoryClient
from pybernetes.networkpolicy.kernel import KernelTable
from pybernetes.networkpolicy.table import TABLE

from ..unit.networkpolicy import world
from ..unit.networkpolicy.test_truth_table import change, told
from ..unit.networkpolicy.world import NAMES, NAMESPACES, Document, Flow, World, as_pod, as_policy
from .policyhosts import NODE, OUTSIDE, SERVED, Hosts, agent, eventually, hosts

pytestmark = pytest.mark.skipif(shutil.which("nft") is None, reason="needs nft")

HERE = "node-a"
A, B, C = "10.244.0.10", "10.244.0.11", "10.244.0.12"  # of namespace x
DENY: Document = {"podSelector": {"matchLabels": {"pod": "a"}}, "policyTypes": ["Ingress"]}


def cluster() -> World:
    some = World()
    for number, space in enumerate(NAMESPACES):
        some.namespaces[space] = world.namespace(space, "red" if number else "blue")
        for other, name in enumerate(NAMES):
            some.pods[space, name] = world.pod(space, name, 10 + 3 * number + other, HERE, tier="front")
    return some


@pytest.fixture(scope="module")
def pods() -> Iterator[Hosts]:
    with hosts(cluster().pods.values()) as found:
        yield found


def client_of(some: World) -> MemoryClient:
    client = MemoryClient()
    client.put(*(types.decode(types.encode(each), core.Namespace) for each in some.namespaces.values()))
    client.put(*map(as_pod, some.pods.values()))
    client.put(*map(as_policy, some.policies.values()))
    return client


def policy(name: str, space: str = "x", **spec: Any) -> Document:
    return {"metadata": {"namespace": space, "name": name}, "spec": spec}


def on(pods: Hosts, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """The scenario on the node; its table is gone afterwards."""

    async def run() -> None:
        try:
            await scenario()
        finally:
            await KernelTable().delete()

    pods.node.inside(lambda: asyncio.run(run()))


def all_flows(pods: Hosts) -> list[Flow]:
    places = [address for address in pods.places if ":" not in address]
    flows = [Flow(s, d, *served) for s in places for d in places if s != d for served in SERVED]
    six = [address for address in pods.places if ":" in address]
    return flows + [Flow(s, d, "TCP", 80) for s in six[:4] for d in six if s != d]


@pytest.mark.parametrize("seed", (1, 2, 3))
def test_packets_go_where_policies_let_them(pods: Hosts, seed: int) -> None:
    dice, some = random.Random(seed), cluster()
    for number in range(6):
        space = dice.choice(NAMESPACES)
        some.policies[space, f"p{number}"] = world.policy(dice, space, f"p{number}")
    flows = all_flows(pods)
    right = {flow for flow in flows if some.allowed(flow, HERE)}
    assert 0 < len(right) < len(flows)

    async def scenario() -> None:
        async with agent(client_of(some), HERE):
            await eventually(lambda: pods.answered(flows, right), right)

    on(pods, scenario)


def test_a_service_is_judged_by_its_pods_and_the_node_reaches_all(pods: Hosts) -> None:
    """kube-proxy's way, in short: the address of a Service becomes a pod's before the packet is forwarded. "http" of the pod is 80 and 81."""
    pods.node.run(
        "nft add table ip services; nft 'add chain ip services prerouting { type nat hook prerouting priority dstnat; }';"
        f"nft add rule ip services prerouting ip daddr 10.96.0.1 tcp dport 8000 dnat to {A}:80;"
        f"nft add rule ip services prerouting ip daddr 10.96.0.2 tcp dport 8000 dnat to {A}:8080"
    )
    some = cluster()
    allow = {"from": [{"podSelector": {"matchLabels": {"pod": "b"}}}], "ports": [{"port": "http", "protocol": "TCP"}]}
    some.policies["x", "p"] = policy("p", **DENY, ingress=[allow])
    flows = [Flow(source, f"10.96.0.{n}", "TCP", 8000) for source in (A, B, C, OUTSIDE) for n in (1, 2)]
    flows += [Flow(NODE, A, "TCP", 81), Flow(A, OUTSIDE, "TCP", 80)]
    right = {Flow(B, "10.96.0.1", "TCP", 8000), Flow(NODE, A, "TCP", 81), Flow(A, OUTSIDE, "TCP", 80)}
    reached = Hosts(pods.node, {**pods.places, NODE: pods.node})
    pods.places[OUTSIDE].run(
        "ip route replace 10.96.0.0/12 via 192.0.2.2; ip route replace 10.244.0.0/16 via 192.0.2.2"
    )

    async def scenario() -> None:
        async with agent(client_of(some), HERE):
            await eventually(lambda: reached.answered(flows, right) - _to_itself(flows), right)

    on(pods, scenario)
    assert "dnat to" in pods.node.run("nft list table ip services")  # others' tables are theirs
    pods.node.run("nft delete table ip services")


def _to_itself(flows: list[Flow]) -> set[Flow]:
    """Without kube-proxy's masquerade a pod that its own Service leads to itself hears no answer, or does: not the policies' matter."""
    return {flow for flow in flows if flow.source == A and flow.destination.startswith("10.96.")}


def test_a_flow_ends_when_a_policy_comes(pods: Hosts) -> None:
    """In both directions, though its packets are a known connection's; the same flow goes on when the policy goes."""
    some = cluster()
    other = policy("other", "z", podSelector={}, policyTypes=["Ingress"], ingress=[{}])  # so that the agent listens
    some.policies["z", "other"] = other

    def asked(connection: socket.socket) -> bool:
        """Whether an answer comes before that of somebody who may."""
        with suppress(BlockingIOError):  # it is still on its way
            connection.send(b"more")
        for _ in range(2):  # what has come before the first one is answered before the second
            assert pods.answered([Flow(B, C, "TCP", 80)], [Flow(B, C, "TCP", 80)])
        try:
            return bool(connection.recv(100))
        except BlockingIOError:
            return False

    async def scenario() -> None:
        client = client_of(some)
        async with agent(client, HERE):
            # Known to the kernel from its first packet on: else it would not be taken for one that was there before.
            await eventually(lambda: TABLE in pods.node.run("nft list tables"), True)
            connection = await asyncio.to_thread(pods.opened, Flow(B, A, "TCP", 80))
            try:
                await eventually(lambda: asked(connection), True)
                denied = as_policy(policy("deny", **DENY))
                await client.create(denied)
                await eventually(lambda: A in pods.node.run(f"nft list map {TABLE} ingress-v4", check=False), True)
                await asyncio.to_thread(_drain, connection)
                assert not await asyncio.to_thread(asked, connection)
                await client.delete(networking.NetworkPolicy, "deny", "x")
                await eventually(lambda: asked(connection), True)
            finally:
                connection.close()

    on(pods, scenario)


def _drain(connection: socket.socket) -> None:
    with suppress(BlockingIOError):
        while connection.recv(100):
            pass


def test_what_others_do_to_the_table_is_undone_and_theirs_stays(pods: Hosts) -> None:
    some = cluster()
    some.policies["x", "deny"] = policy("deny", **DENY)
    flows = [Flow(B, A, "TCP", 80), Flow(B, C, "TCP", 80)]
    pods.node.run("nft add table ip theirs; nft 'add chain ip theirs a { type filter hook forward priority 0; }'")

    async def scenario() -> None:
        async with agent(client_of(some), HERE, sync_period=0.2):
            for harm in ("flush chain inet {} ingress", "delete table inet {}", "flush map inet {} ingress-v4"):
                await eventually(lambda: pods.answered(flows, flows[1:]), set(flows[1:]))
                pods.node.run("nft " + harm.format(TABLE.split()[1]))
                await eventually(lambda: pods.answered(flows, flows[1:]), set(flows[1:]))
        pods.node.run("nft list chain ip theirs a")

    on(pods, scenario)
    pods.node.run("nft delete table ip theirs")


def test_what_a_killed_agent_left_holds_until_the_next_knows_better(pods: Hosts) -> None:
    """And with the last policy the table goes."""
    some = cluster()
    some.policies["x", "deny"] = policy("deny", **DENY)
    flows = [Flow(B, A, "TCP", 80), Flow(B, C, "TCP", 80)]

    async def scenario() -> None:
        client = client_of(some)
        async with agent(client, HERE):
            await eventually(lambda: pods.answered(flows, flows[1:]), set(flows[1:]))
        assert await asyncio.to_thread(pods.answered, flows, flows[1:]) == set(flows[1:])
        async with agent(client, HERE):
            await client.delete(networking.NetworkPolicy, "deny", "x")
            await eventually(lambda: pods.answered(flows, flows), set(flows))
            await eventually(lambda: TABLE in pods.node.run("nft list tables"), False)

    on(pods, scenario)


def test_a_thousand_changes_leave_what_a_fresh_start_makes(pods: Hosts) -> None:
    """nft takes every transaction, and shows the same table."""
    dice = random.Random(5)
    some = cluster()

    async def scenario() -> None:
        kernel = KernelTable()
        isolation = told(some, HERE)
        await kernel.apply(isolation.table.whole())
        for _ in range(100):
            for _ in range(10):
                change(dice, some, isolation)
            text = isolation.table.transaction()
            if text:
                await kernel.apply(text)
        changed = await kernel.listing()
        await kernel.apply(told(some, HERE).table.whole())
        assert _sorted(changed) == _sorted(await kernel.listing())

    on(pods, scenario)


def _sorted(listing: str | None) -> list[str]:
    """Objects of a table without their order, which is that of their making."""
    return sorted((listing or "").split("\n\n"))
