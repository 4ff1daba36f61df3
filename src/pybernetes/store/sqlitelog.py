"""The log as SQL: what each request does within the transaction that the writer has begun. See `types.Store` for what they promise."""

from __future__ import annotations

import sqlite3
from typing import Protocol

from .types import Compacted, Conflict, Event, FutureRevision, KeyValue, Page

SCHEMA_VERSION = 2
APPLICATION_ID = 0x50794238  # "PyB8", by which file(1) and we know the file
# `whole`: 0 in the database file while it is in use, 1 in its WAL; see `sqlitefile.checkpoint`.
SCHEMA = f"""
CREATE TABLE log(
  revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB,
  create_revision INTEGER NOT NULL, previous INTEGER NOT NULL);
CREATE INDEX log_key ON log(key, revision);
CREATE TABLE meta(compacted INTEGER NOT NULL, newest INTEGER NOT NULL, whole INTEGER NOT NULL DEFAULT 1);
INSERT INTO meta VALUES (0, 0, 1);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""
FROM_VERSION_1 = f"""
ALTER TABLE meta ADD COLUMN whole INTEGER NOT NULL DEFAULT 1;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""
LAST_CHARACTER = "\U0010ffff"  # sorts after every continuation of a prefix
COMPACTED_ROWS = (
    2000  # that one step of a compaction looks at: bounds how long writers wait for it, and how long the WAL gets
)
COMPACTED_BYTES = 1 << 20  # and of values, beyond which it takes no further one
VACUUM_PAGES = 256  # of 4 KiB, that one step gives back to the file system


class Check(Protocol):
    """Refuses a write that there is no room for: sizes of the value before (None: there is none) and after. NoSpace."""

    def __call__(self, before: int | None, after: int) -> None: ...


def newest(db: sqlite3.Connection) -> int:
    """The newest revision."""
    return int(db.execute("SELECT newest FROM meta").fetchone()[0])


def _compacted(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT compacted FROM meta").fetchone()[0])


def _current(db: sqlite3.Connection, key: str) -> KeyValue | None:
    row = db.execute(
        "SELECT value, create_revision, revision FROM log WHERE key = ? ORDER BY revision DESC LIMIT 1", (key,)
    ).fetchone()
    return None if row is None or row[0] is None else KeyValue(key, *row)


def _checked(db: sqlite3.Connection, key: str, expected: int | None) -> tuple[int, int, int | None]:
    """(create revision, revision, size) of the key's present value, (0, 0, None) where it has none; Conflict.

    The value itself, which may be large, is read only for who is refused.
    """
    row = db.execute(
        "SELECT create_revision, revision, length(value) FROM log WHERE key = ? ORDER BY revision DESC LIMIT 1", (key,)
    ).fetchone()
    created, revision, size = (0, 0, None) if row is None or row[2] is None else row
    if expected is not None and expected != revision:
        raise Conflict(key, expected, _current(db, key))
    return created, revision, size


def _append(db: sqlite3.Connection, key: str, value: bytes | None, created: int, previous: int) -> tuple[int, int]:
    """(create revision, revision) of the row."""
    revision = newest(db) + 1
    row = (revision, key, value, created or revision, previous)
    db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?)", row)
    db.execute("UPDATE meta SET newest = ?", (revision,))
    return row[3], revision


def put(db: sqlite3.Connection, key: str, value: bytes, expected: int | None, check: Check) -> KeyValue:
    """Conflict before NoSpace: what cannot be written anyhow needs no room."""
    created, previous, size = _checked(db, key, expected)
    check(size, len(value))
    return KeyValue(key, value, *_append(db, key, value, created, previous))


def delete(db: sqlite3.Connection, key: str, expected: int | None) -> Event | None:
    """Needs room for a row without a value."""
    created, previous, _ = _checked(db, key, expected)
    return Event(_append(db, key, None, created, previous)[1], key, None) if previous else None


def list_page(db: sqlite3.Connection, prefix: str, after: str, limit: int, revision: int) -> Page:
    """FutureRevision, Compacted."""
    present, oldest = newest(db), _compacted(db)
    if revision > present:
        raise FutureRevision(revision, present)
    if revision and revision < oldest:
        raise Compacted(revision, oldest)
    at = revision or present
    rows = db.execute(
        "SELECT key, value, create_revision, max(revision) FROM log"
        " WHERE key >= ? AND key < ? AND key > ? AND revision <= ? GROUP BY key HAVING value IS NOT NULL"
        " ORDER BY key LIMIT ?",
        (prefix, prefix + LAST_CHARACTER, after, at, limit + 1 if limit else -1),
    ).fetchall()
    items = [KeyValue(*row) for row in (rows[:limit] if limit else rows)]
    return Page(items, at, more=bool(limit) and len(rows) > limit)


def events(db: sqlite3.Connection, prefix: str, after: int) -> tuple[list[Event], int]:
    """The events after the revision, and the revision up to which there are no others. Compacted."""
    if after < (oldest := _compacted(db)):
        raise Compacted(after, oldest)
    rows = db.execute(
        "SELECT revision, key, value, create_revision FROM log"
        " WHERE revision > ? AND key >= ? AND key < ? ORDER BY revision",
        (after, prefix, prefix + LAST_CHARACTER),
    ).fetchall()
    told = []
    for revision, key, value, created in rows:
        told.append(Event(revision, key, None if value is None else KeyValue(key, value, created, revision)))
    return told, max(after, newest(db))


def begin_compaction(db: sqlite3.Connection, revision: int) -> bool:
    """From now on nobody reads what is older. False where that is so already. FutureRevision."""
    if revision > (present := newest(db)):
        raise FutureRevision(revision, present)
    if revision <= _compacted(db):
        return False
    db.execute("UPDATE meta SET compacted = ?", (revision,))
    return True


def compact_some(db: sqlite3.Connection, after: int) -> int | None:
    """Drops what nobody can read any more of the next rows after a revision; up to which that is done, None: to the end.

    Oldest first: a deletion goes when all that it deleted is gone, so that nothing comes back if the rest is never done.
    """
    target, last, size = _compacted(db), None, 0
    rows = db.execute(
        "SELECT revision, length(value) FROM log WHERE revision > ? AND revision <= ? ORDER BY revision LIMIT ?",
        (after, target, COMPACTED_ROWS),
    )
    for last, length in rows:  # noqa: B007 - the last one that is looked at
        size += length or 0
        if size > COMPACTED_BYTES:
            break
    rows.close()
    if last is None:
        return None
    db.execute(
        "DELETE FROM log WHERE revision > ?1 AND revision <= ?2 AND (value IS NULL OR EXISTS"
        " (SELECT 1 FROM log later WHERE later.key = log.key AND later.revision > log.revision"
        " AND later.revision <= ?3))",
        (after, last, target),
    )
    return int(last)


def vacuum_some(db: sqlite3.Connection) -> bool:
    """Gives free pages back; whether there are others."""
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    # One by one: Python's module takes one step of the statement, whatever its number.
    for _ in range(min(free, VACUUM_PAGES)):
        db.execute("PRAGMA incremental_vacuum(1)")
    return bool(free > VACUUM_PAGES)
