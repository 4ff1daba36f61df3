"""The file under the log: whose it is, who may open it, and whether all of it is there."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import stat
import struct
from pathlib import Path
from urllib.parse import quote

from pybernetes import files

from .sqlitelog import APPLICATION_ID, FROM_VERSION_1, SCHEMA, SCHEMA_VERSION
from .types import StoreError

_log = logging.getLogger(__name__)

WAL_BYTES = 16 << 20  # what a burst of writes has made of the WAL is given back beyond this
MAGIC = b"SQLite format 3\0"
HEADER = struct.Struct(">16s 44x I 4x I 28x")  # of the file format: magic, user_version, application_id
TABLES = {"log", "meta"}


def hold(path: str) -> int:
    """The lock of the file, as a descriptor, once it is sure that the file is ours or none. StoreError.

    A second writer would see the first one's writes only after one of its own: watches are woken by this process' commits.
    The lock has a file of its own: closing any descriptor of the database would end the locks that SQLite has on it. So the database is
    looked into only where nobody has it open.
    """
    lock = Path(os.path.realpath(path) + "-lock")
    never_held = not lock.exists()
    if never_held:  # another program's file: it gets no lock beside it
        check(path)
    try:
        descriptor = files.hold(lock)
    except files.Held as held:
        who = f"process {held.pid}" if held.pid else "another process"
        raise StoreError(f"{path!r} is in use by {who}: stop that one first, or choose another file") from held
    except OSError as error:
        raise StoreError(f"cannot open {path!r}: {error.filename}: {error.strerror or error}") from error
    if not never_held:
        try:
            check(path)
        except BaseException:
            os.close(descriptor)
            raise
    return descriptor


def check(path: str) -> None:
    """StoreError for what is there and no database of ours that can be written; it is left as it is."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"cannot open {path!r}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        header = os.pread(descriptor, HEADER.size, 0) if stat.S_ISREG(status.st_mode) else b""
    finally:
        os.close(descriptor)
    folder = os.path.dirname(os.path.realpath(path))
    if not os.access(folder, os.W_OK):
        raise StoreError(f"cannot open {path!r}: SQLite keeps files beside it, and {folder} may not be written")
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"cannot open {path!r}: it is no regular file")
    if status.st_size == 0:
        return  # as an empty one
    if not header.startswith(MAGIC) or len(header) < HEADER.size:
        raise StoreError(f"{path!r} is not a database: choose another file, or restore a backup")
    _, version, application = HEADER.unpack(header)
    if application not in (0, APPLICATION_ID):
        raise _foreign(path, f"application id {application:#x}")
    if application == 0:  # older than the id, or it is in the WAL still
        _check_tables(path, version)


def _check_tables(path: str, version: int) -> None:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as db:
            tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    except sqlite3.Error as error:
        raise StoreError(f"cannot open {path!r}: {error}") from error
    if tables and (not tables >= TABLES or (version == 0 and tables != TABLES)):
        raise _foreign(path, f"tables {', '.join(sorted(tables)[:5])}")


def _foreign(path: str, what: str) -> StoreError:
    return StoreError(f"{path!r} is the database of another program ({what}): choose another file")


def connect(path: str) -> sqlite3.Connection:
    """A new file is mode 0600 before SQLite opens it, and SQLite gives its -wal and -shm the same mode. OSError, sqlite3.Error."""
    with contextlib.suppress(FileExistsError):
        os.close(files.open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    return sqlite3.connect(path, isolation_level=None)


def close_to_others(path: str) -> None:
    """Every Secret is in the file, and older releases left it to the umask."""
    changed = files.close_to_others(Path(path + suffix) for suffix in ("", "-wal", "-shm"))
    if changed:
        shown = ", ".join(map(str, changed))
        _log.warning("%s: readable by other users of this machine until now, and no longer", shown)


def has_wal(path: str) -> bool:
    """Whether something was written since the last clean end. To be asked before the file is opened."""
    try:
        return os.stat(path + "-wal").st_size > 0
    except FileNotFoundError:
        return False


def prepare(db: sqlite3.Connection, path: str, had_wal: bool) -> None:
    """Makes the tables, or makes sure that they are sound and whole. StoreError; sqlite3.Error where it is locked or full."""
    db.execute("PRAGMA temp_store = MEMORY")  # what is needed to undo one request of many; no second disk to be full
    db.execute(
        "PRAGMA secure_delete = FAST"
    )  # with ON, as some build it, what is deleted is written once more: there is no room for that
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise StoreError(f"the file has schema version {version}, this release knows {SCHEMA_VERSION}: upgrade")
        if version == 0:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA wal_autocheckpoint = 0")  # see `checkpoint`
        db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        if version > 0 and (problem := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise StoreError(f"the file is damaged ({problem.splitlines()[-1]}): restore a backup")
        if version < SCHEMA_VERSION:
            db.executescript(f"BEGIN; {FROM_VERSION_1 if version else SCHEMA} COMMIT;")
        if not db.execute("SELECT whole FROM meta").fetchone()[0] and not had_wal:
            raise StoreError(_not_whole(path))
    except sqlite3.OperationalError:
        raise  # locked, full, not ours
    except sqlite3.DatabaseError as error:
        raise StoreError(f"the file is damaged ({error}): restore a backup") from error


def _not_whole(path: str) -> str:
    return (
        f"what was written last is missing: the file was in use when it was copied, or {path}-wal, which belongs to it, is gone. "
        f"Bring that file as well, or a copy made by `sqlite3 FILE '.backup COPY'` or of a server that was stopped. "
        f"To go on with the older state, and lose the rest: sqlite3 {path} 'UPDATE meta SET whole = 1'"
    )


def checkpoint(db: sqlite3.Connection) -> None:
    """Moves the WAL into the file, which says of itself that it is not whole; the WAL's next frame says that both together are.

    So the file alone is recognized, while a backup that SQLite makes is not mistaken for one. sqlite3.Error.
    """
    db.execute("UPDATE meta SET whole = 0")
    db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    db.execute("UPDATE meta SET whole = 1")
