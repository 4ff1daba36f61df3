"""Tests of the back-off policies."""

from __future__ import annotations

import asyncio

import pytest

from pybernetes.aio.backoff import Backoff, ItemExponentialFailureRateLimiter
from pybernetes.aio.clock import VirtualClock


def test_item_exponential_doubles_per_item() -> None:
    limiter: ItemExponentialFailureRateLimiter[str] = ItemExponentialFailureRateLimiter()
    assert [limiter.when("one") for _ in range(5)] == pytest.approx([0.005, 0.01, 0.02, 0.04, 0.08])
    assert limiter.num_requeues("one") == 5
    assert limiter.when("two") == pytest.approx(0.005)
    assert limiter.num_requeues("two") == 1
    limiter.forget("one")
    assert limiter.num_requeues("one") == 0
    assert limiter.when("one") == pytest.approx(0.005)
    limiter.forget("unknown")


def test_item_exponential_is_capped_and_never_overflows() -> None:
    limiter: ItemExponentialFailureRateLimiter[str] = ItemExponentialFailureRateLimiter()
    delays = [limiter.when("one") for _ in range(2000)]
    assert delays[17] == pytest.approx(655.36)
    assert set(delays[18:]) == {1000.0}


def test_backoff_sequence_of_container_restarts() -> None:
    backoff: Backoff[str] = Backoff(clock=VirtualClock())
    assert backoff.get("c") == 0
    assert [backoff.next("c") for _ in range(7)] == [10, 20, 40, 80, 160, 300, 300]
    assert backoff.get("c") == 300
    assert backoff.next("other") == 10
    backoff.reset("c")
    assert backoff.next("c") == 10


def test_backoff_starts_again_after_quiet_time() -> None:
    async def main() -> None:
        clock = VirtualClock()
        backoff: Backoff[str] = Backoff(clock=clock)
        backoff.next("c")
        await clock.advance(600)
        assert backoff.next("c") == 20  # exactly twice the maximum is not quiet enough
        await clock.advance(601)
        assert backoff.next("c") == 10
        await clock.advance(601)
        assert backoff.next("c", event_time=clock.monotonic() - 2) == 20

    asyncio.run(main())


def test_backoff_remaining_and_in_backoff() -> None:
    async def main() -> None:
        clock = VirtualClock()
        backoff: Backoff[str] = Backoff(clock=clock)
        assert not backoff.in_backoff_since("c", 0)
        assert not backoff.in_backoff_since_update("c", 0)
        backoff.next("c")
        await clock.advance(4)
        assert backoff.in_backoff_since("c", 0)
        assert backoff.remaining("c", 0) == 6
        assert backoff.in_backoff_since_update("c", 9)
        assert not backoff.in_backoff_since_update("c", 10)
        await clock.advance(6)
        assert not backoff.in_backoff_since("c", 0)
        assert backoff.remaining("c", 0) == 0

    asyncio.run(main())


def test_backoff_gc_drops_quiet_keys() -> None:
    async def main() -> None:
        clock = VirtualClock()
        backoff: Backoff[str] = Backoff(clock=clock)
        backoff.next("old")
        await clock.advance(500)
        backoff.next("new")
        await clock.advance(200)
        backoff.gc()
        assert backoff.get("old") == 0
        assert backoff.get("new") == 10

    asyncio.run(main())
