"""The running daemon: a lease for this host, then the kernel as the others' leases say (upstream: main.go)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv6Interface
from typing import TypeVar

from pybernetes.aio.clock import Clock
from pybernetes.component import systemd
from pybernetes.net import subnetfile
from pybernetes.net.iptables import IPTables
from pybernetes.net.links import LinkError
from pybernetes.net.programs import ProgramError
from pybernetes.net.routes import Router
from pybernetes.net.subnetfile import SubnetFile

from . import interface, rules, traffic
from . import lease as leases_of
from .backends import Backend, BackendError, backend
from .config import NetworkConfig
from .interface import External, InterfaceError
from .lease import Attributes, Lease
from .network import Network
from .options import FlanneldOptions
from .rules import RuleSet
from .subnetmanager import Stored, SubnetError, SubnetManager

_log = logging.getLogger(__name__)

REPAIR_SECONDS = 10.0  # upstream's routeCheck

T = TypeVar("T")


class StartError(Exception):
    """flanneld cannot run as it was asked to; one line for the user."""


@dataclass(frozen=True, slots=True)
class Way:
    """A backend of one family, with the hardware address that its device had before."""

    backend: Backend
    mac: str


@dataclass(slots=True)
class Family:
    """What there is for IPv4, or for IPv6: this host's lease, all pods' network, and who brings the kernel there."""

    lease: Lease
    pods: leases_of.Network
    network: Network
    iptables: IPTables
    sets: Sequence[RuleSet] = ()


class Flanneld:
    """`run` until cancelled. What it wrote into the kernel stays: traffic goes on without it."""

    def __init__(self, options: FlanneldOptions, config: NetworkConfig, manager: SubnetManager, clock: Clock) -> None:
        self._options, self._config, self._manager, self._clock = options, config, manager, clock
        self._router = Router()
        # One thread: netlink's answers are waited for, and its socket is one thread's.
        self._thread = ThreadPoolExecutor(1, "netlink")
        self.ready = False

    async def run(self) -> None:
        """StartError, also where the lease is lost."""
        try:
            await self._run()
        except (BackendError, InterfaceError, LinkError, SubnetError) as error:
            raise StartError(str(error)) from error
        finally:
            self._thread.submit(self._router.close)
            self._thread.shutdown(wait=False)

    async def _blocking(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def _run(self) -> None:
        stored = await self._manager.stored()
        external = await self._blocking(self._external, stored)
        _log.info(
            "Using interface with name %s and address %s, external address %s",
            external.name,
            external.address,
            external.public_ip,
        )
        ways = [Way(backend(self._config.backend, external), stored.mac)]
        if self._config.ipv6_network is not None:
            ways.append(Way(backend(self._config.backend, external.ipv6()), stored.mac_v6))
        try:
            await self._serve(ways, external)
        finally:
            for way in ways:
                self._thread.submit(way.backend.close)

    async def _serve(self, ways: Sequence[Way], external: External) -> None:
        """`ways` are IPv4's, and IPv6's where there is that."""
        lease = await self._register(ways, external)
        families = self._families(ways, lease)
        for family in families:
            family.sets = await self._rule_sets(family)
            await traffic.start(family.iptables, family.sets)
        networks = [family.network for family in families]
        await self._blocking(_start, networks, self._manager.take())
        self._write_subnet_file(lease, ways[0].backend.mtu)
        systemd.notify(systemd.READY)
        if self._options.tell_available:
            await self._manager.tell_available()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(networks))
            group.create_task(self._every(REPAIR_SECONDS, lambda: self._repair(networks)))
            group.create_task(self._every(self._options.resync_seconds, lambda: self._resync(families)))

    def _families(self, ways: Sequence[Way], lease: Lease) -> list[Family]:
        config, ipv6 = self._config, lease.ipv6()
        families = [
            Family(lease, config.network, Network(self._router, ways[0].backend, lease, config.network), IPTables())
        ]
        if config.ipv6_network is not None and ipv6 is not None:
            network = Network(self._router, ways[1].backend, ipv6, config.ipv6_network)
            families.append(Family(ipv6, config.ipv6_network, network, IPTables("IPv6")))
        return families

    def _external(self, stored: Stored) -> External:
        """On the router's thread. What is stored is stronger than the flag."""
        selection = replace(self._options.interface, ipv6=self._config.ipv6_network is not None)
        if stored.public_ip:
            selection = replace(selection, public_ip=stored.public_ip)
        if stored.public_ipv6:
            selection = replace(selection, public_ipv6=stored.public_ipv6)

        def way_to(address: str) -> tuple[int, str]:
            try:
                return self._router.way_to(address)[:2]
            except LinkError as error:
                raise InterfaceError(f"couldn't lookup route to {address}: {error}") from None

        return interface.choose(selection, self._router.links(), self._router.default_device(), way_to)

    async def _register(self, ways: Sequence[Way], external: External) -> Lease:
        type, data = ways[0].backend.type, []
        try:
            for way in ways:
                data.append(await self._blocking(way.backend.prepare, self._router, way.mac))
        except LinkError as error:
            raise StartError(f"Error registering network: failed to create {type} device: {error}") from error
        attributes = Attributes(external.public_ip, ways[0].backend.lease_type, data[0])
        if len(ways) > 1:
            attributes = replace(attributes, public_ipv6=external.public_ipv6, backend_v6_data=data[1])
        try:
            return await self._manager.acquire(attributes)
        except SubnetError as error:
            raise StartError(f"Error registering network: failed to acquire lease: {error}") from error

    async def _rule_sets(self, family: Family) -> Sequence[RuleSet]:
        sets = []
        if self._options.ip_masq:
            random_fully = self._options.random_fully and await self._has_random_fully(family.iptables)
            sets.append(rules.masquerade(family.pods, family.lease.subnet, random_fully))
        if self._options.forward_rules:
            sets.append(rules.forward(family.pods))
        return sets

    @staticmethod
    async def _has_random_fully(iptables: IPTables) -> bool:
        try:
            return await iptables.has_random_fully()
        except ProgramError as error:
            _log.error("Failed to setup IPTables: %s", error)
            return False

    def _write_subnet_file(self, lease: Lease, mtu: int) -> None:
        path, subnet, ipv6 = self._options.subnet_file, lease.subnet, lease.ipv6_subnet
        told = SubnetFile(
            self._config.network,
            IPv4Interface(f"{subnet[1]}/{subnet.prefixlen}"),
            mtu,
            self._options.ip_masq,
            self._config.ipv6_network if ipv6 is not None else None,
            IPv6Interface(f"{ipv6[1]}/{ipv6.prefixlen}") if ipv6 is not None else None,
        )
        try:
            subnetfile.write(path, told.text())
        except OSError as error:
            _log.warning("Failed to write subnet file: %s: %s", path, error.strerror or error)
            return
        _log.info("Wrote subnet file to %s", path)
        self.ready = True

    async def _follow(self, networks: Sequence[Network]) -> None:
        while True:
            await self._manager.wait()
            await self._blocking(_apply, networks, self._manager.take())

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._clock.sleep(seconds)
            await work()

    async def _repair(self, networks: Sequence[Network]) -> None:
        for network in networks:
            try:
                await self._blocking(network.repair)
            except LinkError as error:
                _log.error("Will automatically retry: %s", error)

    async def _resync(self, families: Sequence[Family]) -> None:
        for family in families:
            await traffic.resync(family.iptables, family.sets)
            if self._options.blackhole_route:
                try:
                    await self._blocking(self._router.add_blackhole, str(family.lease.subnet))
                except LinkError as error:
                    _log.error("Failed to setup blackhole route, %s", error)


def _start(networks: Sequence[Network], leases: Mapping[str, Lease | None]) -> None:
    for number, network in enumerate(networks):
        network.start(_of_family(leases, number))


def _apply(networks: Sequence[Network], leases: Mapping[str, Lease | None]) -> None:
    for number, network in enumerate(networks):
        network.apply(_of_family(leases, number))


def _of_family(leases: Mapping[str, Lease | None], number: int) -> Mapping[str, Lease | None]:
    """IPv4's, or (1) what they say of IPv6."""
    if number == 0:
        return leases
    return {node: lease.ipv6() if lease is not None else None for node, lease in leases.items()}
