"""The watch cache: everything in the store, kept current by one watch, answered as bytes (upstream: storage/cacher).

An object is kept as its JSON with the resource version already in it. What a reader needs beyond bytes (labels, fields, the
decoded object) is made once, at first use, and shared by all.
"""

from __future__ import annotations

import asyncio
import bisect
import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from pybernetes.store.types import Compacted, KeyValue, Store

from ..resource import Object

_log = logging.getLogger(__name__)

PREFIX = "/registry/"
RING = 10_000  # events of one resource that a watch can still start behind
WATCHER_QUEUE = 10_000  # events that a watcher may be behind before it is cut off
_METADATA = b'"metadata":{'

_decode = msgspec.json.Decoder().decode


def with_revision(value: bytes, revision: int) -> bytes:
    """The stored JSON (metadata is the first object in it) with its resource version."""
    head, mark, tail = value.partition(_METADATA)
    return b'%b%b"resourceVersion":"%d",%b' % (head, mark, revision, tail)


class Stored:
    """One object at one revision."""

    __slots__ = ("_obj", "data", "key", "revision")

    def __init__(self, key: str, value: bytes, revision: int) -> None:
        self.key, self.revision = key, revision
        self.data = with_revision(value, revision)
        self._obj: Object | None = None

    @property
    def obj(self) -> Object:
        """The decoded object; shared: never change it."""
        if self._obj is None:
            self._obj = _decode(self.data)
        return self._obj

    def copy(self) -> Object:
        """A private decoded object."""
        fresh: Object = _decode(self.data)
        return fresh


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a resource; `current` is None for a deletion, `previous` for a creation."""

    revision: int
    current: Stored | None
    previous: Stored | None


class Lagging(Exception):
    """A watcher that fell too far behind was cut off."""


class TooOld(Exception):
    """A watch from a revision that the ring no longer covers; `oldest` is the first that it does."""

    def __init__(self, oldest: int) -> None:
        super().__init__(oldest)
        self.oldest = oldest


class Watcher:
    """A queue of changes. Iterating gives them in order; ends with Lagging, or when the cache closes."""

    def __init__(self, owner: ResourceCache) -> None:
        self._owner = owner
        self._queue: deque[Change] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.ended = False
        self._lagging = False

    def push(self, change: Change) -> None:
        """Called by the cache."""
        if len(self._queue) >= WATCHER_QUEUE:
            self._lagging = True
            self.end()
            return
        self._queue.append(change)
        self._wake()

    def end(self) -> None:
        """No more changes."""
        self.ended = True
        self._owner.watchers.discard(self)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def batch(self, timeout: float) -> list[Change]:
        """What is there, waiting for some; [] after `timeout` seconds or at the end (see `ended`)."""
        if not self._queue and not self.ended:
            self._waiter = asyncio.get_running_loop().create_future()
            handle = asyncio.get_running_loop().call_later(timeout, self._wake)
            try:
                await self._waiter
            finally:
                handle.cancel()
                self._waiter = None
        if self._lagging:
            raise Lagging
        changes = list(self._queue)
        self._queue.clear()
        return changes


class ResourceCache:
    """All objects of one stored resource."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.items: dict[str, Stored] = {}
        self.keys: list[str] = []
        self.ring: deque[Change] = deque(maxlen=RING)
        self.ring_start = 0  # the ring holds every change after this revision
        self.watchers: set[Watcher] = set()
        self.changed = 0  # revision of the last change

    def apply(self, revision: int, key: str, current: KeyValue | None) -> None:
        """One event of the store."""
        previous = self.items.get(key)
        stored = None if current is None else Stored(key, current.value, revision)
        if stored is None:
            if previous is None:
                return
            del self.items[key]
            self.keys.pop(bisect.bisect_left(self.keys, key))
        else:
            if previous is None:
                bisect.insort(self.keys, key)
            self.items[key] = stored
        if len(self.ring) == RING:
            self.ring_start = self.ring[0].revision
        change = Change(revision, stored, previous)
        self.ring.append(change)
        self.changed = revision
        for watcher in tuple(self.watchers):
            watcher.push(change)

    def range(self, prefix: str, after: str = "") -> Iterable[Stored]:
        """Objects whose keys begin with the prefix, in order, after a key."""
        start = bisect.bisect_right(self.keys, after) if after > prefix else bisect.bisect_left(self.keys, prefix)
        items = self.items
        if prefix == self.prefix:
            return [items[key] for key in self.keys[start:]]
        stop = bisect.bisect_left(self.keys, prefix[:-1] + chr(ord(prefix[-1]) + 1), lo=start)
        return [items[key] for key in self.keys[start:stop]]

    def watch(self, after: int) -> Watcher:
        """Changes after the revision; TooOld where the ring does not reach back so far."""
        if after < self.ring_start:
            raise TooOld(self.ring_start)
        watcher = Watcher(self)
        for change in self.ring:
            if change.revision > after:
                watcher.push(change)
        self.watchers.add(watcher)
        return watcher


class WatchCache:
    """The caches of all resources, fed by one watch of the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.revision = 0
        self._caches: dict[str, ResourceCache] = {}
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Reads everything, then follows."""
        page = await self.store.list(PREFIX)
        for item in page.items:
            cache = self._of_key(item.key)
            cache.items[item.key] = Stored(item.key, item.value, item.mod_revision)
            cache.keys.append(item.key)
        for cache in self._caches.values():
            cache.ring_start = page.revision
        self.revision = page.revision
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """Ends all watchers."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for cache in self._caches.values():
            for watcher in tuple(cache.watchers):
                watcher.end()

    async def _follow(self) -> None:
        while True:
            try:
                async for event in self.store.watch(PREFIX, self.revision):
                    cache = self._of_key(event.key)
                    cache.apply(event.revision, event.key, event.current)
                    self.revision = event.revision
                    self._wake()
                return
            except Compacted:
                raise
            except Exception:
                _log.exception("the watch of the store was cut off; it goes on from revision %d", self.revision)
                await asyncio.sleep(0.1)

    def _wake(self) -> None:
        if not self._waiters:
            return
        due = [w for w in self._waiters if w[0] <= self.revision]
        if due:
            self._waiters = [w for w in self._waiters if w[0] > self.revision]
            for _, waiter in due:
                if not waiter.done():
                    waiter.set_result(None)

    async def wait(self, revision: int) -> None:
        """Returns when the cache has seen the revision."""
        if self.revision < revision:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((revision, waiter))
            await waiter

    def _of_key(self, key: str) -> ResourceCache:
        return self.resource(key[: key.index("/", key.index("/", len(PREFIX)) + 1) + 1])

    def resource(self, prefix: str) -> ResourceCache:
        """The cache of `/registry/GROUP/RESOURCE/`."""
        cache = self._caches.get(prefix)
        if cache is None:
            cache = self._caches[prefix] = ResourceCache(prefix)
            cache.ring_start = self.revision
        return cache
