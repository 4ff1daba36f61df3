"""The elected controller over a client in memory: statuses, finalizers, events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.types import coordination_v1 as coordination
from pybernetes.api.types import core_v1 as core
from pybernetes.client.informer import InformerFactory
from pybernetes.client.memory import MemoryClient
from pybernetes.loadbalancer.controller import Config, ServiceController
from pybernetes.loadbalancer.pools import parse
from pybernetes.loadbalancer.speaker import LEASE_SECONDS, Speaker

from .objects import node, service

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
TWO = parse(["192.0.2.0/31"])


class Recorder:
    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.messages: list[str] = []

    def normal(self, about: object, reason: str, message: str) -> None:
        self.reasons.append(reason)
        self.messages.append(message)

    warning = normal


class Case:
    def __init__(self, config: Config, *objects: core.Service | core.Node) -> None:
        self.client, self.clock, self.recorder = MemoryClient(), VirtualClock(), Recorder()
        self.client.put(*objects)
        self.informers = InformerFactory(self.client, self.clock)
        self.controller = ServiceController(config, self.client, self.informers, self.recorder, self.clock)  # type: ignore[arg-type]

    async def ingress(self, name: str) -> list[str]:
        await settle()
        found = await self.client.get(core.Service, name, "default")
        return [each.ip for each in found.status.load_balancer.ingress]


async def settle() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


def running(case: Callable[[], Case], scenario: Callable[[Case], Awaitable[None]]) -> None:
    async def run() -> None:
        made = case()
        tasks = [asyncio.ensure_future(work) for work in (made.informers.run(), made.controller.run())]
        await settle()
        try:
            await scenario(made)
            assert not any(task.done() for task in tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())


def test_a_service_gets_an_address_and_gives_it_back() -> None:
    async def scenario(case: Case) -> None:
        assert await case.ingress("a") == ["192.0.2.0"]
        assert case.recorder.reasons == ["EnsuringLoadBalancer", "EnsuredLoadBalancer"]
        found = await case.client.get(core.Service, "a", "default")
        assert found.metadata.finalizers == [FINALIZER]
        await case.client.delete(core.Service, "a", "default")
        await settle()
        assert case.client.all(core.Service) == []
        assert case.recorder.reasons[2:] == ["DeletingLoadBalancer", "DeletedLoadBalancer"]
        await case.client.create(service("b"))
        assert await case.ingress("b") == ["192.0.2.0"]

    running(lambda: Case(Config(TWO), service("a")), scenario)


def test_nobody_gets_what_another_has_and_who_waits_gets_what_is_freed() -> None:
    async def scenario(case: Case) -> None:
        assert await case.ingress("old") == ["192.0.2.0"]  # from an earlier run
        assert sorted([*await case.ingress("a"), *await case.ingress("b")]) == ["192.0.2.1"]
        assert (
            case.recorder.messages.count(
                "Error syncing load balancer: failed to ensure load balancer: no IPv4 address is free in the pools"
            )
            == 1
        )
        await case.client.delete(core.Service, "old", "default")
        assert sorted([*await case.ingress("a"), *await case.ingress("b")]) == ["192.0.2.0", "192.0.2.1"]

    running(lambda: Case(Config(TWO), service("a"), service("b"), service("old", "192.0.2.0")), scenario)


def test_another_type_takes_the_address_away() -> None:
    async def scenario(case: Case) -> None:
        found = await case.client.get(core.Service, "a", "default")
        found.spec.type = "ClusterIP"
        await case.client.update(found)
        assert await case.ingress("a") == []
        assert (await case.client.get(core.Service, "a", "default")).metadata.finalizers == []

    running(lambda: Case(Config(TWO), service("a")), scenario)


def test_without_pools_the_nodes_serve() -> None:
    async def scenario(case: Case) -> None:
        assert await case.ingress("a") == ["192.0.2.3"]
        await case.client.create(node("n2", "192.0.2.4"))
        assert await case.ingress("a") == ["192.0.2.3", "192.0.2.4"]
        assert await case.ingress("b") == []
        refusal = "port 80/TCP of the nodes is that of service default/a"
        assert f"Error syncing load balancer: failed to ensure load balancer: {refusal}" in case.recorder.messages
        await case.client.delete(core.Service, "a", "default")
        assert await case.ingress("b") == ["192.0.2.3", "192.0.2.4"]

    running(lambda: Case(Config(parse([])), service("a"), service("b"), node("n1", "192.0.2.3")), scenario)


class Held:
    def __init__(self) -> None:
        self.addresses: frozenset[str] = frozenset()

    def set(self, addresses: Collection[str]) -> None:
        self.addresses = frozenset(addresses)

    def repeat(self) -> None:
        pass


def test_addresses_move_when_a_node_falls_silent_but_not_when_the_api_server_does() -> None:
    async def run() -> None:
        client, clock = MemoryClient(), VirtualClock()
        client.put(*(service(f"s{n}", f"192.0.2.{n}") for n in range(2)))
        client.put(*(service(f"t{n}", f"198.51.100.{n}") for n in range(30)))
        pools = parse(["192.0.2.0/31", "198.51.100.0/24"])
        everything = frozenset(["192.0.2.0", "192.0.2.1", *(f"198.51.100.{n}" for n in range(30))])
        held = [Held(), Held()]
        work: list[list[asyncio.Task[None]]] = []
        for number, each in enumerate(held):
            informers = InformerFactory(client, clock)
            speaker = Speaker(f"n{number}", pools, client, informers, each, clock)
            work.append([asyncio.ensure_future(informers.run()), asyncio.ensure_future(speaker.run())])
        for _ in range(4):
            await settle()
            await clock.advance(0.3)
        await settle()
        assert held[0].addresses | held[1].addresses == everything
        assert held[0].addresses and held[1].addresses and not held[0].addresses & held[1].addresses
        before = held[0].addresses
        client.fail(ConnectionError("away"), "patch", coordination.Lease, 30)
        for _ in range(40):
            await clock.advance(0.3)
            await settle()
            assert held[0].addresses == before  # nobody can tell who is there, nor just after that

        await stop(work[1])
        for _ in range(int(LEASE_SECONDS / 0.3) + 4):
            await clock.advance(0.3)
            await settle()
        assert held[0].addresses == everything
        await stop(work[0])

    asyncio.run(run())


async def stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
