"""Addresses of pools by packets: two nodes and a neighbour on one link, who learns by ARP and neighbour discovery which node has one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from pybernetes.aio.clock import RealClock
from pybernetes.client.informer import InformerFactory
from pybernetes.client.memory import MemoryClient
from pybernetes.loadbalancer.announcer import Announcer
from pybernetes.loadbalancer.pools import parse
from pybernetes.loadbalancer.speaker import Speaker
from pybernetes.net.routes import Router

from ..unit.loadbalancer.objects import service
from .namespaces import Namespace, created

POOLS = parse(["198.51.100.0/28", "2001:db8:1::/120"])
SECONDS = 90.0
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")


@dataclass
class Network:
    nodes: list[Namespace]
    neighbour: Namespace

    def holder(self, address: str) -> str:
        """The hardware address at which the neighbour finds it now, asked anew; "" where nobody answers."""
        six = "-6 " if ":" in address else ""
        self.neighbour.run(f"ip {six}neigh flush {address} dev eth0", check=False)
        self.neighbour.run(f"ping {six}-c1 -W0.2 {address}", check=False)
        return self.known(address)

    def known(self, address: str) -> str:
        """What the neighbour believes, unasked."""
        words = self.neighbour.run(f"ip neigh show {address} dev eth0").split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else ""


class Way:
    """A node's way to the API server; of one that is dead no request comes."""

    def __init__(self, client: MemoryClient) -> None:
        self._client, self.is_dead = client, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def patch(self, *arguments: Any, **more: Any) -> Any:
        if self.is_dead:
            await asyncio.Event().wait()
        return await self._client.patch(*arguments, **more)


@pytest.fixture
def network() -> Iterator[Network]:
    with ExitStack() as stack:
        switch, neighbour = stack.enter_context(created("switch")), stack.enter_context(created("neighbour"))
        nodes = [stack.enter_context(created(f"n{number}")) for number in range(2)]
        switch.run("ip link add br0 type bridge; ip link set br0 up")
        for number, host in enumerate([*nodes, neighbour]):
            mac = [*MACS, "02:00:00:00:00:09"][number]
            switch.run(
                f"ip link add p{number} type veth peer name eth0 address {mac} netns {host.name};"
                f"ip link set p{number} master br0 up"
            )
            host.run(
                f"ip addr add 198.51.100.{201 + number}/24 dev eth0; ip addr add 2001:db8:1::{201 + number}/64 dev eth0 nodad;"
                "ip link set eth0 addrgenmode none; ip link set eth0 up; ip addr add fe80::"
                + f"{number + 1}/64 dev eth0 nodad"
            )
        yield Network(nodes, neighbour)


async def speaking(node: str, client: Any, announcer: Announcer) -> None:
    informers = InformerFactory(client)
    speaker = Speaker(node, POOLS, client, informers, announcer, RealClock())
    async with asyncio.TaskGroup() as group:
        group.create_task(informers.run())
        group.create_task(speaker.run())


def announcer_on(host: Namespace) -> Announcer:
    """Its sockets are the namespace's; the loop is this one."""
    loop = asyncio.get_running_loop()

    def make() -> Announcer:
        with Router() as router:
            link = router.link("eth0")
        assert link is not None
        return Announcer([link], loop)

    return host.inside(make)


def test_addresses_are_found_at_one_node_and_move_when_it_dies(network: Network) -> None:
    addresses = ["198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4", "2001:db8:1::5", "2001:db8:1::6"]

    async def scenario() -> None:
        client = MemoryClient()
        ways = [Way(client), Way(client)]
        client.put(*(service(f"s{n}", address) for n, address in enumerate(addresses)))
        client.put(service("other", "198.51.100.77"))  # of no pool
        announcers = [announcer_on(host) for host in network.nodes]
        work = [
            asyncio.ensure_future(speaking(f"n{number}", ways[number], announcer))
            for number, announcer in enumerate(announcers)
        ]
        try:
            await until(lambda: set(found(network, addresses).values()) == set(MACS))
            before = await asyncio.to_thread(found, network, addresses)
            assert await asyncio.to_thread(network.holder, "198.51.100.77") == ""
            # The first node dies without a word: nothing answers, nothing renews.
            announcers[0].close()
            ways[0].is_dead = True
            moved = [address for address, mac in before.items() if mac == MACS[0]]
            # By gratuitous ARP and unsolicited advertisements: the neighbour asks nobody.
            await until(lambda: all(network.known(address) == MACS[1] for address in moved))
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            announcers[1].close()

    asyncio.run(scenario())


def found(network: Network, addresses: list[str]) -> dict[str, str]:
    return {address: network.holder(address) for address in addresses}


async def until(check: object) -> None:
    assert callable(check)
    clock = RealClock()
    end = clock.monotonic() + SECONDS
    while not await asyncio.to_thread(check):
        assert clock.monotonic() < end
        await asyncio.sleep(0.05)
