"""Compaction in rounds, by one of several servers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.store.compaction import KEY, Compactor
from pybernetes.store.sqlite import SQLiteStore
from pybernetes.store.types import Compacted, Store, StoreError

INTERVAL = 300.0


def run(test: Callable[[Store], Awaitable[None]]) -> None:
    async def limited() -> None:
        store = await SQLiteStore.open(":memory:")
        async with asyncio.timeout(60):
            await test(store)
        await store.close()

    asyncio.run(limited())


async def oldest(store: Store) -> int:
    """The first revision that the store still knows."""
    try:
        await store.list("/", revision=1)
    except Compacted as compacted:
        return compacted.oldest
    return 1


def test_each_round_drops_what_is_older_than_the_one_before() -> None:
    async def test(store: Store) -> None:
        compactor = Compactor(store, INTERVAL, VirtualClock())
        for _ in range(3):
            await store.put("/a", b"")
        await compactor.round()
        assert await oldest(store) == 1
        first = await store.revision()
        for _ in range(3):
            await store.put("/a", b"")
        await compactor.round()
        assert await oldest(store) == first

    run(test)


def test_of_several_servers_one_compacts_in_a_round() -> None:
    async def test(store: Store) -> None:
        compactors = [Compactor(store, INTERVAL, VirtualClock()) for _ in range(3)]
        writes = []
        for _ in range(4):
            await store.put("/a", b"")
            before = await store.revision()
            for compactor in compactors:
                await compactor.round()
            writes.append(await store.revision() - before)
        assert writes == [1] * 4
        assert await oldest(store) > 1

    run(test)


def test_a_server_that_starts_anew_drops_nothing_in_its_first_round() -> None:
    async def test(store: Store) -> None:
        await Compactor(store, INTERVAL, VirtualClock()).round()
        await store.put("/a", b"")
        again = Compactor(store, INTERVAL, VirtualClock())
        await again.round()
        assert await oldest(store) == 1
        seen = await store.revision()
        await again.round()
        assert await oldest(store) == seen

    run(test)


def test_rounds_come_in_the_interval_and_end_with_the_store(caplog: pytest.LogCaptureFixture) -> None:
    async def test(store: Store) -> None:
        clock = VirtualClock()
        compactor = Compactor(store, INTERVAL, clock)
        compactor.start()
        await clock.advance(INTERVAL - 1)
        assert await store.revision() == 0
        await clock.advance(1)
        while await store.revision() != 1:
            pass
        [noted] = (await store.list(KEY)).items
        assert noted.key == KEY
        await asyncio.sleep(0)
        await store.close()
        await clock.advance(INTERVAL)
        assert clock.sleepers == 0  # it has ended
        await compactor.stop()

    with caplog.at_level(logging.WARNING):
        run(test)
    assert not caplog.records


def test_a_round_that_fails_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    class Full(SQLiteStore):
        async def compact(self, revision: int) -> None:
            raise StoreError("the disk is full")

    async def test(store: Store) -> None:
        clock = VirtualClock()
        full = await Full.open(":memory:")
        compactor = Compactor(full, INTERVAL, clock)
        compactor.start()
        while caplog.text.count("compaction failed, it will be tried again: the disk is full") < 2:
            await clock.advance(INTERVAL)
        await compactor.stop()
        await full.close()

    run(test)


def test_an_interval_of_none_is_no_loop() -> None:
    async def test(store: Store) -> None:
        clock = VirtualClock()
        compactor = Compactor(store, 0.0, clock)
        compactor.start()
        await clock.advance(INTERVAL)
        await compactor.stop()
        assert (clock.sleepers, await store.revision()) == (0, 0)

    run(test)
