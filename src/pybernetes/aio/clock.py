"""Clocks that can be replaced in tests, after k8s.io/utils/clock."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol

# Deadlines this close to the target of an advance count as reached, so that float rounding never strands a sleeper.
_TOLERANCE = 1e-9
# After so many turns of the event loop without rest, tasks are taken to wait for each other by spinning.
_RESTLESS_TURNS = 1_000_000
# Turns that a loop gets of which nobody can say whether it is at rest (uvloop).
_BLIND_TURNS = 32


class Clock(Protocol):
    """The one source of time of a part (k8s.io/utils/clock.Clock): handed to it, never looked up."""

    def now(self) -> datetime:
        """Return the time of day in UTC; it may jump, so durations are measured with `monotonic`."""
        ...

    def monotonic(self) -> float:
        """Return seconds since an arbitrary fixed point."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once the given seconds have passed on this clock."""
        ...

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """A block that is cancelled after the seconds and then raises TimeoutError, as asyncio.timeout; None: never."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Cancellable:
        """Has the running event loop call it after the seconds; the cheapest way to wait."""
        ...


class Cancellable(Protocol):
    """A call that is still to come."""

    def cancel(self) -> object:
        """It does not come; nothing where it has come."""
        ...


class RealClock:
    """The system's clock (k8s.io/utils/clock.RealClock)."""

    def now(self) -> datetime:
        """Return the system's time of day."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the system's monotonic time in seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await asyncio.sleep(max(seconds, 0.0))

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        """A time-out on the running event loop."""
        return asyncio.timeout(seconds)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Cancellable:
        """On the running event loop's own clock."""
        return asyncio.get_running_loop().call_later(seconds, callback)


class VirtualClock:
    """A clock that moves only when told to (k8s.io/utils/clock/testing.FakeClock); `epoch` is its time of day at 0."""

    def __init__(self, start: float = 0.0, epoch: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._epoch = epoch
        self._sequence = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the epoch and the virtual time since."""
        return self._epoch + timedelta(seconds=self._now)

    def monotonic(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def step(self, seconds: float) -> None:
        """Sets the time of day alone, back where negative, as somebody who puts the machine's clock right; no time passes."""
        self._epoch += timedelta(seconds=seconds)

    @property
    def sleepers(self) -> int:
        """How many sleeps are still waiting (FakeClock.Waiters)."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been advanced by the given seconds."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        await self._alarm(seconds)

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        """A time-out that an advance of the clock can reach."""
        async with asyncio.timeout(None) as scope:
            if seconds is None:
                yield
                return
            alarm = self._alarm(max(seconds, 0.0))

            def ring(done: asyncio.Future[None]) -> None:
                if not done.cancelled():
                    scope.reschedule(asyncio.get_running_loop().time())

            alarm.add_done_callback(ring)
            try:
                yield
            finally:
                alarm.cancel()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Cancellable:
        """When the clock has been advanced by the seconds."""
        alarm = self._alarm(max(seconds, 0.0))
        alarm.add_done_callback(lambda done: None if done.cancelled() else callback())
        return alarm

    def _alarm(self, seconds: float) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sequence += 1
        heapq.heappush(self._sleepers, (self._now + seconds, self._sequence, future))
        return future

    async def advance(self, seconds: float) -> None:
        """Move time forward, waking sleepers one by one by deadline, then by the order in which they went to sleep.

        A woken task sees its own deadline as the present time, and runs until it blocks before the next one wakes;
        sleeps it starts that end within the same advance are woken too.
        """
        if seconds < 0:
            raise ValueError("a clock cannot be moved backwards")
        target = self._now + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= target + _TOLERANCE:
            deadline, _, future = heapq.heappop(self._sleepers)
            if future.done():
                continue
            self._now = max(self._now, deadline)
            future.set_result(None)
            await self.settle()
        self._now = max(self._now, target)

    async def settle(self) -> None:
        """Lets every task run until all wait for this clock, for each other or for the outside world.

        RuntimeError where they never come to rest. Sockets and threads are the outside world: what they bring comes later.
        """
        ready = getattr(
            asyncio.get_running_loop(), "_ready", None
        )  # of asyncio's own loops: what is to run in this turn
        for _ in range(_BLIND_TURNS if ready is None else _RESTLESS_TURNS):
            await asyncio.sleep(0)
            if ready is not None and not ready:
                return
        if ready is not None:
            raise RuntimeError("tasks keep the event loop busy without end: time cannot go on")
