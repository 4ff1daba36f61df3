"""Tests of wake-ups."""

from __future__ import annotations

import asyncio

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.aio.wakeup import Wakeup


@pytest.mark.parametrize(("told_after", "woken_at", "told"), [(3, 3, True), (10, 10, True), (20, 10, False)])
def test_whichever_comes_first_ends_the_wait(told_after: float, woken_at: float, told: bool) -> None:
    async def main() -> None:
        clock = VirtualClock()
        wakeup, ended = Wakeup(clock), list[tuple[float, bool]]()

        async def waiter() -> None:
            was_set = await wakeup.wait(10)
            ended.append((clock.monotonic(), was_set))

        clock.call_later(told_after, wakeup.set)
        task = asyncio.create_task(waiter())
        await clock.advance(30)
        await task
        assert ended == [(woken_at, told)]
        assert clock.sleepers == 0

    asyncio.run(main())


def test_what_was_set_is_not_waited_for_until_it_is_cleared() -> None:
    async def main() -> None:
        clock = VirtualClock()
        wakeup = Wakeup(clock)
        wakeup.set()
        assert await wakeup.wait(10)
        assert wakeup.is_set()
        wakeup.clear()
        task = asyncio.create_task(wakeup.wait(10))
        await clock.advance(10)
        assert not await task

    asyncio.run(main())


def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    async def main() -> None:
        clock = VirtualClock()
        wakeup = Wakeup(clock)
        task = asyncio.create_task(wakeup.wait(10))
        await clock.settle()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert clock.sleepers == 0
        wakeup.set()
        assert await wakeup.wait(10)

    asyncio.run(main())
