"""A disk without room: reads go on, so does what makes room, and everything once there is room again.

The kind is SQLITE_FULL wherever it comes up: at a statement, at the commit, at the checkpoint, as the file is opened; for a write that shares
its transaction with reads, with deletions, with other writes. Not met in the wild: a full disk at the start, one that fills twice, a
watch across the time without room, a compaction as the only request.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.store import space, sqlite, sqlitefile
from pybernetes.store.compaction import Compactor
from pybernetes.store.space import SMALL_CHANGE, FileReserve, Level, Space, needed, suitable
from pybernetes.store.sqlite import SQLiteStore
from pybernetes.store.types import Event, NoSpace, Store

PAGE = 4096
HALF = 40  # pages of the reserve


class Disk:
    """Room in pages, as SQLite itself counts it, of which a reserve takes its part."""

    size = 16 << 20

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pages: int) -> None:
        self.pages, self._held, self._db = pages, 0, None
        self.now = 0.0
        connect = sqlitefile.connect

        def connected(path: str) -> sqlite3.Connection:
            self._db = connect(path)
            self.limit()
            return self._db

        monkeypatch.setattr(sqlitefile, "connect", connected)
        self._db: sqlite3.Connection | None

    def hold(self, level: Level) -> None:
        held = self._held
        self._held = HALF * level
        if self._held > held and self._used() + self._held > self.pages:
            self._held = held
            raise OSError("no space")
        self.limit()

    def _used(self) -> int:
        if self._db is None:
            return 0
        count, free = (self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
        return int(count) - int(free)

    def limit(self) -> None:
        if self._db is not None:
            self._db.execute(f"PRAGMA max_page_count = {self.pages - self._held}").fetchone()

    def forget(self) -> None:
        self._db = None

    def clock(self) -> float:
        return self.now


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch, 300)


def play(path: Path, disk: Disk, scenario: Callable[[Store], Awaitable[object]]) -> None:
    async def run() -> None:
        store = await SQLiteStore.open(str(path), Space("state.db", disk, disk.clock))
        try:
            await asyncio.wait_for(scenario(store), 60)
        finally:
            await store.close()
            disk.forget()

    asyncio.run(run())


async def fill(store: Store, prefix: str = "/big/", size: int = PAGE) -> int:
    """Until nothing new is taken; how many were."""
    for count in range(10_000):
        try:
            await store.put(f"{prefix}{count}", b"x" * size, 0)
        except NoSpace:
            return count
    raise AssertionError("never full")


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [
        (None, 0, Level.ALL),
        (500, 500, Level.CHANGES),
        (500, 10, Level.CHANGES),
        (0, SMALL_CHANGE, Level.CHANGES),
        (0, SMALL_CHANGE + 1, Level.ALL),
    ],
)
def test_what_a_write_needs(before: int | None, after: int, level: Level) -> None:
    assert needed(before, after) is level


def test_reads_watches_leases_and_deletions_go_on_and_room_is_noticed(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(store: Store) -> None:
        lease = await store.put("/leases/a", b"renewed 0")
        watch = store.watch("/leases/", lease.mod_revision)
        count = await fill(store)
        assert count > 100
        with pytest.raises(NoSpace, match="no space is left on the device of the database state"):
            await store.put("/new", b"")
        assert len((await store.list("/big/")).items) == count
        for n in range(20):
            lease = await store.put("/leases/a", b"renewed %d" % n, lease.mod_revision)
        told = await anext(watch)
        while not isinstance(told, Event) or told.revision < lease.mod_revision:
            told = await anext(watch)
        assert told.current == lease
        answers = await asyncio.gather(  # in one transaction: only who has to wait is refused
            store.put("/other", b"x" * PAGE), store.list("/leases/"), store.delete("/big/0"), return_exceptions=True
        )
        assert isinstance(answers[0], NoSpace)
        assert not any(isinstance(answer, BaseException) for answer in answers[1:])
        for n in range(1, count):
            await store.delete(f"/big/{n}")
        await store.compact(await store.revision())
        disk.now += 10.0
        assert (await store.put("/new", b"x" * PAGE)).key == "/new"

    play(tmp_path / "state.db", disk, scenario)
    assert [record.exc_info for record in caplog.records] == [None] * len(caplog.records)
    assert "only deletions and small changes are written until there is" in caplog.text
    assert "there is space for state.db again" in caplog.text


def test_changes_never_take_the_room_of_deletions(tmp_path: Path, disk: Disk) -> None:
    async def scenario(store: Store) -> None:
        await store.put("/leases/a", b"x" * 900)
        await fill(store)
        with pytest.raises(NoSpace):
            for _ in range(10_000):
                await store.put("/leases/a", b"x" * 900)
        disk.pages -= 30  # others have taken them: there is room for half of the reserve only
        for n in range(10):
            await store.delete(f"/big/{n}")
        await store.compact(await store.revision())
        disk.now += 10.0
        await store.put("/leases/a", b"")
        with pytest.raises(NoSpace):
            await store.put("/new", b"")

    play(tmp_path / "state.db", disk, scenario)


def test_it_fills_again_and_is_told_again(tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(store: Store) -> None:
        for turn in range(3):
            count = await fill(store, f"/{turn}/")
            await asyncio.gather(*(store.delete(f"/{turn}/{n}") for n in range(count)))
            await store.compact(await store.revision())
            disk.now += 10.0
        await fill(store)
        disk.now += 10.0
        disk.pages += 1000
        assert await fill(store, "/more/") > 500

    play(tmp_path / "state.db", disk, scenario)
    assert caplog.text.count("again: everything is written as before") >= 3


def test_a_disk_that_is_full_at_the_start_is_served(tmp_path: Path, disk: Disk) -> None:
    async def filled(store: Store) -> None:
        await fill(store)

    async def again(store: Store) -> None:
        assert len((await store.list("/big/")).items) > 100
        with pytest.raises(NoSpace):
            await store.put("/new", b"x" * PAGE * 100)
        await store.delete("/big/0")

    play(tmp_path / "state.db", disk, filled)
    play(tmp_path / "state.db", disk, again)


def test_what_was_deleted_makes_room_without_a_compaction(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "MAKE_ROOM_SECONDS", 0.0)

    async def scenario(store: Store) -> None:
        for n in range(await fill(store)):
            await store.delete(f"/big/{n}")
        while True:
            disk.now += 10.0
            try:
                await store.put("/new", b"x" * PAGE)
                break
            except NoSpace:
                continue

    play(tmp_path / "state.db", disk, scenario)


def test_the_compactor_needs_no_key_to_make_room(tmp_path: Path, disk: Disk) -> None:
    async def scenario(store: Store) -> None:
        compactor = Compactor(store, 300.0, VirtualClock())
        await store.put("/a", b"")
        with pytest.raises(NoSpace):
            for _ in range(10_000):
                await store.put("/a", b"x" * SMALL_CHANGE)
        await compactor.round()
        await compactor.round()
        disk.now += 10.0
        await store.put("/a", b"there is room")

    play(tmp_path / "state.db", disk, scenario)


@pytest.mark.parametrize(("total", "size"), [(8, 2), (20, 4), (64, 4), (128, 8), (1 << 20, 16)])
def test_how_large_a_reserve_is(total: int, size: int) -> None:
    assert suitable(total << 20) == size << 20


@pytest.mark.parametrize("size", [1, 100_000])
def test_the_reserve_is_a_file_of_its_owner_that_gets_smaller_and_whole_again(tmp_path: Path, size: int) -> None:
    path = tmp_path / "state.db-reserve"
    reserve = FileReserve(path, size)
    for level, expected in ((Level.ALL, size), (Level.CHANGES, size // 2), (Level.REMOVALS, 0), (Level.ALL, size)):
        reserve.hold(level)
        assert (path.stat().st_size, path.stat().st_mode & 0o777) == (expected, 0o600)
        assert path.stat().st_blocks * 512 >= expected


@pytest.fixture(params=[12, 24])
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of so many MiB."""
    if os.geteuid():
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={request.param}m", "tmpfs", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("size", [4000, 100_000, 1_400_000])
@pytest.mark.parametrize("stolen", [False, True], ids=["alone", "others take the rest"])
def test_on_a_real_file_system(
    small_disk: Path, size: int, stolen: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "MAKE_ROOM_SECONDS", 0.2)
    monkeypatch.setattr(space, "RETRY_SECONDS", 0.1)
    other = small_disk / "other"

    async def scenario() -> None:
        store = await SQLiteStore.open(str(small_disk / "state.db"))
        try:
            lease = await store.put("/leases/a", b"0")
            count = 0
            with pytest.raises(NoSpace):
                while True:
                    await asyncio.gather(*(store.put(f"/big/{n:06}", b"x" * size) for n in range(count, count + 20)))
                    count += 20
            if stolen:
                with pytest.raises(OSError), open(other, "wb", buffering=0) as file:
                    while file.write(b"x" * 4096):
                        pass
            lease = await store.put("/leases/a", b"1", lease.mod_revision)
            assert (await store.list("/leases/")).items == [lease]
            items = (await store.list("/big/")).items
            gone = items[: len(items) * 3 // 4 + 1]
            for start in range(0, len(gone), 50):
                await asyncio.gather(*(store.delete(item.key) for item in gone[start : start + 50]))
            other.unlink(missing_ok=True)
            while True:
                try:
                    await store.put("/new", b"x" * size)
                    break
                except NoSpace:
                    await asyncio.sleep(0.1)
        finally:
            await store.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(asyncio.wait_for(scenario(), 180))
    assert not any(record.exc_info for record in caplog.records)
    assert not any("cannot be moved" in record.getMessage() for record in caplog.records)
