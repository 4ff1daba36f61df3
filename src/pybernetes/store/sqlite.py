"""The log in SQLite: one table, one writer thread, group commit (WAL, synchronous=FULL).

The writer takes every request that waits, runs each in a savepoint and commits them together, so that many
clients share one fsync. Reads go through the same thread: each sees all writes acknowledged before it. The
path ":memory:" gives the same log without a disk.
"""

import asyncio
import contextlib
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pybernetes import files
from pybernetes.store.backends import Location, LocationError
from pybernetes.store.types import (
    Closed,
    Compacted,
    Conflict,
    Event,
    FutureRevision,
    KeyValue,
    Page,
    Progress,
    StoreError,
)

_log = logging.getLogger(__name__)

IN_MEMORY = ":memory:"
BATCH = 256  # requests in one commit: bounds the time that the first of them waits
WAL_BYTES = 64 << 20  # what a burst of writes has made of the WAL is given back beyond this
VACUUM_PAGES = 4096  # of 4 KiB, that one compaction gives back to the file system: bounds how long writers wait for it
SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE log(
  revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB,
  create_revision INTEGER NOT NULL, previous INTEGER NOT NULL);
CREATE INDEX log_key ON log(key, revision);
CREATE TABLE meta(compacted INTEGER NOT NULL, newest INTEGER NOT NULL);
INSERT INTO meta VALUES (0, 0);
PRAGMA user_version = 1;
"""
LAST_CHARACTER = "\U0010ffff"  # sorts after every continuation of a prefix

T = TypeVar("T")


async def open_file(location: Location) -> "SQLiteStore":
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


class SQLiteStore:
    """A Store in one SQLite file. Open with `await SQLiteStore.open(path)`; whoever opens it closes it."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self._loop = loop
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._lock = -1  # descriptor; held from before the file is opened until after it is closed
        self._closed = False
        self._written = asyncio.Event()  # set, and replaced, after each commit that wrote: wakes watches
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)

    @classmethod
    async def open(cls, path: str) -> "SQLiteStore":
        """Opens or makes the file. Raises StoreError if it is damaged, of a newer version, or open elsewhere."""
        store = cls(path, asyncio.get_running_loop())
        if path != IN_MEMORY:
            store._lock = _hold(path)
        store._thread.start()
        try:
            await store._ask(_prepare)
            if path != IN_MEMORY:  # only now, since a file that is no store of ours is not ours to close
                _close_to_others(path)
        except BaseException:
            await store.close()
            raise
        return store

    async def revision(self) -> int:
        return await self._ask(_newest)

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        return await self._ask(lambda db: _list(db, prefix, after, limit, revision))

    async def put(self, key: str, value: bytes, expected: int | None = None) -> KeyValue:
        return await self._ask(lambda db: _put(db, key, value, expected), writes=True)

    async def delete(self, key: str, expected: int | None = None) -> Event | None:
        return await self._ask(lambda db: _delete(db, key, expected), writes=True)

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Event | Progress]:
        while True:
            written = self._written  # taken before the read, so that no commit falls between the two
            start = after
            events, after = await self._ask(lambda db, start=start: _events(db, prefix, start))  # type: ignore[misc]
            for event in events:
                yield event
            if after > (events[-1].revision if events else start):
                yield Progress(after)
            if self._closed:
                return
            if after == start:  # else one read more at once: under load it shares the batch of the next writes
                await written.wait()

    async def compact(self, revision: int) -> None:
        await self._ask(lambda db: _compact(db, revision))

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._requests.put(None)
            self._wake()
        while self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def _ask(self, action: "Callable[[sqlite3.Connection], T]", writes: bool = False) -> T:
        if self._closed:
            raise Closed("the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._requests.put(_Request(action, future, writes))
        return await future

    def _wake(self) -> None:
        written, self._written = self._written, asyncio.Event()
        written.set()

    def _work(self) -> None:
        db = None
        request: _Request | None
        while (request := self._requests.get()) is not None:
            batch = [request]
            while len(batch) < BATCH and not self._requests.empty():
                following = self._requests.get()
                if following is None:
                    self._requests.put(None)
                    break
                batch.append(following)
            try:
                if db is None:
                    if self._path != IN_MEMORY:
                        _make_file(self._path)
                    db = sqlite3.connect(self._path, isolation_level=None)
            except (sqlite3.Error, OSError) as error:
                results: list[Any] = [StoreError(f"cannot open {self._path!r}: {error}")] * len(batch)
            else:
                results = _run(db, [request.action for request in batch])
            self._loop.call_soon_threadsafe(self._answer, batch, results)
        if db is not None:
            db.close()

    def _answer(self, batch: "Sequence[_Request]", results: Sequence[Any]) -> None:
        for request, result in zip(batch, results, strict=True):
            if request.future.done():  # who asked was cancelled
                continue
            if isinstance(result, Exception):
                request.future.set_exception(result)
            else:
                request.future.set_result(result)
        if any(request.writes for request in batch):
            self._wake()


def _hold(path: str) -> int:
    """A second writer would see the first one's writes only after one of its own: watches are woken by this process' commits.

    The lock has a file of its own: closing any descriptor of the database would end the locks that SQLite has on it.
    """
    try:
        return files.hold(Path(os.path.realpath(path) + "-lock"))
    except files.Held as held:
        who = f"process {held.pid}" if held.pid else "another process"
        raise StoreError(f"{path!r} is in use by {who}: stop that one first, or choose another file") from held
    except OSError as error:
        raise StoreError(f"cannot open {path!r}: {error.strerror or error}") from error


def _make_file(path: str) -> None:
    """A new file is mode 0600 before SQLite opens it, and SQLite gives its -wal and -shm the same mode."""
    with contextlib.suppress(FileExistsError):
        os.close(files.open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))


