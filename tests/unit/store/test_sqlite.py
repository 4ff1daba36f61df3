"""What only the store in a file promises: one process a file, its owner's alone, nothing acknowledged lost."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pybernetes.store import sqlitelog
from pybernetes.store.sqlite import SQLiteStore
from pybernetes.store.types import Event, Progress, Store, StoreError

FILES = ("state.db", "state.db-wal", "state.db-shm", "state.db-lock", "state.db-reserve")


def play(path: str, scenario: Callable[[Store], Awaitable[object]]) -> None:
    async def run() -> None:
        store = await SQLiteStore.open(path)
        try:
            await asyncio.wait_for(scenario(store), 60)
        finally:
            await store.close()

    asyncio.run(run())


def test_a_bad_file_is_refused_by_name(tmp_path: Path) -> None:
    async def open_it(path: Path) -> None:
        await SQLiteStore.open(str(path))

    with pytest.raises(StoreError, match="cannot open"):
        asyncio.run(open_it(tmp_path / "no" / "such" / "folder"))
    (tmp_path / "junk").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="not a database"):
        asyncio.run(open_it(tmp_path / "junk"))


def test_a_file_that_is_no_store_keeps_its_mode(tmp_path: Path) -> None:
    junk = tmp_path / "passwd"
    junk.write_bytes(b"not a database" * 100)
    junk.chmod(0o644)
    with pytest.raises(StoreError):
        asyncio.run(SQLiteStore.open(str(junk)))
    assert modes(tmp_path)["passwd"] == 0o644


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_the_files_are_their_owners_alone(tmp_path: Path, umask: int, caplog: pytest.LogCaptureFixture) -> None:
    file, before = tmp_path / "state.db", os.umask(umask)

    async def scenario(store: Store) -> None:
        await store.put("/secret", b"s")
        assert modes(tmp_path) == dict.fromkeys(FILES, 0o600)

    try:
        play(str(file), scenario)
    finally:
        os.umask(before)
    assert not caplog.records


def test_files_that_an_older_release_left_open_are_closed_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "state.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()  # the log and its index stay
    for path in tmp_path.iterdir():
        path.chmod(0o644)

    async def scenario(store: Store) -> None:
        await store.put("/secret", b"s")
        assert modes(tmp_path) == dict.fromkeys(FILES, 0o600)

    play(str(file), scenario)
    [record] = caplog.records
    assert f"{file}, {file}-wal, {file}-shm: readable by other users" in record.getMessage()


def test_a_file_has_one_writer(tmp_path: Path) -> None:
    """Also by another name, and until it is closed."""
    file, other_name = tmp_path / "state.db", tmp_path / "link.db"
    other_name.symlink_to(file)

    async def scenario(store: Store) -> None:
        for name in (file, other_name):
            with pytest.raises(StoreError, match=f"'{name}' is in use by process {os.getpid()}: stop that one"):
                await SQLiteStore.open(str(name))
        await store.put("/a", b"goes on")

    play(str(file), scenario)
    play(str(other_name), lambda store: store.put("/b", b""))


def test_the_lock_of_a_killed_process_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(StoreError, match=f"is in use by process {process.pid}:"):
            asyncio.run(SQLiteStore.open(str(file)))
        process.kill()
    play(str(file), lambda store: store.put("/a", b""))


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_a_watch_that_keeps_up_reads_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a commit wrote is told from memory; the log is read for who comes later, has missed one, or asks for what is still to come."""
    reads, events = [0], sqlitelog.events

    def counted(db: sqlite3.Connection, prefix: str, after: int) -> object:
        reads[0] += 1
        return events(db, prefix, after)

    async def scenario(store: Store) -> None:
        first = await store.put("/a/1", b"1")
        told = store.watch("/a/", after=first.mod_revision - 1)
        assert (await anext(told), reads) == (Event(1, "/a/1", first), [0])
        for revision in range(2, 5):
            waiting = asyncio.ensure_future(anext(told))
            await asyncio.sleep(0)
            written = await store.put("/a/1", b"2")
            assert (await waiting, reads) == (Event(revision, "/a/1", written), [0])
        waiting = asyncio.ensure_future(anext(told))
        await asyncio.sleep(0)
        await store.put("/b/1", b"elsewhere")
        assert (await waiting, reads) == (Progress(5), [0])
        missed = [await store.put("/a/1", b"3"), await store.put("/a/2", b"4")]
        assert [await anext(told), await anext(told)] == [Event(one.mod_revision, one.key, one) for one in missed]
        assert reads == [1]
        later = asyncio.ensure_future(anext(store.watch("/a/", after=8)))
        await asyncio.sleep(0)
        await store.put("/a/3", b"not asked for")
        assert (await store.delete("/a/2"), reads) == (Event(9, "/a/2", None), [1])
        assert (await later, reads) == (Event(9, "/a/2", None), [1])

    monkeypatch.setattr(sqlitelog, "events", counted)
    play(":memory:", scenario)


def test_the_file_gets_smaller_again(tmp_path: Path) -> None:
    file = tmp_path / "state.db"

    async def fill(store: Store) -> None:
        await asyncio.gather(*(store.put(f"/{n}", b"x" * 100_000) for n in range(100)))

    async def empty(store: Store) -> None:
        await asyncio.gather(*(store.delete(f"/{n}") for n in range(100)))
        await store.compact(await store.revision())

    play(str(file), fill)
    full = file.stat().st_size
    play(str(file), empty)
    assert full > 10_000_000
    assert file.stat().st_size < full / 10


WRITER = """
import asyncio, sys
from pybernetes.store.sqlite import SQLiteStore
async def main():
    store = await SQLiteStore.open(sys.argv[1])
    async def write(worker):
        n = 0
        while True:
            kv = await store.put(f"/{worker}", b"%d" % n)
            print(worker, n, kv.mod_revision, flush=True)
            n += 1
    await asyncio.gather(*(write(worker) for worker in range(4)))
asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 20, 150])
def test_a_killed_process_loses_no_acknowledged_write(tmp_path: Path, lines: int) -> None:
    file = tmp_path / "state.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        said += [line for line in process.stdout if line.endswith("\n")]
    acknowledged: dict[str, int] = {}
    for worker, n, _ in (line.split() for line in said):
        acknowledged[worker] = int(n)

    async def scenario(store: Store) -> None:
        for worker, n in acknowledged.items():
            [current] = (await store.list(f"/{worker}")).items
            assert int(current.value) >= n

    play(str(file), scenario)
