"""The rules of the Store interface, played on every backend."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pybernetes.store.sqlite import SQLiteStore
from pybernetes.store.types import Closed, Compacted, Conflict, FutureRevision, Store, StoreError

FILES = ("state.db", "state.db-wal", "state.db-shm", "state.db-lock")
Scenario = Callable[[Store], Awaitable[object]]


@pytest.fixture(params=["memory", "file"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return ":memory:" if request.param == "memory" else str(tmp_path / "state.db")


def play(path: str, scenario: Scenario) -> None:
    async def run() -> None:
        store = await SQLiteStore.open(path)
        try:
            await asyncio.wait_for(scenario(store), 20)
        finally:
            await store.close()

    asyncio.run(run())


def test_revisions_count_writes_only(path: str) -> None:
    async def scenario(store: Store) -> None:
        assert await store.revision() == 0
        first = await store.put("/a", b"1", expected=0)
        second = await store.put("/a", b"2", expected=first.mod_revision)
        assert (second.create_revision, second.mod_revision) == (1, 2)
        for expected in (0, 1, 7):
            with pytest.raises(Conflict) as refused:
                await store.put("/a", b"x", expected=expected)
            assert refused.value.current == second
        assert await store.get("/a") == second
        assert await store.delete("/none") is None
        with pytest.raises(Conflict):
            await store.delete("/none", expected=3)
        gone = await store.delete("/a", expected=2)
        assert gone is not None and (gone.revision, gone.previous) == (3, second)
        assert await store.get("/a") is None
        assert (await store.put("/a", b"3", expected=0)).create_revision == 4
        assert await store.revision() == 4

    play(path, scenario)


def test_lists_in_pages_at_one_revision(path: str) -> None:
    async def scenario(store: Store) -> None:
        for name in ("c", "a", "b", "d"):
            await store.put(f"/pods/{name}", name.encode())
        await store.put("/podsother", b"")
        page = await store.list("/pods/", limit=2)
        assert ([item.key for item in page.items], page.revision, page.more) == (["/pods/a", "/pods/b"], 5, True)
        await store.delete("/pods/c")
        rest = await store.list("/pods/", after="/pods/b", limit=2, revision=page.revision)
        assert ([item.key for item in rest.items], rest.more) == (["/pods/c", "/pods/d"], False)
        assert [item.key for item in (await store.list("/pods/")).items] == ["/pods/a", "/pods/b", "/pods/d"]
        with pytest.raises(FutureRevision):
            await store.list("/pods/", revision=99)

    play(path, scenario)


def test_watch_resumes_and_follows(path: str) -> None:
    async def scenario(store: Store) -> None:
        await store.put("/a/1", b"old")
        await store.put("/b/1", b"other prefix")
        await store.put("/a/1", b"new")
        events = store.watch("/a/", after=1)
        seen = await anext(events)
        assert seen.current is not None and seen.previous is not None
        assert (seen.revision, seen.current.value, seen.previous.value) == (3, b"new", b"old")
        following = asyncio.ensure_future(anext(events))
        await store.put("/b/2", b"")
        await store.delete("/a/1")
        deleted = await following
        assert (deleted.revision, deleted.current, deleted.previous) == (5, None, seen.current)

    play(path, scenario)


def test_compaction_keeps_the_present(path: str) -> None:
    async def scenario(store: Store) -> None:
        for value in (b"1", b"2", b"3"):
            await store.put("/a", value)
        await store.put("/gone", b"")
        await store.delete("/gone")
        await store.compact(5)
        current = await store.get("/a")
        assert current is not None and (current.value, current.create_revision) == (b"3", 1)
        with pytest.raises(Compacted):
            await store.list("/", revision=4)
        with pytest.raises(Compacted):
            await anext(store.watch("/", after=4))
        assert (await store.put("/b", b"")).mod_revision == 6
        with pytest.raises(FutureRevision):
            await store.compact(99)

    play(path, scenario)


def test_many_writers_of_one_key_each_win_once(path: str) -> None:
    async def add_one(store: Store) -> None:
        while True:
            current = await store.get("/n")
            value, expected = (int(current.value), current.mod_revision) if current else (0, 0)
            try:
                await store.put("/n", b"%d" % (value + 1), expected)
                return
            except Conflict:
                continue

    async def scenario(store: Store) -> None:
        await asyncio.gather(*(add_one(store) for _ in range(30)))
        current = await store.get("/n")
        assert current is not None and current.value == b"30" and current.mod_revision == 30

    play(path, scenario)


def test_closing_ends_watches_and_refuses(path: str) -> None:
    async def scenario(store: Store) -> None:
        waiting = asyncio.ensure_future(anext(store.watch("/", after=0)))
        await store.revision()
        await store.close()
        with pytest.raises((Closed, StopAsyncIteration)):
            await waiting
        with pytest.raises(Closed):
            await store.put("/a", b"")

    play(path, scenario)


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
            current = await store.get(f"/{worker}")
            assert current is not None and int(current.value) >= n

    play(str(file), scenario)
