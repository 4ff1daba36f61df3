"""All objects of one store into another one: of SQLite, of etcd, or a snapshot.

Objects keep their names, UIDs and the order in which they were written; their revisions are new, and all above those of the store they come
from. The new store remembers nothing of before: whoever goes on with a revision of the old one is told 410, and lists again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from pybernetes.store.types import Conflict, Store, StoreError

from ..generic.keys import Keys
from .snapshot import Item, Snapshot

_log = logging.getLogger(__name__)

ENCRYPTED = b"k8s:enc:"  # what encrypted values begin with
# Keys beside those of servers, whose prefix follows. The first is there while objects are still missing.
UNFINISHED, FILLER = "pybernetes_copy_unfinished", "pybernetes_copy_filler"
FILLING = 64  # writes at once that bring the revision up
COMPACT_EVERY = 10_000  # of these
NOT_COPIED = (("masterleases", "endpoints"),)  # of servers that are alive now


@dataclass(frozen=True, slots=True)
class Place:
    """`store` as a server sees it, over `raw`, which may have more than is served (`served`: by raw key)."""

    store: Store
    raw: Store
    keys: Keys
    served: Callable[[str], bool]


async def whole(place: Place) -> Snapshot:
    """All that a server would serve, at one revision. StoreError, also where a value cannot be decrypted, or is no JSON."""
    keys = place.keys
    await check_finished(place.raw, keys)
    page = await place.store.list(keys.root)
    left = tuple(keys.resource(*one) for one in NOT_COPIED)
    items = []
    for item in sorted(page.items, key=lambda one: one.mod_revision):
        if not keys.resource_of(item.key) or item.key.startswith(left):
            continue
        if item.problem:
            raise StoreError(f"the value of {item.key} cannot be read: {item.problem}")
        if item.value.startswith(ENCRYPTED):
            raise StoreError(f"the value of {item.key} is encrypted: give the server's --encryption-provider-config")
        try:
            value = msgspec.json.format(item.value, indent=-1)  # on one line, and JSON
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreError(f"the value of {item.key} is damaged: {error}") from error
        items.append(Item(item.key[len(keys.root) :], item.mod_revision, msgspec.Raw(value)))
    for item in (await place.raw.list(keys.root, revision=page.revision)).items:
        if not place.served(item.key):
            _log.warning("%s is left out: no object that is served here", item.key)
    return Snapshot(page.revision, items)


async def fill(place: Place, snapshot: Snapshot) -> int:
    """Puts all into a store that is empty; the new revision. StoreError: what is there then is marked as unfinished."""
    store, keys = place.store, place.keys
    await check_finished(place.raw, keys)
    if (await place.raw.list(keys.root, limit=1)).items:
        raise StoreError(f"it is not empty below {keys.root}: objects are only copied into an empty store")
    marker = UNFINISHED + keys.root
    await store.put(marker, b"", 0)
    await _advance(store, FILLER + keys.root, snapshot.revision)
    for item in snapshot.items:
        try:
            await store.put(keys.root + item.key, bytes(item.value), 0)
        except Conflict as conflict:
            raise StoreError(f"{keys.root}{item.key} is there twice, or another writes: {conflict}") from conflict
    await store.compact(
        await store.revision()
    )  # before the mark goes: no server may ever tell a watcher what it has seen
    await store.delete(marker)
    return await store.revision()


async def _advance(store: Store, filler: str, revision: int) -> None:
    """Brings the store to the revision, by writes: etcd knows no other way. What they leave behind is dropped now and then."""
    missing = revision - await store.revision()
    if missing <= 0:
        return
    _log.info("the revision is brought up to %d first, by %d writes", revision, missing)
    left = iter(range(missing))
    await asyncio.gather(*(_write(store, f"{filler}{n}", left) for n in range(FILLING)))
    for n in range(FILLING):
        await store.delete(f"{filler}{n}")


async def _write(store: Store, key: str, left: Iterator[int]) -> None:
    for number in left:
        written = await store.put(key, b"")
        if number % COMPACT_EVERY == COMPACT_EVERY - 1:
            await store.compact(written.mod_revision)


async def check_finished(raw: Store, keys: Keys) -> None:
    """StoreError where a copy into this store was begun and not finished."""
    marker = UNFINISHED + keys.root
    if any(item.key == marker for item in (await raw.list(marker, limit=1)).items):
        raise StoreError(
            f"a copy into this store was cut off: remove all below {keys.root} and the key {marker} (or the file), and copy again"
        )
