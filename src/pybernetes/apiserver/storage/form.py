"""A `Store` whose keys and values are the API server's, over one that keeps them in upstream's form."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol

import msgspec

from pybernetes.api import protobufencode
from pybernetes.api.protowire import ProtobufError
from pybernetes.store.transformed import Rewritable
from pybernetes.store.types import Conflict, Event, KeyValue, Page, Progress, Store, StoreError

from ..generic.keys import Keys
from ..resource import Resource
from . import codec
from .codec import Unreadable
from .layout import Layout
from .ports import NodePorts

_log = logging.getLogger(__name__)

AT_ONCE = 25  # objects that are read before others have a turn: about 10 ms
KNOWN_WRITES = 500  # own writes that the watch has not told yet, and that need not be read when it does
Events = list[Event]  # where a method called list hides the type
FOREVER = "9999-12-31T00:00:00Z"  # renewal of a server's lease: etcd ends it


class TTLStore(Store, Protocol):
    """A store in which keys can end by themselves."""

    async def put(self, key: str, value: bytes, expected: int | None = None, *, ttl: int = 0) -> KeyValue:
        """As `Store.put`; with `ttl` the key ends after so many seconds, or a little later."""


class UpstreamForm:
    """See `Store`; for one watch of everything, that of the watch cache.

    `resources`: what is built in; `ttls`: how many seconds keys of a (group, resource) live; `ports`: the first and the last node port.
    """

    def __init__(
        self,
        store: TTLStore,
        keys: Keys,
        resources: Iterable[Resource],
        ttls: Mapping[tuple[str, str], int],
        ports: tuple[int, int],
        now: Callable[[], datetime],
    ) -> None:
        stored = {one.stored_at: one for one in resources if (one.group, one.name, one.version) == one.stored_at}
        self._store, self._keys = store, keys
        self._rewritable = store if isinstance(store, Rewritable) else None
        self._layout = Layout(keys, (at[:2] for at in stored))
        self._resources = {keys.resource(*at[:2]): one for at, one in stored.items()}
        self._ttls = {keys.resource(*at): seconds for at, seconds in ttls.items()}
        self._leases = keys.resource("masterleases", "endpoints")
        self._writing: dict[
            str, tuple[bytes, bytes]
        ] = {}  # by key: as stored, as put; for the watch, which need not read it again
        place = f"{keys.root}ranges/servicenodeports"
        self._ports = NodePorts(store, place, keys.resource("ranges", "servicenodeports"), ports, now)

    async def revision(self) -> int:
        """See `Store`."""
        return await self._store.revision()

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See `Store`. The order is that of the keys within a resource; pages are of one resource."""
        theirs_after = self._layout.theirs(after) if after else ""
        page = await self._store.list(self._layout.theirs(prefix), after=theirs_after, limit=limit, revision=revision)
        items = []
        if prefix == self._keys.root:
            items += self._ports.replace(next((one for one in page.items if one.key == self._ports.place), None))
        for index, item in enumerate(page.items):
            if index % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            key = self._own_key(item.key)
            if key:
                items.append(self._read(key, item))
        return Page(items, page.revision, page.more)

    async def put(self, key: str, value: bytes, expected: int | None = None) -> KeyValue:
        """See `Store`."""
        prefix = self._keys.resource_of(key)
        if prefix == self._ports.prefix:
            return await self._ports.take(key)
        data = self._stored(prefix, key, value)
        if prefix != self._leases:  # of which less is stored than was put
            self._writing[key] = data, value
        try:
            ttl = self._ttls.get(prefix, 0)
            written = await self._store.put(self._layout.theirs(key), data, expected, ttl=ttl)
        except Conflict as conflict:
            raise self._conflict(key, expected, conflict) from None
        finally:
            if len(self._writing) > KNOWN_WRITES:
                del self._writing[next(iter(self._writing))]
        return KeyValue(key, value, written.create_revision, written.mod_revision)

    async def delete(self, key: str, expected: int | None = None) -> Event | None:
        """See `Store`."""
        if key.startswith(self._ports.prefix):
            return await self._ports.free(key, expected)
        try:
            event = await self._store.delete(self._layout.theirs(key), expected)
        except Conflict as conflict:
            raise self._conflict(key, expected, conflict) from None
        return None if event is None else Event(event.revision, key, None)

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Event | Progress]:
        """See `Store`. A value that cannot be read is told in the log: the object stays as it was known."""
        count = 0
        async for told in self._store.watch(self._layout.theirs(prefix), after):
            count += 1
            if count % AT_ONCE == 0:  # many may be there already
                await asyncio.sleep(0)
            if isinstance(told, Progress):
                yield told
                continue
            try:
                events = self._events(told)
            except StoreError as error:
                _log.error("%s", error)
                events = []
            for event in events:
                yield event
            if not events:
                yield Progress(told.revision)

    def _events(self, told: Event) -> Events:
        """What one of the store's is here. StoreError."""
        if told.key == self._ports.place:
            return self._ports.change(told.current, told.revision)
        key = self._own_key(told.key)
        if not key:
            return []
        return [Event(told.revision, key, self._read(key, told.current) if told.current is not None else None)]

    def served(self, key: str) -> bool:
        """Whether a key of the store below is an object's, or what objects' keys are made of."""
        return key == self._ports.place or bool(self._own_key(key))

    async def stale(self, key: str) -> bool:
        """See `Rewritable`."""
        return self._rewritable is not None and await self._rewritable.stale(self._layout.theirs(key))

    async def compact(self, revision: int) -> None:
        """See `Store`."""
        await self._store.compact(revision)

    async def close(self) -> None:
        """See `Store`."""
        await self._store.close()

    # Keys and values.

    def _own_key(self, key: str) -> str:
        return self._layout.ours(key) if key.startswith(self._keys.root) else key

    def _stored(self, prefix: str, key: str, value: bytes) -> bytes:
        if not prefix:
            return value
        if prefix == self._leases:
            address = key[len(prefix) :]
            endpoints = {
                "apiVersion": "v1",
                "kind": "Endpoints",
                "metadata": {},
                "subsets": [{"addresses": [{"ip": address}]}],
            }
            return protobufencode.encode(endpoints)
        try:
            return codec.stored(value, built_in=self._layout.built_in(prefix))
        except ProtobufError as error:
            raise StoreError(f"{key}: cannot be stored: {error}") from error

    def _read(self, key: str, item: KeyValue) -> KeyValue:
        """StoreError."""
        own = self._writing.pop(key, None)
        if own is not None and own[0] == item.value:
            return KeyValue(key, own[1], item.create_revision, item.mod_revision)
        if item.problem:
            return replace(item, key=key)
        prefix = self._keys.resource_of(key)
        try:
            value = self._lease(key[len(prefix) :]) if prefix == self._leases else self._value(prefix, item.value)
        except Unreadable as error:
            raise StoreError(f"the value of {item.key} in the store cannot be read: {error}") from error
        return KeyValue(key, value, item.create_revision, item.mod_revision)

    def _value(self, prefix: str, data: bytes) -> bytes:
        return data if not prefix else codec.read(data, self._resources.get(prefix))

    def _lease(self, address: str) -> bytes:
        return msgspec.json.encode({"metadata": {"name": address, "renewTime": FOREVER}})

    def _conflict(self, key: str, expected: int | None, conflict: Conflict) -> Conflict:
        current = conflict.current
        return Conflict(key, expected or 0, self._read(key, current) if current is not None else None)
