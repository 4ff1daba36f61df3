"""The log in memory: no disk, no thread, gone with the process. For tests and clusters that nobody keeps.

Everything is done within the call, so that a store never keeps an event loop waiting: with a virtual clock, nothing under way means
that time may go on.
"""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from .backends import Location, LocationError
from .types import Closed, Compacted, Conflict, Event, FutureRevision, KeyValue, Page, Progress

LAST_CHARACTER = "\U0010ffff"  # sorts after every continuation of a prefix
BATCH = 256  # events that a watch takes from the log before others have a turn


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All values at one moment, by key. It shares its bytes with the store: a copy costs a reference a key."""

    values: Mapping[str, bytes]


async def open_memory(location: Location) -> "MemoryStore":
    """`memory:`. LocationError."""
    if location.urls != ("memory:",):
        raise LocationError("want memory: alone")
    return MemoryStore()


class MemoryStore:
    """See `types.Store`. For one event loop."""

    def __init__(self) -> None:
        self._keys: list[str] = []  # of which there is any version, sorted
        self._versions: dict[str, list[Event]] = {}  # of each key, oldest first
        self._log: list[Event] = []  # every write after the compaction, without a gap
        self._newest = 0
        self._compacted = 0
        self._written = asyncio.Event()
        self._closed = False

    async def revision(self) -> int:
        """See `Store`."""
        self._check_open()
        return self._newest

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See `Store`; costs what it answers and what was deleted in between, not what there is."""
        self._check_open()
        self._check_revision(revision)
        at = revision or self._newest
        start = bisect_right(self._keys, after) if after >= prefix else bisect_left(self._keys, prefix)
        end = bisect_left(self._keys, prefix + LAST_CHARACTER)
        items: list[KeyValue] = []
        for index in range(start, end):
            current = self._at(self._keys[index], at)
            if current is not None:
                if limit and len(items) == limit:
                    return Page(items, at, more=True)
                items.append(current)
        return Page(items, at, more=False)

    async def put(self, key: str, value: bytes, expected: int | None = None) -> KeyValue:
        """See `Store`."""
        current = self._checked(key, expected)
        revision = self._newest + 1
        fresh = KeyValue(key, value, current.create_revision if current else revision, revision)
        self._append(Event(revision, key, fresh))
        return fresh

    async def delete(self, key: str, expected: int | None = None) -> Event | None:
        """See `Store`."""
        if self._checked(key, expected) is None:
            return None
        event = Event(self._newest + 1, key, None)
        self._append(event)
        return event

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Event | Progress]:
        """See `Store`."""
        while True:
            if after < self._compacted:
                raise Compacted(after, self._compacted)
            first = after - self._compacted
            batch = self._log[first : first + BATCH]
            told = after
            for event in batch:
                if event.key.startswith(prefix):
                    told = event.revision
                    yield event
            after = batch[-1].revision if batch else after
            if after > told:
                yield Progress(after)
            if after < self._newest:
                continue
            if self._closed:
                return
            await self._written.wait()

    async def compact(self, revision: int) -> None:
        """See `Store`."""
        self._check_open()
        if revision > self._newest:
            raise FutureRevision(revision, self._newest)
        if revision <= self._compacted:
            return
        gone = set()
        for event in self._log[: revision - self._compacted]:
            versions = self._versions.get(event.key)
            if versions is None:
                continue
            # All but the last of those up to the revision; that one too where it is a deletion.
            keep = bisect_right(versions, revision, key=_revision) - 1
            if keep >= 0 and versions[keep].current is None:
                keep += 1
            del versions[: max(keep, 0)]
            if not versions:
                del self._versions[event.key]
                gone.add(event.key)
        del self._log[: revision - self._compacted]
        self._compacted = revision
        if gone:
            self._keys = [key for key in self._keys if key not in gone]

    def snapshot(self) -> Snapshot:
        """What there is now. Closed."""
        self._check_open()
        newest = ((key, versions[-1].current) for key, versions in self._versions.items())
        return Snapshot({key: current.value for key, current in newest if current is not None})

    def restore(self, snapshot: Snapshot) -> int:
        """Writes what brings everything back to what it was, and tells how many writes that took. Closed.

        These are writes as all others, none comes between them, and each has its own revision: watchers hear of deletions, changes and
        additions, and revisions go on.
        """
        self._check_open()
        before = self._newest
        for key in list(self._keys):
            current = self._versions[key][-1].current
            if current is not None and key not in snapshot.values:
                self._append(Event(self._newest + 1, key, None))
        for key, value in snapshot.values.items():
            versions = self._versions.get(key)
            current = versions[-1].current if versions else None
            if current is None or current.value != value:
                revision = self._newest + 1
                created = current.create_revision if current else revision
                self._append(Event(revision, key, KeyValue(key, value, created, revision)))
        return self._newest - before

    async def close(self) -> None:
        """See `Store`."""
        if not self._closed:
            self._closed = True
            self._wake()

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the store is closed")

    def _check_revision(self, revision: int) -> None:
        if revision > self._newest:
            raise FutureRevision(revision, self._newest)
        if revision and revision < self._compacted:
            raise Compacted(revision, self._compacted)

    def _checked(self, key: str, expected: int | None) -> KeyValue | None:
        self._check_open()
        versions = self._versions.get(key)
        current = versions[-1].current if versions else None
        if expected is not None and expected != (current.mod_revision if current else 0):
            raise Conflict(key, expected, current)
        return current

    def _at(self, key: str, revision: int) -> KeyValue | None:
        versions = self._versions[key]
        if versions[-1].revision <= revision:
            return versions[-1].current
        index = bisect_right(versions, revision, key=_revision)
        return versions[index - 1].current if index else None

    def _append(self, event: Event) -> None:
        versions = self._versions.get(event.key)
        if versions is None:
            versions = self._versions[event.key] = []
            insort(self._keys, event.key)
        versions.append(event)
        self._log.append(event)
        self._newest = event.revision
        self._wake()

    def _wake(self) -> None:
        written, self._written = self._written, asyncio.Event()
        written.set()


def _revision(event: Event) -> int:
    return event.revision
