"""Tests of the clocks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

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


def test_time_of_day_follows_the_virtual_clock() -> None:
    async def main() -> None:
        clock = VirtualClock(epoch=datetime(2026, 1, 1, tzinfo=UTC))
        await clock.advance(90)
        assert clock.now() == datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC)

    asyncio.run(main())


@pytest.mark.parametrize(("work", "advance", "ended"), [(5, 10, "done"), (10, 5, ""), (20, 10, "timed out")])
def test_a_timeout_is_reached_by_an_advance_alone(work: float, advance: float, ended: str) -> None:
    async def main() -> None:
        clock, result = VirtualClock(), ""

        async def worker() -> None:
            nonlocal result
            try:
                async with clock.timeout(10):
                    await clock.sleep(work)
                result = "done"
            except TimeoutError:
                result = "timed out"

        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
        await clock.advance(advance)
        assert result == ended
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_no_timeout_and_a_left_timeout_leave_no_sleeper() -> None:
    async def main() -> None:
        clock = VirtualClock()
        async with clock.timeout(None):
            pass
        async with clock.timeout(3):
            pass
        assert clock.sleepers == 0

    asyncio.run(main())


def test_tasks_run_until_all_of_them_wait() -> None:
    async def main() -> None:
        clock, queue, passed = VirtualClock(), asyncio.Queue[int](), 0

        async def relay() -> None:
            nonlocal passed
            while (number := await queue.get()) > 0:
                passed += 1
                await queue.put(number - 1)

        task = asyncio.create_task(relay())
        await queue.put(5_000)
        await clock.settle()
        assert passed == 5_000
        await task

    asyncio.run(main())


def test_a_call_comes_when_the_clock_has_been_advanced_so_far() -> None:
    async def main() -> None:
        clock, calls = VirtualClock(), list[float]()
        clock.call_later(5, lambda: calls.append(clock.monotonic()))
        clock.call_later(7, lambda: calls.append(clock.monotonic())).cancel()
        await clock.advance(4)
        assert calls == []
        await clock.advance(10)
        assert calls == [5]

    asyncio.run(main())


def test_those_of_one_moment_wake_together_as_on_a_loop() -> None:
    """Each in its turn, before any of them goes on; what an earlier one cancels does not come."""

    async def main() -> None:
        clock, told = VirtualClock(), list[str]()

        async def sleeper(name: str) -> None:
            await clock.sleep(5)
            told.append(f"{name} wakes")
            await asyncio.sleep(0)
            told.append(f"{name} goes on")

        later = [clock.call_later(5, lambda: told.append("called"))]
        tasks = [asyncio.create_task(sleeper(name)) for name in ("a", "b")]
        await asyncio.sleep(0)
        clock.call_later(5, lambda: later[1].cancel())
        later.append(clock.call_later(5, lambda: told.append("cancelled")))
        await clock.advance(5)
        assert told == ["called", "a wakes", "b wakes", "a goes on", "b goes on"]
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_time_does_not_go_on_while_tasks_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybernetes.aio.clock._RESTLESS_TURNS", 100)

    async def main() -> None:
        async def spin() -> None:
            while True:
                await asyncio.sleep(0)

        task = asyncio.create_task(spin())
        with pytest.raises(RuntimeError, match="busy without end"):
            await VirtualClock().advance(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_what_an_alarm_raises_is_told_to_who_advances() -> None:
    async def main() -> None:
        clock = VirtualClock()
        clock.call_later(1, lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            await clock.advance(2)

    asyncio.run(main())


def test_a_sleep_that_is_cancelled_is_no_sleeper() -> None:
    async def main() -> None:
        clock = VirtualClock()
        task = asyncio.create_task(clock.sleep(3))
        await clock.settle()
        assert clock.sleepers == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert clock.sleepers == 0
        await clock.advance(5)

    asyncio.run(main())


def test_what_the_loop_has_ready_beside_an_advance_is_run_by_the_loop() -> None:
    """Timers of the loop's own, and sockets, become ready in the turn in which an advance ends: each runs once, the loop goes on."""
    called: list[int] = []

    async def main() -> None:
        loop, clock = asyncio.get_running_loop(), VirtualClock()
        for number in range(8):
            loop.call_later(0, called.append, number)
        await clock.advance(0)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert sorted(called) == list(range(8))