def _close_to_others(path: str) -> None:
    """Every Secret is in the file, and older releases left it to the umask."""
    changed = files.close_to_others(Path(path + suffix) for suffix in ("", "-wal", "-shm"))
    if changed:
        shown = ", ".join(map(str, changed))
        _log.warning("%s: readable by other users of this machine until now, and no longer", shown)


class _Request:
    __slots__ = ("action", "future", "writes")

    def __init__(self, action: Callable[[sqlite3.Connection], Any], future: "asyncio.Future[Any]", writes: bool):
        self.action, self.future, self.writes = action, future, writes


def _run(db: sqlite3.Connection, actions: list[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
    """Results or exceptions, in order; all in one transaction, each undone alone if it fails."""
    if actions[0] is _prepare:  # sets the journal mode, which no transaction may hold
        return [_attempt(db, _prepare)]
    results: list[Any] = []
    result: Any = None
    try:
        db.execute("BEGIN IMMEDIATE")
        for action in actions:
            db.execute("SAVEPOINT one")
            result = _attempt(db, action)
            if isinstance(result, Exception):
                if not db.in_transaction:  # after a full disk SQLite has undone all by itself
                    break
                db.execute("ROLLBACK TO one")
            db.execute("RELEASE one")
            results.append(result)
        if not db.in_transaction:
            return [result] * len(actions)
        db.execute("COMMIT")
    except sqlite3.Error as error:
        with contextlib.suppress(sqlite3.Error):  # the same trouble again; the next BEGIN will tell
            if db.in_transaction:
                db.execute("ROLLBACK")
        return [StoreError(f"nothing was written: {error}")] * len(actions)
    return results


def _attempt(db: sqlite3.Connection, action: Callable[[sqlite3.Connection], Any]) -> Any:
    try:
        return action(db)
    except sqlite3.Error as error:
        return StoreError(f"nothing was written: {error}")
    except Exception as error:  # handed to the caller's future, which raises it there
        return error


def _prepare(db: sqlite3.Connection) -> None:
    try:
        _open(db)
    except sqlite3.OperationalError:
        raise  # locked, full, not ours
    except sqlite3.DatabaseError as error:
        raise StoreError(f"the file is damaged ({error}): restore a backup") from error


def _open(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise StoreError(f"the file has schema version {version}, this release knows {SCHEMA_VERSION}: upgrade")
    if version == 0:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
    if version == 0:
        db.executescript(f"BEGIN; {SCHEMA} COMMIT;")
    if (found := db.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
        raise StoreError(f"the file is damaged ({found}): restore a backup")


def _newest(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT newest FROM meta").fetchone()[0])


def _compacted(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT compacted FROM meta").fetchone()[0])


def _current(db: sqlite3.Connection, key: str) -> KeyValue | None:
    row = db.execute(
        "SELECT value, create_revision, revision FROM log WHERE key = ? ORDER BY revision DESC LIMIT 1", (key,)
    ).fetchone()
    return None if row is None or row[0] is None else KeyValue(key, *row)


def _checked(db: sqlite3.Connection, key: str, expected: int | None) -> tuple[int, int]:
    """(create revision, revision) of the key's present value, (0, 0) where it has none; Conflict.

    The value itself, which may be large, is read only for who is refused.
    """
    row = db.execute(
        "SELECT create_revision, revision, value IS NULL FROM log WHERE key = ? ORDER BY revision DESC LIMIT 1", (key,)
    ).fetchone()
    created, revision = (0, 0) if row is None or row[2] else row[:2]
    if expected is not None and expected != revision:
        raise Conflict(key, expected, _current(db, key))
    return created, revision


def _append(db: sqlite3.Connection, key: str, value: bytes | None, created: int, previous: int) -> tuple[int, int]:
    """(create revision, revision) of the row."""
    revision = _newest(db) + 1
    row = (revision, key, value, created or revision, previous)
    db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?)", row)
    db.execute("UPDATE meta SET newest = ?", (revision,))
    return row[3], revision


def _put(db: sqlite3.Connection, key: str, value: bytes, expected: int | None) -> KeyValue:
    return KeyValue(key, value, *_append(db, key, value, *_checked(db, key, expected)))


def _delete(db: sqlite3.Connection, key: str, expected: int | None) -> Event | None:
    created, previous = _checked(db, key, expected)
    return Event(_append(db, key, None, created, previous)[1], key, None) if previous else None


def _list(db: sqlite3.Connection, prefix: str, after: str, limit: int, revision: int) -> Page:
    newest, oldest = _newest(db), _compacted(db)
    if revision > newest:
        raise FutureRevision(revision, newest)
    if revision and revision < oldest:
        raise Compacted(revision, oldest)
    at = revision or newest
    rows = db.execute(
        "SELECT key, value, create_revision, max(revision) FROM log"
        " WHERE key >= ? AND key < ? AND key > ? AND revision <= ? GROUP BY key HAVING value IS NOT NULL"
        " ORDER BY key LIMIT ?",
        (prefix, prefix + LAST_CHARACTER, after, at, limit + 1 if limit else -1),
    ).fetchall()
    items = [KeyValue(*row) for row in (rows[:limit] if limit else rows)]
    return Page(items, at, more=bool(limit) and len(rows) > limit)


def _events(db: sqlite3.Connection, prefix: str, after: int) -> tuple[list[Event], int]:
    """The events after the revision, and the revision up to which there are no others."""
    if after < (oldest := _compacted(db)):
        raise Compacted(after, oldest)
    rows = db.execute(
        "SELECT revision, key, value, create_revision FROM log"
        " WHERE revision > ? AND key >= ? AND key < ? ORDER BY revision",
        (after, prefix, prefix + LAST_CHARACTER),
    ).fetchall()
    events = []
    for revision, key, value, created in rows:
        events.append(Event(revision, key, None if value is None else KeyValue(key, value, created, revision)))
    return events, max(after, _newest(db))


def _compact(db: sqlite3.Connection, revision: int) -> None:
    if revision > (newest := _newest(db)):
        raise FutureRevision(revision, newest)
    if revision <= _compacted(db):
        return
    db.execute(
        "DELETE FROM log WHERE revision <= ?1 AND (value IS NULL OR EXISTS"
        " (SELECT 1 FROM log later WHERE later.key = log.key AND later.revision > log.revision"
        " AND later.revision <= ?1))",
        (revision,),
    )
    db.execute("UPDATE meta SET compacted = ?", (revision,))
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    # One by one: Python's module takes one step of the statement, whatever its number.
    for _ in range(min(free, VACUUM_PAGES)):
        db.execute("PRAGMA incremental_vacuum(1)")
