"""The running daemon: a lease for this host, then the kernel as the others' leases say (upstream: main.go)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Interface
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
from .backends import Backend, BackendError, backend
from .config import NetworkConfig
from .interface import External, InterfaceError
from .lease import Attributes, Lease
from .network import Network
from .options import Settings
from .rules import RuleSet
from .subnetmanager import SubnetError, SubnetManager

_log = logging.getLogger(__name__)

REPAIR_SECONDS = 10.0  # upstream's routeCheck

T = TypeVar("T")


class StartError(Exception):
    """flanneld cannot run as it was asked to; one line for the user."""


class Flanneld:
    """`run` until cancelled. What it wrote into the kernel stays: traffic goes on without it."""

    def __init__(self, settings: Settings, config: NetworkConfig, manager: SubnetManager, clock: Clock) -> None:
        self._settings, self._config, self._manager, self._clock = settings, config, manager, clock
        self._iptables, self._router = IPTables(), Router()
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
        external = await self._blocking(self._external, stored.public_ip)
        _log.info(
            "Using interface with name %s and address %s, external address %s",
            external.name,
            external.address,
            external.public_ip,
        )
        chosen = backend(self._config.backend, external)
        try:
            await self._serve(chosen, external, stored.mac)
        finally:
            self._thread.submit(chosen.close)

    async def _serve(self, chosen: Backend, external: External, mac: str) -> None:
        lease = await self._register(chosen, external, mac)
        sets = await self._rule_sets(lease)
        await traffic.start(self._iptables, sets)
        network = Network(self._router, chosen, lease, self._config.network)
        await self._blocking(network.start, self._manager.take())
        self._write_subnet_file(lease, chosen.mtu)
        systemd.notify(systemd.READY)
        if self._settings.tell_available:
            await self._manager.tell_available()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(network))
            group.create_task(self._every(REPAIR_SECONDS, lambda: self._repair(network)))
            group.create_task(self._every(self._settings.resync_seconds, lambda: self._resync(sets, lease)))

    def _external(self, annotated: str) -> External:
        """On the router's thread. What is stored is stronger than the flag."""
        selection = self._settings.interface
        if annotated:
            selection = replace(selection, public_ip=annotated)

        def way_to(address: str) -> tuple[int, str]:
            try:
                return self._router.way_to(address)[:2]
            except LinkError as error:
                raise InterfaceError(f"couldn't lookup route to {address}: {error}") from None

        return interface.choose(selection, self._router.links(), self._router.default_device(), way_to)

    async def _register(self, chosen: Backend, external: External, mac: str) -> Lease:
        try:
            data = await self._blocking(chosen.prepare, self._router, mac)
        except LinkError as error:
            raise StartError(f"Error registering network: failed to create {chosen.type} device: {error}") from error
        try:
            return await self._manager.acquire(Attributes(external.public_ip, chosen.lease_type, data))
        except SubnetError as error:
            raise StartError(f"Error registering network: failed to acquire lease: {error}") from error

    async def _rule_sets(self, lease: Lease) -> Sequence[RuleSet]:
        sets = []
        if self._settings.ip_masq:
            random_fully = self._settings.random_fully and await self._has_random_fully()
            sets.append(rules.masquerade(self._config.network, lease.subnet, random_fully))
        if self._settings.forward_rules:
            sets.append(rules.forward(self._config.network))
        return sets

    async def _has_random_fully(self) -> bool:
        try:
            return await self._iptables.has_random_fully()
        except ProgramError as error:
            _log.error("Failed to setup IPTables: %s", error)
            return False

    def _write_subnet_file(self, lease: Lease, mtu: int) -> None:
        path, subnet = self._settings.subnet_file, lease.subnet
        bridge = IPv4Interface((subnet.network_address + 1, subnet.prefixlen))
        told = SubnetFile(self._config.network, bridge, mtu, self._settings.ip_masq)
        try:
            subnetfile.write(path, told.text())
        except OSError as error:
            _log.warning("Failed to write subnet file: %s: %s", path, error.strerror or error)
            return
        _log.info("Wrote subnet file to %s", path)
        self.ready = True

    async def _follow(self, network: Network) -> None:
        while True:
            await self._manager.wait()
            await self._blocking(network.apply, self._manager.take())

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._clock.sleep(seconds)
            await work()

    async def _repair(self, network: Network) -> None:
        try:
            await self._blocking(network.repair)
        except LinkError as error:
            _log.error("Will automatically retry: %s", error)

    async def _resync(self, sets: Sequence[RuleSet], lease: Lease) -> None:
        await traffic.resync(self._iptables, sets)
        if self._settings.blackhole_route:
            try:
                await self._blocking(self._router.add_blackhole, str(lease.subnet))
            except LinkError as error:
                _log.error("Failed to setup blackhole route, %s", error)
