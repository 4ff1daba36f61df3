"""Files that are no store of ours, or not all of one: refused in words, as they were.

The kind is a file somebody put there: copied, restored, damaged, another program's, of another release. Not met in the wild: a copy without
its WAL after a kill, one whose WAL is empty, SQLite's own backup of a store in use, another program's file with the same user_version.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pybernetes.store.sqlite import SQLiteStore
from pybernetes.store.types import StoreError

from .test_sqlite import WRITER, modes


async def written(path: Path, keys: int = 3) -> list[str]:
    """What is in the store, after so many writes more."""
    store = await SQLiteStore.open(str(path))
    try:
        for n in range(keys):
            await store.put(f"/{n}", b"x")
        return [item.key for item in (await store.list("/")).items]
    finally:
        await store.close()


def refused(path: Path, why: str) -> None:
    """And untouched, with nothing beside it."""
    before = {one.name: one.read_bytes() for one in path.parent.iterdir() if one.is_file()}
    with pytest.raises(StoreError, match=why):
        asyncio.run(written(path))
    left = {one.name: one.read_bytes() for one in path.parent.iterdir() if one.is_file() and "-" not in one.name}
    assert left == {name: data for name, data in before.items() if "-" not in name}


def other_program(path: Path, *statements: str) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()
    return path


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        (("CREATE TABLE places(id)",), r"the database of another program \(tables places\)"),
        (("CREATE TABLE log(x)",), "another program"),
        (("CREATE TABLE moz(id)", "PRAGMA user_version = 1"), "another program"),
        (("CREATE TABLE moz(id)", "PRAGMA user_version = 2"), "another program"),
        (("CREATE TABLE moz(id)", "PRAGMA journal_mode = WAL"), "another program"),
        (("PRAGMA application_id = 252006674",), r"another program \(application id 0xf055112\)"),
        (("CREATE TABLE log(x)", "CREATE TABLE meta(x)", "CREATE TABLE t(x)"), "another program"),
    ],
)
def test_another_programs_database_stays_as_it_is(tmp_path: Path, statements: tuple[str, ...], why: str) -> None:
    path = other_program(tmp_path / "places.db", *statements)
    path.chmod(0o644)
    refused(path, why)
    assert modes(tmp_path)["places.db"] == 0o644
    assert not (tmp_path / "places.db-lock").exists()


@pytest.mark.parametrize("content", [b"not a database" * 100, b"\0" * 4096, b"SQLite format 3\0", b"x"])
def test_what_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    refused(path, "is not a database: choose another file")


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    assert len(asyncio.run(written(tmp_path / "state.db"))) == 3
    (tmp_path / "empty.db").touch()
    other_program(tmp_path / "empty.db", "PRAGMA auto_vacuum = INCREMENTAL", "VACUUM")
    assert len(asyncio.run(written(tmp_path / "empty.db"))) == 3


def test_a_folder_a_missing_one_and_a_device_are_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", Path("/dev/null")):
        with pytest.raises(StoreError, match=f"cannot open '{path}': (Is a directory|it is no regular file)"):
            asyncio.run(written(path))
    with pytest.raises(StoreError, match="-lock: No such file or directory"):
        asyncio.run(written(tmp_path / "none" / "state.db"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_what_may_not_be_written_is_named(tmp_path: Path) -> None:
    asyncio.run(written(tmp_path / "state.db"))
    (tmp_path / "state.db").chmod(0o400)
    refused(tmp_path / "state.db", "state.db': Permission denied")


def test_a_newer_release_of_the_file_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    asyncio.run(written(path))
    other_program(path, "PRAGMA user_version = 9")
    refused(path, "has schema version 9, this release knows 2: upgrade")


def test_an_older_release_of_the_file_is_brought_up_to_date(tmp_path: Path) -> None:
    other_program(
        tmp_path / "state.db",
        "CREATE TABLE log(revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB,"
        " create_revision INTEGER NOT NULL, previous INTEGER NOT NULL)",
        "CREATE INDEX log_key ON log(key, revision)",
        "CREATE TABLE meta(compacted INTEGER NOT NULL, newest INTEGER NOT NULL)",
        "INSERT INTO meta VALUES (0, 1)",
        "INSERT INTO log VALUES (1, '/old', 'x', 1, 0)",
        "PRAGMA user_version = 1",
        "PRAGMA journal_mode = WAL",
    )
    assert asyncio.run(written(tmp_path / "state.db", 1)) == ["/0", "/old"]


def filled(path: Path) -> Path:
    async def fill() -> None:
        store = await SQLiteStore.open(str(path))
        await asyncio.gather(*(store.put(f"/registry/things/{n}", b"v" * 1000) for n in range(300)))
        await store.close()

    asyncio.run(fill())
    return path


@pytest.mark.parametrize("damage", ["zeros", "noise", "cut", "index"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = filled(tmp_path / "state.db")
    data = bytearray(path.read_bytes())
    assert len(data) > 40 * 4096
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        first = {"zeros": 1, "noise": 5, "index": 3}[damage] * 4096
        data[first : first + 4096] = {"zeros": b"\0" * 4096}.get(damage, bytes(n * 7 % 256 for n in range(4096)))
    path.write_bytes(data)
    refused(path, r"the file is damaged \(.*\): restore a backup")


class Writer:
    """A process that writes to a file until it is killed, and has written `lines` times."""

    def __init__(self, path: Path, lines: int) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline() for _ in range(lines)]

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate()


@pytest.mark.parametrize("lines", [1, 50, 1500])
@pytest.mark.parametrize("killed", [False, True])
def test_a_copy_without_its_log_is_no_store(tmp_path: Path, lines: int, killed: bool) -> None:
    original, copy = tmp_path / "state.db", tmp_path / "copy" / "state.db"
    copy.parent.mkdir()
    writer = Writer(original, lines)
    try:
        os.kill(writer.process.pid, signal.SIGSTOP)
        if killed:
            writer.kill()
        shutil.copy(original, copy)
    finally:
        writer.kill()
    refused(copy, f"what was written last is missing: .*{copy}-wal.*sqlite3 {copy} 'UPDATE meta SET whole = 1'")
    Path(f"{copy}-wal").touch()
    refused(copy, "what was written last is missing")
    shutil.copy(f"{original}-wal", f"{copy}-wal")
    assert asyncio.run(written(copy, 0))


def test_who_wants_the_older_state_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    Writer(path, 1500).kill()
    Path(f"{path}-wal").unlink()
    refused(path, "what was written last is missing")
    other_program(path, "UPDATE meta SET whole = 1")
    assert len(asyncio.run(written(path, 0))) > 1


def _backup(source: Path, target: Path) -> None:
    with contextlib.closing(sqlite3.connect(source)) as db, contextlib.closing(sqlite3.connect(target)) as other:
        db.backup(other)


def _vacuum_into(source: Path, target: Path) -> None:
    with contextlib.closing(sqlite3.connect(source)) as db:
        db.execute("VACUUM INTO ?", (str(target),))


def _stopped(source: Path, target: Path) -> None:
    shutil.copy(source, target)


@pytest.mark.parametrize("copy", [_backup, _vacuum_into, _stopped])
@pytest.mark.parametrize("keys", [1, 400])
def test_a_backup_is_one(tmp_path: Path, copy: Callable[[Path, Path], None], keys: int) -> None:
    async def scenario() -> None:
        store = await SQLiteStore.open(str(tmp_path / "state.db"))
        for n in range(keys):
            await store.put(f"/{n:05}", b"x" * 3000)
        if copy is _stopped:
            await store.close()
        await asyncio.to_thread(copy, tmp_path / "state.db", tmp_path / "copy.db")
        await store.close()

    asyncio.run(scenario())
    assert len(asyncio.run(written(tmp_path / "copy.db", 0))) == keys


def test_the_log_is_bounded(tmp_path: Path) -> None:
    """Also by a burst of large values, which leaves it no larger than its limit."""

    async def scenario() -> None:
        store = await SQLiteStore.open(str(tmp_path / "state.db"))
        largest = 0
        for _ in range(20):
            await asyncio.gather(*(store.put(f"/{n}", b"x" * 1_000_000) for n in range(10)))
            largest = max(largest, (tmp_path / "state.db-wal").stat().st_size)
        assert largest < 16 << 20
        for n in range(300):
            await store.put("/small", b"%d" % n)
        await store.compact(await store.revision())
        assert (tmp_path / "state.db-wal").stat().st_size <= 32 << 20
        await store.close()
        assert not (tmp_path / "state.db-wal").exists()

    asyncio.run(scenario())


def test_others_are_served_between_the_steps_of_a_compaction(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await SQLiteStore.open(str(tmp_path / "state.db"))
        for start in range(0, 10_000, 200):
            await asyncio.gather(*(store.put(f"/{n % 7}", b"x") for n in range(start, start + 200)))
        compaction = asyncio.ensure_future(store.compact(await store.revision()))
        reads = 0
        while not compaction.done():
            assert len((await store.list("/")).items) == 7
            reads += 1
        await compaction
        await store.close()
        assert reads > 4

    asyncio.run(scenario())
