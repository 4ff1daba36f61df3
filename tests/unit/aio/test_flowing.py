"""The clock that goes by itself and can be sent ahead."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from pybernetes.aio.flowing import FlowingClock

HOUR = 3600.0


def test_it_goes_by_itself() -> None:
    async def main() -> None:
        clock = FlowingClock()
        before = clock.monotonic()
        await clock.sleep(0.02)
        assert clock.monotonic() - before >= 0.02
        assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=30)

    asyncio.run(main())


def test_an_advance_wakes_in_order_each_at_its_moment() -> None:
    async def main() -> None:
        clock, told = FlowingClock(), list[tuple[str, int]]()
        began = clock.monotonic()

        async def every(name: str, seconds: float) -> None:
            while True:
                await clock.sleep(seconds)
                told.append((name, round((clock.monotonic() - began) / 60)))

        tasks = [asyncio.ensure_future(every("a", 20 * 60.0)), asyncio.ensure_future(every("b", 30 * 60.0))]
        await asyncio.sleep(0)
        await clock.advance(HOUR)
        assert [one for one in told if one != ("b", 60)] == [("a", 20), ("b", 30), ("a", 40), ("a", 60)]
        assert clock.monotonic() - began >= HOUR
        assert clock.now() - datetime.now(UTC) > timedelta(minutes=59)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


def test_advances_follow_each_other_and_time_goes_on() -> None:
    async def main() -> None:
        clock = FlowingClock()
        began = clock.monotonic()
        await asyncio.gather(clock.advance(HOUR), clock.advance(HOUR))
        assert clock.monotonic() - began >= 2 * HOUR
        async with asyncio.timeout(30):
            await clock.sleep(0.01)

    asyncio.run(main())


def test_a_shorter_wait_comes_before_a_longer_one_that_was_there() -> None:
    async def main() -> None:
        clock, told = FlowingClock(), list[str]()
        clock.call_later(HOUR, lambda: told.append("late"))
        cancelled = clock.call_later(0.001, lambda: told.append("cancelled"))
        cancelled.cancel()
        rung = asyncio.Event()
        clock.call_later(0.005, rung.set)
        async with asyncio.timeout(30):
            await rung.wait()
        assert told == []

    asyncio.run(main())


def test_a_timeout_is_reached_by_an_advance() -> None:
    async def main() -> str:
        clock = FlowingClock()

        async def wait() -> str:
            try:
                async with clock.timeout(HOUR):
                    await asyncio.Event().wait()
            except TimeoutError:
                return "timed out"
            return ""

        waiting = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        await clock.advance(HOUR + 1)
        return await waiting

    assert asyncio.run(main()) == "timed out"
