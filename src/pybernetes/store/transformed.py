"""Values that are changed on their way to a store and back, as encryption at rest does (upstream: apiserver/pkg/storage/value).

`Transformed` is the one place for it, right above the backend and below everything that reads values: on SQLite around the store itself, on
etcd between the store and `apiserver.storage.form`, so that what is transformed are the bytes which upstream would transform, under
upstream's key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from .types import Conflict, Event, KeyValue, Page, Progress, Store, StoreError

READ_AT_ONCE = 100  # values of a list before others have a turn: some milliseconds


class TransformError(StoreError):
    """A value that cannot be changed: it is not written, or not read. `status` is what metrics call the failure."""

    status = "unknown-non-grpc"


class Unreadable(TransformError):
    """A stored value that no transformer can read, for now or for ever: why."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A value as it was before it went to the store. `stale`: it would be stored otherwise today (another key, another provider)."""

    value: bytes
    stale: bool = False


class Transformer(Protocol):
    """Both ways of one resource's values. Implementations take and give whole values, and keep no state of single ones.

    `key` is the storage key, PREFIX/RESOURCE/[NAMESPACE/]NAME: what is encrypted is bound to it as additional authenticated data, in UTF-8
    and as it stands, so that a value which somebody copied to another key cannot be read there. Both are asynchronous because a key
    management service may have to be asked.
    """

    async def to_storage(self, key: str, value: bytes) -> bytes:
        """What is stored. TransformError: then nothing is written."""

    async def from_storage(self, key: str, stored: bytes) -> Plain:
        """What was given to `to_storage`, by this transformer or by one that it still reads for. TransformError."""


@runtime_checkable
class Rewritable(Protocol):
    """A store whose values may be written anew though they stay the same."""

    async def stale(self, key: str) -> bool:
        """Whether the key's value would be stored otherwise today. TransformError."""


class Transformed:
    """See `Store`. `choose` gives the transformer of a key; None where values of its resource are stored as they are.

    A value that cannot be read has its `problem`, and is told like any other: one object that is lost harms no other one.
    """

    def __init__(self, store: Store, choose: Callable[[str], Transformer | None]) -> None:
        self._store, self._choose = store, choose

    async def revision(self) -> int:
        """See `Store`."""
        return await self._store.revision()

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See `Store`."""
        page = await self._store.list(prefix, after=after, limit=limit, revision=revision)
        items = []
        for index, item in enumerate(page.items):
            if index % READ_AT_ONCE == READ_AT_ONCE - 1:
                await asyncio.sleep(0)
            items.append(await self._plain(item))
        return replace(page, items=items)

    async def put(self, key: str, value: bytes, expected: int | None = None, **options: Any) -> KeyValue:
        """See `Store`; `options` are the store's own."""
        transformer = self._choose(key)
        stored = value if transformer is None else await transformer.to_storage(key, value)
        try:
            written = await self._store.put(key, stored, expected, **options)
        except Conflict as conflict:
            raise await self._conflict(key, expected, conflict) from None
        return replace(written, value=value)

    async def delete(self, key: str, expected: int | None = None) -> Event | None:
        """See `Store`."""
        try:
            return await self._store.delete(key, expected)
        except Conflict as conflict:
            raise await self._conflict(key, expected, conflict) from None

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Event | Progress]:
        """See `Store`."""
        async for told in self._store.watch(prefix, after):
            if isinstance(told, Event) and told.current is not None:
                told = replace(told, current=await self._plain(told.current))
            yield told

    async def compact(self, revision: int) -> None:
        """See `Store`."""
        await self._store.compact(revision)

    async def close(self) -> None:
        """See `Store`."""
        await self._store.close()

    async def stale(self, key: str) -> bool:
        """See `Rewritable`."""
        transformer = self._choose(key)
        if transformer is None:
            return False
        stored = next((item for item in (await self._store.list(key, limit=1)).items if item.key == key), None)
        return stored is not None and (await transformer.from_storage(key, stored.value)).stale

    async def _plain(self, item: KeyValue) -> KeyValue:
        transformer = self._choose(item.key)
        if transformer is None:
            return item
        try:
            return replace(item, value=(await transformer.from_storage(item.key, item.value)).value)
        except TransformError as error:
            return replace(item, problem=f'unable to transform key "{item.key}": {error}')

    async def _conflict(self, key: str, expected: int | None, conflict: Conflict) -> Conflict:
        current = conflict.current
        return Conflict(key, expected or 0, await self._plain(current) if current is not None else None)
