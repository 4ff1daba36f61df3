"""Tests of the work queue, on virtual time."""

from __future__ import annotations

import asyncio

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.aio.workqueue import WorkQueue, WorkQueueShutDown


def make() -> tuple[VirtualClock, WorkQueue[str]]:
    clock = VirtualClock()
    return clock, WorkQueue(clock)


def test_fifo_and_dedupe_while_queued() -> None:
    async def main() -> None:
        _, queue = make()
        for item in ("a", "b", "a", "c", "b"):
            queue.add(item)
        assert len(queue) == 3
        assert [await queue.get() for _ in range(3)] == ["a", "b", "c"]

    asyncio.run(main())


def test_add_while_processing_requeues_once_on_done() -> None:
    async def main() -> None:
        _, queue = make()
        queue.add("a")
        assert await queue.get() == "a"
        queue.add("a")
        queue.add("a")
        assert len(queue) == 0  # never given to two workers at a time
        queue.done("a")
        assert len(queue) == 1
        assert await queue.get() == "a"
        queue.done("a")
        assert len(queue) == 0

    asyncio.run(main())


def test_done_without_get_does_not_duplicate() -> None:
    async def main() -> None:
        _, queue = make()
        queue.add("a")
        queue.done("a")
        assert len(queue) == 1

    asyncio.run(main())


def test_waiting_getters_each_get_one() -> None:
    async def main() -> None:
        clock, queue = make()
        getters = [asyncio.create_task(queue.get()) for _ in range(2)]
        await clock.advance(0)
        queue.add("a")
        queue.add("b")
        assert sorted(await asyncio.gather(*getters)) == ["a", "b"]

    asyncio.run(main())


def test_cancelled_getter_passes_its_turn_on() -> None:
    async def main() -> None:
        clock, queue = make()
        first = asyncio.create_task(queue.get())
        second = asyncio.create_task(queue.get())
        third = asyncio.create_task(queue.get())
        await clock.advance(0)
        third.cancel()  # while waiting
        queue.add("a")
        first.cancel()  # after it was woken
        assert await second == "a"
        assert first.cancelled()
        assert third.cancelled()

    asyncio.run(main())


def test_add_after_in_order_of_time() -> None:
    async def main() -> None:
        clock, queue = make()
        queue.add_after("late", 3)
        queue.add_after("early", 1)
        queue.add_after("now", 0)
        assert await queue.get() == "now"
        await clock.advance(0.9)
        assert len(queue) == 0
        await clock.advance(0.1)
        assert await queue.get() == "early"
        await clock.advance(2)
        assert await queue.get() == "late"
        queue.add_after("again", 1)  # the timer had ended
        await clock.advance(1)
        assert await queue.get() == "again"
        assert clock.sleepers == 0

    asyncio.run(main())


def test_add_after_keeps_the_earliest_time() -> None:
    async def main() -> None:
        clock, queue = make()
        queue.add_after("a", 5)
        await clock.advance(1)
        queue.add_after("a", 1)
        queue.add_after("a", 10)
        await clock.advance(1)
        assert await queue.get() == "a"
        queue.done("a")
        await clock.advance(20)
        assert len(queue) == 0

    asyncio.run(main())


def test_add_rate_limited_and_forget() -> None:
    async def main() -> None:
        clock, queue = make()
        times = []
        for _ in range(4):
            queue.add_rate_limited("a")
            start = clock.monotonic()
            getter = asyncio.create_task(queue.get())
            while not getter.done():
                await clock.advance(0.005)
            times.append(clock.monotonic() - start)
            queue.done(getter.result())
        assert times == pytest.approx([0.005, 0.01, 0.02, 0.04])
        assert queue.num_requeues("a") == 4
        queue.forget("a")
        assert queue.num_requeues("a") == 0
        queue.add_rate_limited("a")
        await clock.advance(0.005)
        assert len(queue) == 1

    asyncio.run(main())


def test_shut_down_hands_out_queued_items_and_refuses_new_ones() -> None:
    async def main() -> None:
        clock, queue = make()
        queue.add("a")
        queue.add_after("delayed", 1)
        queue.shut_down()
        assert queue.shutting_down
        queue.add("b")
        queue.add_after("c", 1)
        queue.add_rate_limited("d")
        await clock.advance(10)
        assert await queue.get() == "a"
        with pytest.raises(WorkQueueShutDown):
            await queue.get()
        assert clock.sleepers == 0

    asyncio.run(main())


def test_shut_down_wakes_all_getters() -> None:
    async def main() -> None:
        clock, queue = make()
        getters = [asyncio.create_task(queue.get()) for _ in range(3)]
        await clock.advance(0)
        queue.shut_down()
        results = await asyncio.gather(*getters, return_exceptions=True)
        assert [type(result) for result in results] == [WorkQueueShutDown] * 3

    asyncio.run(main())


def test_drain_waits_for_queued_processed_and_requeued_items() -> None:
    async def main() -> None:
        clock, queue = make()
        queue.add("a")
        queue.add("b")
        assert await queue.get() == "a"
        queue.add("a")
        drain = asyncio.create_task(queue.shut_down_with_drain())
        await clock.advance(0)
        queue.done("a")  # queued again: it was added before the shutdown
        for expected in ("b", "a"):
            assert await queue.get() == expected
            await clock.advance(0)
            assert not drain.done()
            queue.done(expected)
        await drain
        with pytest.raises(WorkQueueShutDown):
            await queue.get()

    asyncio.run(main())


def test_drain_of_an_idle_queue_returns_at_once() -> None:
    async def main() -> None:
        _, queue = make()
        await queue.shut_down_with_drain()
        assert queue.shutting_down

    asyncio.run(main())


def test_shut_down_ends_a_pending_drain() -> None:
    async def main() -> None:
        clock, queue = make()
        queue.add("a")
        await queue.get()
        drain = asyncio.create_task(queue.shut_down_with_drain())
        await clock.advance(0)
        assert not drain.done()
        queue.shut_down()
        await drain

    asyncio.run(main())


def test_workers_process_everything_on_virtual_time() -> None:
    async def main() -> None:
        clock, queue = make()
        active: set[str] = set()
        processed: list[str] = []

        async def worker() -> None:
            while True:
                try:
                    item = await queue.get()
                except WorkQueueShutDown:
                    return
                assert item not in active
                active.add(item)
                await clock.sleep(1)
                active.remove(item)
                processed.append(item)
                queue.done(item)

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(worker())
            for number in range(9):
                queue.add(f"item-{number}")
            await clock.advance(0.5)
            queue.add("item-0")
            drain = group.create_task(queue.shut_down_with_drain())
            await clock.advance(10)
            assert drain.done()
        assert sorted(processed) == sorted([f"item-{number}" for number in range(9)] + ["item-0"])

    asyncio.run(main())
