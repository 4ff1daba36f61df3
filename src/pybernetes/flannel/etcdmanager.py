"""Leases in etcd: every host takes a subnet for itself (upstream: subnet/etcdv2/local_manager.go of v0.11, and MonitorLease)."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection
from dataclasses import replace
from ipaddress import IPv4Network

from pybernetes.aio.clock import Clock

from . import subnets
from .config import NetworkConfig
from .etcdregistry import INDEX_CLEARED, NODE_EXISTS, EtcdError, Held, LeaseRegistry
from .lease import Attributes, Lease
from .subnetmanager import Pending, Stored, SubnetError
from .subnets import Range

_log = logging.getLogger(__name__)

TTL_SECONDS = 24 * 3600
RACES = 10  # so often somebody else may be faster
RETRY_SECONDS = 1.0
RENEW_RETRY_SECONDS = 60.0


class EtcdSubnetManager:
    """See `SubnetManager`. `previous` is the subnet that this host had before: it is taken again where it is free."""

    def __init__(
        self,
        registry: LeaseRegistry,
        config: NetworkConfig,
        previous: IPv4Network | None,
        renew_margin: float,
        clock: Clock,
    ) -> None:
        """ConfigError of `subnets.allotted`."""
        self._registry, self._clock, self._margin = registry, clock, renew_margin
        self._range: Range = subnets.allotted(config)
        self._previous = previous
        self._pending = Pending()
        self._others: set[str] = set()
        self._own: Lease | None = None
        self._ttl: int | None = TTL_SECONDS
        self._acquired, self._listed = asyncio.Event(), asyncio.Event()

    async def stored(self) -> Stored:
        return Stored()

    def take(self) -> dict[str, Lease | None]:
        return self._pending.take()

    async def wait(self) -> None:
        await self._pending.wait()

    async def tell_available(self) -> None:
        """There is nobody to tell."""

    async def acquire(self, attributes: Attributes) -> Lease:
        """Returns when the others' leases can be taken, too."""
        for _ in range(RACES):
            try:
                self._own = await self._try(attributes)
            except EtcdError as error:
                if error.code != NODE_EXISTS:
                    raise SubnetError(str(error)) from error
            else:
                self._acquired.set()
                await self._listed.wait()
                return self._own
        raise SubnetError("Max retries reached trying to acquire a subnet")

    async def _try(self, attributes: Attributes) -> Lease:
        held, _ = await self._registry.leases()
        for reason, mine in (
            ("current IP", _first(held, lambda lease: lease.attributes.public_ip == attributes.public_ip)),
            ("previous subnet", _first(held, lambda lease: lease.subnet == self._previous)),
        ):
            if mine is None:
                continue
            subnet = mine.lease.subnet
            if subnet in self._range:
                _log.info("Found lease (%s) for %s, reusing", subnet, reason)
                lease = replace(mine.lease, attributes=attributes)
                self._ttl = None if mine.ttl is None else TTL_SECONDS
                await self._registry.update(lease, self._ttl)
                return lease
            _log.info("Found lease (%s) for %s but not compatible with current config, deleting", subnet, reason)
            await self._registry.delete(subnet)
        subnet = self._choose(held)
        lease = Lease(str(subnet), subnet, attributes)
        await self._registry.create(lease, TTL_SECONDS)
        self._ttl = TTL_SECONDS
        _log.info("Allocated lease (%s) to current node (%s)", subnet, attributes.public_ip)
        return lease

    def _choose(self, held: list[Held]) -> IPv4Network:
        taken = [each.lease.subnet for each in held]
        if self._previous is not None and self._previous in self._range and self._previous not in taken:
            return self._previous
        free = subnets.candidates(self._range, taken)
        if not free:
            raise SubnetError("out of subnets")
        return secrets.choice(free)

    async def run(self) -> None:
        await self._acquired.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renew())
            group.create_task(self._watch())

    async def _renew(self) -> None:
        """For ever; a reservation needs none."""
        assert self._own is not None
        delay = TTL_SECONDS - self._margin
        while self._ttl is not None:
            await self._clock.sleep(delay)
            try:
                await self._registry.update(self._own, self._ttl)
            except EtcdError as error:
                _log.error("Error renewing lease (trying again in 1 min): %s", error)
                delay = RENEW_RETRY_SECONDS
            else:
                _log.info("Lease renewed")
                delay = TTL_SECONDS - self._margin

    async def _watch(self) -> None:
        index: int | None = None
        while True:
            try:
                index = await self._list() if index is None else await self._next(index)
            except EtcdError as error:
                if error.code == INDEX_CLEARED:
                    _log.warning("Watch of subnet leases failed because etcd index outside history window")
                    index = None
                    continue
                _log.error("Watch subnets: %s", error)
                await self._clock.sleep(RETRY_SECONDS)

    async def _list(self) -> int:
        """What is not there any more is told, too."""
        held, index = await self._registry.leases()
        present = {each.lease.node: each.lease for each in held}
        self._check(present)
        for name in self._others - present.keys():
            self._pending.put(name, None)
        for name, lease in present.items():
            self._pending.put(name, lease)
        self._others = set(present)
        self._listed.set()
        return index

    def _check(self, present: Collection[str]) -> None:
        if self._own is not None and self._own.node not in present:
            raise SubnetError("Lease has been revoked. Shutting down daemon.")

    async def _next(self, index: int) -> int:
        event = await self._registry.watch(index)
        if event is None:
            return index
        if event.subnet is not None:
            name = str(event.subnet)
            if event.lease is None:
                self._others.discard(name)
                self._check(self._others)
            else:
                self._others.add(name)
            self._pending.put(name, event.lease)
        return event.index


def _first(held: list[Held], fits: Callable[[Lease], bool]) -> Held | None:
    return next((each for each in held if fits(each.lease)), None)
