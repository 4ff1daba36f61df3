"""The log in SQLite: one table, one writer thread, group commit (WAL, synchronous=FULL).

The writer takes every request that waits, runs each in a savepoint and commits them together, so that many
clients share one fsync. Reads go through the same thread: each sees all writes acknowledged before it. The
path ":memory:" gives the same log without a disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pybernetes import files
from pybernetes.store import sqlitefile, sqlitelog
from pybernetes.store.backends import Location, LocationError
from pybernetes.store.space import FileReserve, Level, NoReserve, Space, is_full
from pybernetes.store.types import Closed, Event, KeyValue, Page, Progress, StoreError

_log = logging.getLogger(__name__)

IN_MEMORY = ":memory:"
BATCH = 256  # requests in one commit: bounds the time that the first of them waits
CHECKPOINT_PAGES = (
    1000  # of 4 KiB, that are in the WAL before it is moved into the file (SQLite's own default), and in one commit
)
MAKE_ROOM_SECONDS = 2.0  # between compactions of a store that is full: watches have told all that they forget
WRITE_PAGES = 4  # that a small write touches: table, index, meta and the root above

T = TypeVar("T")
Action = Callable[[sqlite3.Connection], T]


async def open_file(location: Location) -> SQLiteStore:
    """`sqlite:PATH` or `sqlite:///PATH`; the directory is made where it is missing. LocationError, StoreError."""
    [url, *others] = location.urls
    path = url.partition(":")[2]
    if path.startswith("//"):
        path = path[2:] if path.startswith("///") else ""
    if others or not path:
        raise LocationError("want sqlite:PATH or sqlite:///PATH, one file")
    try:
        files.make_private_directory(Path(path).parent)
    except OSError as error:
        raise StoreError(f"{error.filename}: {error.strerror}") from error
    return await SQLiteStore.open(path)


class _Request:
    """`pages`: that it writes, about; 0 for a read."""

    __slots__ = ("action", "future", "pages")

    def __init__(self, action: Action[Any], future: asyncio.Future[Any], pages: int = 0):
        self.action, self.future, self.pages = action, future, pages


Batch = list[_Request]
Results = list[Any]  # or exceptions, in the order of the requests


@dataclass(frozen=True, slots=True)
class _Commit:
    """The last one that wrote: all that came after revision `before`, up to `revision`. Nearly every watch waits for just that, and need not
    read it back."""

    before: int
    revision: int
    events: Sequence[Event] = ()


class SQLiteStore:
    """A Store in one SQLite file. Open with `await SQLiteStore.open(path)`; whoever opens it closes it."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop, space: Space | None = None) -> None:
        self._path = path
        self._loop = loop
        reserve = NoReserve() if path == IN_MEMORY else FileReserve(Path(path + "-reserve"))
        self._space = space or Space(path, reserve, loop.time)
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._lock = -1  # descriptor; held from before the file is opened until after it is closed
        self._closed = False
        self._pages = 0  # in the WAL, about; the writer's
        self._checkpoint_pages = CHECKPOINT_PAGES
        self._commit = _Commit(0, 0)
        self._written = asyncio.Event()  # set, and replaced, after each commit that wrote: wakes watches
        self._room: asyncio.Task[None] | None = None  # of who makes room
        self._room_revision, self._room_time = 0, 0.0  # the newest one, and when, as it was last made
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)

    @classmethod
    async def open(cls, path: str, space: Space | None = None) -> SQLiteStore:
        """Opens or makes the file. StoreError for one that is damaged, not whole, another program's, of a newer version,
        or open elsewhere."""
        store = cls(path, asyncio.get_running_loop(), space)
        if path != IN_MEMORY:
            store._lock = sqlitefile.hold(path)
        opened = store._loop.create_future()
        store._requests.put(_Request(sqlitelog.newest, opened))  # the first answer tells whether it could be opened
        store._thread.start()
        try:
            revision = await opened
            store._commit = _Commit(revision, revision)
            if path != IN_MEMORY:  # only now, since a file that is no store of ours is not ours to close
                sqlitefile.close_to_others(path)
        except BaseException:
            await store.close()
            raise
        return store

    async def revision(self) -> int:
        return await self._ask(sqlitelog.newest)

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        return await self._ask(lambda db: sqlitelog.list_page(db, prefix, after, limit, revision))

    async def put(self, key: str, value: bytes, expected: int | None = None) -> KeyValue:
        pages = WRITE_PAGES + len(value) // 4096
        return await self._ask(lambda db: sqlitelog.put(db, key, value, expected, self._space.check), pages)

    async def delete(self, key: str, expected: int | None = None) -> Event | None:
        return await self._ask(lambda db: sqlitelog.delete(db, key, expected), WRITE_PAGES)

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Event | Progress]:
        while True:
            commit, start = self._commit, after
            if start >= commit.revision:
                if self._closed:
                    return
                await self._written.wait()
                continue
            if start == commit.before:
                events, after = [one for one in commit.events if one.key.startswith(prefix)], commit.revision
            else:
                events, after = await self._ask(functools.partial(sqlitelog.events, prefix=prefix, after=start))
            for event in events:
                yield event
            if after > (events[-1].revision if events else start):
                yield Progress(after)

    async def compact(self, revision: int) -> None:
        """See `Store`; in steps, between which others are served."""
        if not await self._ask(lambda db: sqlitelog.begin_compaction(db, revision), WRITE_PAGES):
            return
        done: int | None = 0
        while done is not None:
            done = await self._ask(lambda db, done=done: sqlitelog.compact_some(db, done), WRITE_PAGES)  # type: ignore[misc]
        while await self._ask(sqlitelog.vacuum_some, sqlitelog.VACUUM_PAGES):
            pass

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._requests.put(None)
            self._wake()
            if self._room is not None:
                self._room.cancel()
        while self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def _ask(self, action: Action[T], pages: int = 0) -> T:
        if self._closed:
            raise Closed("the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._requests.put(_Request(action, future, pages))
        return await future

    def _wake(self) -> None:
        written, self._written = self._written, asyncio.Event()
        written.set()

    # The writer's thread.

    def _work(self) -> None:
        db = None
        while batch := self._next_batch():
            try:
                if db is None:
                    db = self._open()
                results = self._run(db, batch)
            except StoreError as error:
                results = [error] * len(batch)
            except (sqlite3.Error, OSError) as error:
                results = [StoreError(f"cannot open {self._path!r}: {error}")] * len(batch)
            self._loop.call_soon_threadsafe(self._answer, batch, results)
            if db is not None and self._pages >= self._checkpoint_pages:
                self._checkpoint(db)
        if db is not None:
            db.close()  # which moves the WAL into the file, and both are whole

    def _next_batch(self) -> Batch:
        """Waits for the first; [] at the end."""
        batch: Batch = []
        pages = 0
        while len(batch) < BATCH and pages < self._checkpoint_pages and not (batch and self._requests.empty()):
            request = self._requests.get()
            if request is None:
                if batch:
                    self._requests.put(None)
                break
            batch.append(request)
            pages += request.pages
        return batch

    def _open(self) -> sqlite3.Connection:
        """sqlite3.Error, OSError, StoreError."""
        if self._path == IN_MEMORY:
            db = sqlite3.connect(self._path, isolation_level=None)
            sqlitefile.prepare(db, self._path, had_wal=False)
            return db
        self._space.begin()
        self._checkpoint_pages = min(CHECKPOINT_PAGES, self._space.wal_bytes // 4096)
        had_wal = sqlitefile.has_wal(self._path)
        while True:
            db = sqlitefile.connect(self._path)
            try:
                sqlitefile.prepare(db, self._path, had_wal)
                break
            except BaseException as error:
                db.close()
                if not is_full(error) or not self._space.release():
                    raise
        self._checkpoint(db)
        return db

    def _run(self, db: sqlite3.Connection, batch: Batch) -> Results:
        """A full disk costs the writes that there is no room for, never a read."""
        if any(request.pages for request in batch):
            self._space.restore()
        while True:
            changes = db.total_changes
            try:
                results = _transaction(db, batch)
            except sqlite3.Error as error:
                full = is_full(error)
                # Most room is made by a WAL that begins anew; for that its pages need room in the file.
                if full and (self._space.release() or self._pages) and self._checkpoint(db):
                    continue
                refusal = self._space.refusal() if full else StoreError(f"nothing was written: {error}")
                return [refusal if request.pages else _alone(db, request) for request in batch]
            self._pages += sum(request.pages for request in batch) + db.total_changes - changes
            return results

    def _checkpoint(self, db: sqlite3.Connection) -> bool:
        """Whether the WAL begins anew. Else it goes on where it is, and it is tried again."""
        if self._path == IN_MEMORY:
            return True
        self._pages = 0
        while True:
            try:
                sqlitefile.checkpoint(db)
                return True
            except sqlite3.Error as error:
                if not is_full(error) or not self._space.release():
                    _log.error(
                        "%s: the WAL cannot be moved into the file, it will be tried again: %s", self._path, error
                    )
                    return False

    def _answer(self, batch: Batch, results: Results) -> None:
        # Watches first: who then has its answer finds it in the caches that follow one, and need not wait for them.
        if any(request.pages for request in batch):
            self._committed([event for event in map(_event, results) if event is not None])
        for request, result in zip(batch, results, strict=True):
            if request.future.done():  # who asked was cancelled
                continue
            if isinstance(result, Exception):
                request.future.set_exception(result)
            else:
                request.future.set_result(result)
        if self._space.level is not Level.ALL and (self._room is None or self._room.done()) and not self._closed:
            self._room = self._loop.create_task(self._make_room())

    def _committed(self, events: Sequence[Event]) -> None:
        if events:
            self._commit = _Commit(events[0].revision - 1, events[-1].revision, events)
        self._wake()

    async def _make_room(self) -> None:
        """On a full disk nobody waits for the next compaction: what was deleted goes as soon as watches have told it."""
        now = self._loop.time()
        if now < self._room_time + MAKE_ROOM_SECONDS:
            return
        self._room_time = now
        with contextlib.suppress(StoreError):  # closed, or full all the same: then it is tried again
            before, self._room_revision = self._room_revision, await self.revision()
            await self.compact(before)


def _event(result: object) -> Event | None:
    """Of what a request gave: only writes give events, or what was put."""
    if isinstance(result, KeyValue):
        return Event(result.mod_revision, result.key, result)
    return result if isinstance(result, Event) else None


def _transaction(db: sqlite3.Connection, batch: Batch) -> Results:
    """All in one transaction, each undone alone if it fails. sqlite3.Error: none is done."""
    results: Results = []
    try:
        db.execute("BEGIN IMMEDIATE")
        for request in batch:
            db.execute("SAVEPOINT one")
            result = _attempt(db, request)
            if isinstance(result, Exception):
                db.execute("ROLLBACK TO one")
            db.execute("RELEASE one")
            results.append(result)
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # the same trouble again; the next BEGIN will tell
            if db.in_transaction:
                db.execute("ROLLBACK")
        raise
    return results


def _attempt(db: sqlite3.Connection, request: _Request) -> Any:
    """sqlite3.Error where it concerns the whole transaction."""
    try:
        return request.action(db)
    except sqlite3.Error as error:
        if not db.in_transaction or is_full(error):  # SQLite may have undone all by itself
            raise
        return StoreError(f"nothing was {'written' if request.pages else 'read'}: {error}")
    except Exception as error:  # handed to the caller's future, which raises it there
        return error


def _alone(db: sqlite3.Connection, request: _Request) -> Any:
    try:
        return request.action(db)
    except sqlite3.Error as error:
        return StoreError(f"nothing was read: {error}")
    except Exception as error:
        return error
