"""Keeps addresses and ports in step with Services, and the Service `kubernetes` with the API servers that are up.

Upstream: pkg/controlplane/controller/{kubernetesservice,defaultservicecidr}, pkg/controlplane/reconcilers/lease.go, and the repair loops
of the allocators.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from datetime import datetime

import msgspec

from pybernetes.aio.ending import end
from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_time
from pybernetes.component.metrics import Registry
from pybernetes.net.addresses import outward_address
from pybernetes.store.types import Closed, StoreError

from ..generic.cache import Lagging, Stored, WatchCache, Watcher
from ..generic.options import WriteOptions
from ..generic.store import GenericStore
from ..resource import Object
from . import kubernetes, repair
from .options import ServiceOptions
from .pool import Pool
from .records import ADDRESSES, PORTS

_log = logging.getLogger(__name__)

LEASES = ("masterleases", "endpoints")  # of the servers; no kind: keys are addresses
RENEW_SECONDS = 10.0  # upstream's interval of the endpoints' reconciler; a lease holds for kubernetes.LEASE_SECONDS
AGAIN_SECONDS = 2.0  # after a failure: who waited for a whole round would lose its lease
LEAVE_SECONDS = 2.0  # that a store may take as the server ends: who ends it waits
REPAIR_SECONDS = 180.0
SETTLE_SECONDS = 2.0  # that servers which start together need to agree on who makes the Service kubernetes


class ServiceKeeper:
    """Between `start` and `stop` one task of its own. A host without an outward address keeps no endpoints."""

    def __init__(
        self,
        cache: WatchCache,
        store: Callable[[str, str, str], GenericStore],
        pool: Pool,
        options: ServiceOptions,
        now: Callable[[], datetime],
    ) -> None:
        """`pool`: from which the store of Services allocates."""
        self._cache, self._options, self._now = cache, options, now
        self._leases = cache.of(*LEASES)
        self._pool = pool
        self._services = store("", "v1", "services")
        self._endpoints = store("", "v1", "endpoints")
        self._slices = store("discovery.k8s.io", "v1", "endpointslices")
        self._cidrs = store("networking.k8s.io", "v1", "servicecidrs")
        self._task: asyncio.Task[None] | None = None
        self._address, self._port = "", 0
        self._published: tuple[list[str], Stored | None, Stored | None] = [], None, None  # what was found to agree

    def measure(self, registry: Registry) -> None:
        """The allocators' metrics."""
        self._pool.measure(registry)

    async def start(self, port: int) -> None:
        """Returns when the Service `kubernetes` and its endpoints are there. `port`: where the server listens."""
        self._address, self._port = self._reached_at(), port
        await self._ensure_range()
        await self._ensure_service()
        # From before the leases are looked at: one that ends right then would be missed for a whole round.
        watcher = self._leases.watch(self._cache.revision)
        if self._address:
            await self._renew()
        self._task = asyncio.get_running_loop().create_task(self._run(watcher))

    def _reached_at(self) -> str:
        """Where pods find this server; "" where they cannot."""
        given = self._options.advertise
        if not given:
            return outward_address(self._options.networks[0].version)
        if ipaddress.ip_address(given).is_loopback:
            _log.warning("no pod can reach %s: the Service kubernetes has no endpoints", given)
            return ""
        return given

    async def stop(self) -> None:
        """Takes this server out of the endpoints."""
        if self._task is None:
            return
        await end(self._task)
        if not self._address:
            return
        try:
            async with self._cache.clock.timeout(LEAVE_SECONDS):
                await self._leave()
        except (StoreError, StatusError, TimeoutError) as error:
            why = str(error) or f"no answer of the store in {LEAVE_SECONDS:g} s"
            _log.warning(
                "this server could not be taken out of the endpoints of kubernetes, its lease runs out: %s", why
            )

    async def _leave(self) -> None:
        event = await self._cache.store.delete(self._leases.prefix + self._address)
        if event is not None:
            await self._cache.wait(event.revision)
        await self._publish()

    async def _run(self, watcher: Watcher) -> None:
        """`watcher`: of the leases."""
        clock = self._cache.clock
        repair_at = clock.monotonic() + REPAIR_SECONDS
        renew_at = clock.monotonic() + RENEW_SECONDS
        while True:
            watcher = await self._lease_ended(watcher, renew_at - clock.monotonic())
            try:
                if clock.monotonic() < renew_at:
                    await self._publish()
                    continue
                renew_at = clock.monotonic() + RENEW_SECONDS
                await self._ensure_service()
                if self._address:
                    await self._renew()
                if clock.monotonic() >= repair_at:
                    repair_at = clock.monotonic() + REPAIR_SECONDS
                    await self.repair()
            except Closed:
                return
            except StoreError as error:
                _log.error("services could not be looked after; again in %d s: %s", AGAIN_SECONDS, error)
                renew_at = min(renew_at, clock.monotonic() + AGAIN_SECONDS)
            except Exception:
                _log.exception("services could not be looked after; again in %d s", AGAIN_SECONDS)
                renew_at = min(renew_at, clock.monotonic() + AGAIN_SECONDS)

    async def _lease_ended(self, watcher: Watcher, seconds: float) -> Watcher:
        """Returns when a server has left, or after the time; the watcher for the next time. Who died leaves with its lease, not a
        round later."""
        clock = self._cache.clock
        until = clock.monotonic() + seconds
        try:
            while (left := until - clock.monotonic()) > 0:
                changes = await watcher.batch(left)
                if any(change.current is None for change in changes):
                    return watcher
                if watcher.ended:
                    await clock.sleep(left)  # the server stops
        except Lagging:
            return self._leases.watch(self._cache.revision)
        return watcher

    # The Service `kubernetes`.

    async def _ensure_range(self) -> None:
        """The ServiceCIDR of the command line; its status is for a second write, as for everyone."""
        service_cidr = kubernetes.service_cidr(self._options.networks, format_time(self._now()))
        if await _ensure(self._cidrs, "", service_cidr):
            await self._cidrs.update("", kubernetes.NAME, service_cidr, _inside(), "status")

    async def _ensure_service(self) -> None:
        """Another server that starts at the same time may have the address already, and not yet written the Service."""
        if self._services.key("default", kubernetes.NAME) in self._cache.of("", "services").items:
            return
        try:
            async with self._cache.clock.timeout(SETTLE_SECONDS):
                while not await self._service_is_there():
                    await self._cache.wait(self._cache.revision + 1)
        except TimeoutError:
            _log.warning("the Service kubernetes cannot be made; again in %d s", RENEW_SECONDS)

    async def _service_is_there(self) -> bool:
        try:
            await _ensure(self._services, "default", kubernetes.service(self._options.networks, self._port))
        except StatusError as error:
            if error.code not in (409, 422):
                raise
            _log.info("the Service kubernetes is not made: %s", error)
            return False
        return True

    async def _renew(self) -> None:
        value = {"metadata": {"name": self._address, "renewTime": format_time(self._now())}}
        written = await self._cache.store.put(self._leases.prefix + self._address, msgspec.json.encode(value))
        await self._cache.wait(written.mod_revision)
        await self._publish()

    async def _publish(self) -> None:
        """The endpoints of all servers whose lease holds; those of the last one stay, as upstream leaves them."""
        leases = [stored.obj["metadata"] for stored in self._leases.items.values()]
        alive = kubernetes.alive(leases, self._now())
        # A server elsewhere that says it is at a loopback address is reached by nobody, and no endpoint may be one.
        addresses = [address for address in alive if not ipaddress.ip_address(address).is_loopback]
        if not addresses or self._as_stored(addresses) == self._published:
            return
        await _ensure(self._endpoints, "default", kubernetes.endpoints(addresses, self._port))
        await _ensure(self._slices, "default", kubernetes.endpoint_slice(addresses, self._port))
        self._published = self._as_stored(addresses)

    def _as_stored(self, addresses: list[str]) -> tuple[list[str], Stored | None, Stored | None]:
        """The addresses, and the very objects that tell of them now."""
        endpoints, slices = (
            store.cache.resource(store.prefix).items.get(store.key("default", kubernetes.NAME))
            for store in (self._endpoints, self._slices)
        )
        return addresses, endpoints, slices

    # Addresses and ports.

    async def repair(self) -> None:
        """Does what `repair.plan` says."""
        addresses, ports = self._cache.of(*ADDRESSES), self._cache.of(*PORTS)
        services = [stored.obj for stored in self._cache.of("", "services").values]
        repairs = repair.plan(services, [s.obj for s in addresses.values], [s.obj for s in ports.values], self._now())
        for stored in (
            *(addresses.items.get(addresses.prefix + name) for name in repairs.stale_addresses),
            *(ports.items.get(f"{ports.prefix}{number}") for number in repairs.stale_ports),
        ):
            if stored is not None:
                _log.info("%s belongs to no service: it is free again", stored.key.rsplit("/", 1)[1])
                await self._pool.forget(stored)
        for name, service in repairs.missing_addresses:
            await self._pool.take_address(name, service)
        for number, service in repairs.missing_ports:
            await self._pool.take_port(number, service)


def _inside() -> WriteOptions:
    """The server's own writes."""
    return WriteOptions(admission=False)


async def _ensure(store: GenericStore, namespace: str, obj: Object) -> bool:
    """Makes it: True; writes what differs, of kinds whose content is the server's own."""
    name = obj["metadata"]["name"]
    plain, _ = store.schema.normalize(obj)
    key, items = store.key(namespace, name), store.cache.resource(store.prefix).items
    if key in items:
        if store.resource.name in ("endpoints", "endpointslices") and _differs(items[key].obj, plain):
            await store.update(namespace, name, plain, _inside())
        return False
    try:
        await store.create(plain, namespace, _inside())
    except StatusError:
        await store.cache.wait(await store.cache.store.revision())
        if key not in items:
            raise
        return False  # another server was faster
    return True


def _differs(present: Object, expected: Object) -> bool:
    return any(present.get(name) != expected.get(name) for name in ("subsets", "endpoints", "ports"))
