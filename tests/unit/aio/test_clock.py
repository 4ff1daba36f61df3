"""Tests of the clocks."""

from __future__ import annotations

import asyncio

import pytest

from pybernetes.aio.clock import Clock, RealClock, VirtualClock


def test_real_clock_is_monotonic() -> None:
    async def main() -> None:
        clock: Clock = RealClock()
        before = clock.monotonic()
        await clock.sleep(0)
        await clock.sleep(-1)
        assert clock.monotonic() >= before

    asyncio.run(main())


def test_advance_wakes_sleepers_in_order() -> None:
    async def main() -> None:
        clock = VirtualClock(start=100.0)
        woken: list[tuple[str, float]] = []

        async def sleeper(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append((name, clock.monotonic()))

        async with asyncio.TaskGroup() as group:
            for name, seconds in (("c", 3.0), ("a", 1.0), ("b1", 2.0), ("b2", 2.0)):
                group.create_task(sleeper(name, seconds))
            await clock.advance(0.5)
            assert woken == []
            assert clock.sleepers == 4
            await clock.advance(2.0)
            assert woken == [("a", 101.0), ("b1", 102.0), ("b2", 102.0)]
            assert clock.monotonic() == 102.5
            await clock.advance(0.5)
        assert woken[-1] == ("c", 103.0)
        assert clock.sleepers == 0

    asyncio.run(main())


def test_advance_wakes_repeated_sleeps_of_one_task() -> None:
    async def main() -> None:
        clock = VirtualClock()
        ticks: list[float] = []

        async def ticker() -> None:
            while True:
                await clock.sleep(10)
                ticks.append(clock.monotonic())

        task = asyncio.create_task(ticker())
        await clock.advance(35)
        assert ticks == [10, 20, 30]
        assert clock.monotonic() == 35
        task.cancel()
        await clock.advance(10)
        assert task.cancelled()
        assert ticks == [10, 20, 30]

    asyncio.run(main())


def test_advance_tolerates_rounding() -> None:
    async def main() -> None:
        clock = VirtualClock()
        task = asyncio.create_task(clock.sleep(1.0))
        for _ in range(10):
            await clock.advance(0.1)  # adds up to slightly less than 1
        assert task.done()

    asyncio.run(main())


def test_advance_rejects_going_back() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="backwards"):
            await VirtualClock().advance(-1)

    asyncio.run(main())
