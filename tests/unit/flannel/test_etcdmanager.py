"""Leases in etcd, against a registry in memory: who gets which, renewal, news, the end of one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Network

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.flannel.config import NetworkConfig
from pybernetes.flannel.etcdmanager import TTL_SECONDS, EtcdSubnetManager
from pybernetes.flannel.etcdregistry import (
    INDEX_CLEARED,
    NODE_EXISTS,
    EtcdConfig,
    EtcdError,
    Event,
    Held,
    Registry,
    decode,
    encode,
)
from pybernetes.flannel.lease import Attributes, Lease, LeaseError, Network
from pybernetes.flannel.subnetmanager import SubnetError

from .hosts import NETWORK, lease


def held(number: int, ttl: int | None = 100, public_ip: str = "") -> Held:
    """As etcd knows them: by their subnets."""
    subnet = IPv4Network(f"10.244.{number}.0/24")
    return Held(Lease(str(subnet), subnet, lease(number, public_ip=public_ip).attributes), ttl)


class FakeRegistry(Registry):
    """Keeps leases; `events` are what watches give, one after the other."""

    def __init__(self, *leases: Held) -> None:
        super().__init__(EtcdConfig((), "/x"))
        self.held = {each.lease.subnet: each for each in leases}
        self.events: asyncio.Queue[Event | EtcdError] = asyncio.Queue()
        self.written: list[tuple[str, str, int | None]] = []
        self.racing = 0
        self.failing = 0

    async def leases(self) -> tuple[list[Held], int]:
        return list(self.held.values()), 7

    async def create(self, lease: Lease, ttl: int) -> None:
        if self.racing:
            self.racing -= 1
            raise EtcdError("105: Key already exists", NODE_EXISTS)
        self._write("create", lease, ttl)

    async def update(self, lease: Lease, ttl: int | None) -> None:
        if self.failing:
            self.failing -= 1
            raise EtcdError("unavailable")
        self._write("update", lease, ttl)

    def _write(self, word: str, lease: Lease, ttl: int | None) -> None:
        self.written.append((word, str(lease.subnet), ttl))
        self.held[lease.subnet] = Held(lease, ttl)

    async def delete(self, subnet: Network) -> None:
        self.written.append(("delete", str(subnet), None))
        self.held.pop(subnet, None)

    async def watch(self, after: int) -> Event | None:
        event = await self.events.get()
        if isinstance(event, EtcdError):
            raise event
        return event


ATTRIBUTES: Attributes = lease(1).attributes
CONFIG = NetworkConfig(NETWORK)
SMALL = NetworkConfig(NETWORK, subnet_len=26)


def played(
    registry: FakeRegistry,
    scenario: Callable[[EtcdSubnetManager, VirtualClock], Awaitable[None]],
    previous: str = "",
    config: NetworkConfig = CONFIG,
) -> None:
    async def main() -> None:
        clock = VirtualClock()
        network = IPv4Network(previous) if previous else None
        manager = EtcdSubnetManager(registry, config, network, 3600, clock)
        running = asyncio.ensure_future(manager.run())
        try:
            await scenario(manager, clock)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("leases", "previous", "config", "written"),
    [
        # By the own address, whatever the subnet was before.
        ([held(5, public_ip="10.79.0.1")], "", CONFIG, [("update", "10.244.5.0/24", TTL_SECONDS)]),
        (
            [held(5, public_ip="10.79.0.1"), held(6)],
            "10.244.6.0/24",
            CONFIG,
            [("update", "10.244.5.0/24", TTL_SECONDS)],
        ),
        ([held(5, None, "10.79.0.1")], "", CONFIG, [("update", "10.244.5.0/24", None)]),  # a reservation stays one
        # By the subnet of before: the host has another address now.
        ([held(5)], "10.244.5.0/24", CONFIG, [("update", "10.244.5.0/24", TTL_SECONDS)]),
        ([held(5)], "10.244.9.0/24", CONFIG, [("create", "10.244.9.0/24", TTL_SECONDS)]),
    ],
)
def test_a_lease_that_was_there(
    leases: list[Held], previous: str, config: NetworkConfig, written: list[tuple[str, str, int | None]]
) -> None:
    registry = FakeRegistry(*leases)

    async def scenario(manager: EtcdSubnetManager, clock: VirtualClock) -> None:
        own = await manager.acquire(ATTRIBUTES)
        assert own.attributes == ATTRIBUTES and manager.take()[own.node] == own

    played(registry, scenario, previous, config)
    assert registry.written == written


def test_a_lease_of_an_earlier_configuration_goes() -> None:
    registry = FakeRegistry(held(5, public_ip="10.79.0.1"))

    async def scenario(manager: EtcdSubnetManager, clock: VirtualClock) -> None:
        assert (await manager.acquire(ATTRIBUTES)).subnet.prefixlen == 26

    played(registry, scenario, "10.244.5.0/24", SMALL)
    assert registry.written[0] == ("delete", "10.244.5.0/24", None) and registry.written[-1][0] == "create"


def test_races_and_full_networks() -> None:
    registry = FakeRegistry(*(held(number) for number in range(1, 255)))
    registry.racing = 3

    async def scenario(manager: EtcdSubnetManager, clock: VirtualClock) -> None:
        other = lease(1, public_ip="10.79.7.7").attributes
        assert str((await manager.acquire(other)).subnet) == "10.244.255.0/24"
        registry.racing = 10
        registry.held.pop(IPv4Network("10.244.8.0/24"))
        with pytest.raises(SubnetError, match="Max retries reached trying to acquire a subnet"):
            await manager.acquire(lease(1, public_ip="10.79.7.8").attributes)
        registry.held[IPv4Network("10.244.8.0/24")] = held(8)
        with pytest.raises(SubnetError, match="out of subnets"):
            await manager.acquire(lease(1, public_ip="10.79.7.9").attributes)

    played(registry, scenario)


def test_renewal() -> None:
    registry = FakeRegistry()

    async def scenario(manager: EtcdSubnetManager, clock: VirtualClock) -> None:
        await manager.acquire(ATTRIBUTES)
        await clock.advance(TTL_SECONDS - 3601)
        assert len(registry.written) == 1
        registry.failing = 2
        await clock.advance(1 + 60)
        assert len(registry.written) == 1
        await clock.advance(60)
        assert len(registry.written) == 2
        await clock.advance(TTL_SECONDS)
        assert len(registry.written) == 3

    played(registry, scenario)


def test_news_and_the_end_of_the_own_lease() -> None:
    registry = FakeRegistry(held(2), held(3))

    async def main() -> None:
        manager = EtcdSubnetManager(registry, CONFIG, IPv4Network("10.244.1.0/24"), 3600, VirtualClock())
        running = asyncio.ensure_future(manager.run())
        await manager.acquire(ATTRIBUTES)
        assert manager.take().keys() == {"10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24"}
        registry.events.put_nowait(Event(held(3).lease.subnet, None, 8))
        registry.events.put_nowait(Event(None, None, 9))
        registry.events.put_nowait(Event(held(4).lease.subnet, held(4).lease, 10))
        await manager.wait()
        await asyncio.sleep(0.01)
        assert manager.take() == {"10.244.3.0/24": None, "10.244.4.0/24": held(4).lease}
        # etcd has forgotten what happened: all is listed, and who is missing is gone.
        registry.events.put_nowait(EtcdError("401: cleared", INDEX_CLEARED))
        await manager.wait()
        news = manager.take()
        assert news["10.244.4.0/24"] is None and news["10.244.2.0/24"] == held(2).lease
        registry.events.put_nowait(Event(IPv4Network("10.244.1.0/24"), None, 11))
        with pytest.raises(ExceptionGroup) as ended:
            await running
        assert "Lease has been revoked" in str(ended.value.exceptions[0])

    asyncio.run(main())


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        (
            lease(2).attributes,
            '{"PublicIP":"10.79.0.2","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:02"}}',
        ),
        (lease(2, "host-gw").attributes, '{"PublicIP":"10.79.0.2","BackendType":"host-gw"}'),
    ],
)
def test_values(attributes: Attributes, text: str) -> None:
    assert encode(attributes) == text
    assert decode(IPv4Network("10.244.2.0/24"), text) == Lease(
        "10.244.2.0/24", IPv4Network("10.244.2.0/24"), attributes
    )


@pytest.mark.parametrize("value", ["", "[]", "null", "{}", '{"PublicIP": "x"}', '{"PublicIP": 5}', "[" * 100_000])
def test_values_that_are_none(value: str) -> None:
    with pytest.raises(LeaseError, match="Ignoring bad subnet node"):
        decode(IPv4Network("10.244.2.0/24"), value)
