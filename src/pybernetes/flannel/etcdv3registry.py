"""Leases as keys in etcd's v3 API (upstream: pkg/subnet/etcd/registry.go of today). See `etcdregistry.LeaseRegistry`.

Keys and values are those of the v2 API, below the same prefix. A lease's key hangs on a lease of etcd's; one without is a reservation.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING

from pybernetes.store import types
from pybernetes.store.backends import Location, LocationError
from pybernetes.store.types import Compacted, Conflict, Progress, StoreError

from . import subnets
from .etcdregistry import INDEX_CLEARED, NODE_EXISTS, EtcdConfig, EtcdError, Event, Held, decode, encode
from .lease import Lease, LeaseError, Network

if TYPE_CHECKING:
    from pybernetes.store.etcd.store import EtcdStore

_log = logging.getLogger(__name__)


class V3Registry:
    """One etcd cluster of 3.4 or later. It is called when it is needed first, and until it answers."""

    def __init__(self, config: EtcdConfig) -> None:
        """ValueError: the endpoints are none, or a file cannot be read."""
        from pybernetes.store.etcd.channel import Endpoint, tls_context

        if config.username:
            raise ValueError(
                "--etcd-username: users of etcd's are for its v2 API, the v3 API is called with a certificate"
            )
        self._location = Location(tuple(config.endpoints), config.ca_file, config.certificate_file, config.key_file)
        if any(Endpoint(url).tls for url in config.endpoints):
            tls_context(self._location)
        prefix = "/" + config.prefix.strip("/")
        self._config_key, self._prefix = f"{prefix}/config", f"{prefix}/subnets/"
        self._store: EtcdStore | None = None
        self._told: AsyncGenerator[types.Event | Progress] | None = None
        self._at = -1  # the index that the watch has told last

    async def close(self) -> None:
        if self._told is not None:
            await self._told.aclose()
        if self._store is not None:
            await self._store.close()

    async def _opened(self) -> EtcdStore:
        from pybernetes.store.etcd.store import open_etcd

        if self._store is None:
            try:
                self._store = await open_etcd(self._location)
            except (LocationError, StoreError) as error:
                raise EtcdError(f"client: etcd cluster is unavailable or misconfigured: {error}") from error
        return self._store

    async def network_config(self) -> str:
        with _refusals():
            page = await (await self._opened()).list(self._config_key, limit=1)
        if not page.items or page.items[0].key != self._config_key:
            raise EtcdError("flannel config not found in etcd store. Did you create your config using etcdv3 API?")
        return page.items[0].value.decode(errors="replace")

    async def leases(self) -> tuple[list[Held], int]:
        with _refusals():
            store = await self._opened()
            page = await store.list(self._prefix)
            lasting = await store.without_lease(self._prefix, page.revision)
        held = []
        for item in page.items:
            lease = self._lease(item)
            if lease is not None:
                held.append(Held(lease, None if item.key in lasting else 0))
        return held, page.revision

    def _lease(self, item: types.KeyValue) -> Lease | None:
        """None of what is none, which the log tells."""
        subnet = subnets.parse_key(item.key)
        if subnet is None:
            _log.warning("Ignoring bad subnet node: failed to parse subnet key %s", item.key)
            return None
        try:
            return decode(subnet, item.value.decode(errors="replace"))
        except LeaseError as error:
            _log.warning("%s", error)
            return None

    async def create(self, lease: Lease, ttl: int) -> None:
        try:
            with _refusals():
                await (await self._opened()).put(self._key(lease.subnet), self._value(lease), 0, ttl=ttl)
        except Conflict as error:
            raise EtcdError("subnet already exists", NODE_EXISTS) from error

    async def update(self, lease: Lease, ttl: int | None) -> None:
        with _refusals():
            await (await self._opened()).put(self._key(lease.subnet), self._value(lease), ttl=ttl or 0)

    async def delete(self, subnet: Network) -> None:
        with _refusals():
            await (await self._opened()).delete(self._key(subnet))

    async def watch(self, after: int) -> Event | None:
        """The next change after an index. EtcdError of INDEX_CLEARED: list again."""
        try:
            with _refusals():
                if self._told is None or self._at != after:
                    await self._begin(after)
                assert self._told is not None
                one = await anext(self._told)
        except (EtcdError, Compacted, StopAsyncIteration) as error:
            self._told = None
            if isinstance(error, Compacted):
                raise EtcdError(str(error), INDEX_CLEARED) from error
            if isinstance(error, StopAsyncIteration):
                raise EtcdError("the watch has ended") from error
            raise
        self._at = one.revision
        if isinstance(one, Progress):
            return Event(None, None, one.revision)
        subnet = subnets.parse_key(one.key)
        if one.current is None or subnet is None:
            return Event(subnet, None, one.revision)
        lease = self._lease(one.current)
        return Event(subnet if lease is not None else None, lease, one.revision)

    async def _begin(self, after: int) -> None:
        if self._told is not None:
            await self._told.aclose()
        self._told = (await self._opened()).watch(self._prefix, after)

    def _key(self, subnet: Network) -> str:
        return self._prefix + subnets.key(subnet)

    @staticmethod
    def _value(lease: Lease) -> bytes:
        return encode(lease.attributes, with_ipv6=True).encode()


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (Compacted, Conflict):
        raise
    except StoreError as error:
        raise EtcdError(str(error)) from error
