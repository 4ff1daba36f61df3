"""Clocks that can be replaced in tests, after k8s.io/utils/clock."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Protocol

from .outside import waiting

# Deadlines this close to the target of an advance count as reached, so that float rounding never strands a sleeper.
TOLERANCE = 1e-9
# After so many turns of the event loop without rest, tasks are taken to wait for each other by spinning.
_RESTLESS_TURNS = 1_000_000
# Turns that a loop gets of which nobody can say whether it is at rest (uvloop).
_BLIND_TURNS = 32
# Between looks at what others do for the loop.
_LOOK_SECONDS = 0.0005
# Calls that are run in one turn of a loop that shows what is to run: between turns it asks the system for news of sockets, which is dear.
_CALLS_A_TURN = 256


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


class _Alarm:
    """What is to happen at a moment of a virtual clock; `ring` is None once it has happened or was cancelled."""

    __slots__ = ("ring",)

    def __init__(self, ring: Callable[[], object]) -> None:
        self.ring: Callable[[], object] | None = ring

    def cancel(self) -> None:
        self.ring = None


class _Timeout:
    """asyncio.timeout, of which an alarm is the end."""

    __slots__ = ("_alarm", "_clock", "_scope", "_seconds")

    def __init__(self, clock: VirtualClock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds
        self._scope = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()
        self._alarm = self._clock.call_later(self._seconds, self._ring)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._alarm.cancel()
        await self._scope.__aexit__(kind, error, trace)

    def _ring(self) -> None:
        self._scope.reschedule(asyncio.get_running_loop().time())


class VirtualClock:
    """A clock that moves only when told to (k8s.io/utils/clock/testing.FakeClock); `epoch` is its time of day at 0."""

    def __init__(self, start: float = 0.0, epoch: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._epoch = epoch
        self._sequence = 0
        self._alarms: list[tuple[float, int, _Alarm]] = []

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
        return sum(alarm.ring is not None for _, _, alarm in self._alarms)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been advanced by the given seconds."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        alarm = self.call_later(seconds, wake)
        try:
            await woken
        finally:
            alarm.cancel()

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """A time-out that an advance of the clock can reach."""
        return asyncio.timeout(None) if seconds is None else _Timeout(self, seconds)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Cancellable:
        """When the clock has been advanced by the seconds."""
        alarm = _Alarm(callback)
        self._sequence += 1
        heapq.heappush(self._alarms, (self._now + max(seconds, 0.0), self._sequence, alarm))
        return alarm

    async def advance(self, seconds: float) -> None:
        """Move time forward, waking sleepers by deadline; those of one moment in the order in which they went to sleep, as a loop does.

        A woken task sees its own deadline as the present time, and runs until it blocks before time goes on;
        sleeps it starts that end within the same advance are woken too.
        """
        if seconds < 0:
            raise ValueError("a clock cannot be moved backwards")
        target = self._now + seconds
        await _at_rest(lambda: self._wake_next(target), self._is_quiet)
        self._now = max(self._now, target)

    def _is_quiet(self) -> bool:
        """Whether nobody elsewhere works for a loop that is at rest."""
        return not waiting()

    def _wake_next(self, target: float) -> bool:
        """Rings all alarms of the next moment until the target; False where there are none."""
        alarms, moment = self._alarms, target + TOLERANCE
        woken = False
        while alarms and alarms[0][0] <= moment:
            deadline, _, alarm = heapq.heappop(alarms)
            ring, alarm.ring = alarm.ring, None
            if ring is None:
                continue
            if not woken:
                self._now = max(self._now, deadline)
                moment, woken = min(moment, self._now + TOLERANCE), True
            ring()
        return woken

    async def settle(self) -> None:
        """Lets every task run until all wait for this clock, for each other or for the outside world.

        RuntimeError where they never come to rest. Sockets are the outside world: what they bring comes later, but for what is awaited
        in a block of `outside`.
        """
        await _at_rest(lambda: False, self._is_quiet)


async def _at_rest(go_on: Callable[[], bool], is_quiet: Callable[[], bool]) -> None:
    """Returns when the loop is at rest; each time that it is, `go_on` may give it more to do, and is False where it has none.

    Where it is not quiet elsewhere, the loop looks at its sockets and asks again.

    Called by the loop itself, not by a task: a day of virtual time has hundreds of thousands of turns.
    """
    loop = asyncio.get_running_loop()
    # Of asyncio's own loops: what is to run in this turn.
    ready: deque[asyncio.Handle] | None = getattr(loop, "_ready", None)
    done: asyncio.Future[None] = loop.create_future()
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        if done.done():
            return
        if ready if ready is not None else turns < _BLIND_TURNS:
            if turns >= _RESTLESS_TURNS:
                done.set_exception(RuntimeError("tasks keep the event loop busy without end: time cannot go on"))
                return
            loop.call_soon(turn)
            return
        turns = 0
        try:
            if not is_quiet():
                loop.call_later(_LOOK_SECONDS if waiting() else 0, turn)
                return
            busy = go_on()
        except BaseException as error:
            done.set_exception(error)
            return
        if not busy:
            done.set_result(None)
            return
        if ready is not None:
            _run(ready)  # here alone, where nothing was left: the loop has counted beforehand what it runs in this turn
        loop.call_soon(turn)

    loop.call_soon(turn)
    await done


def _run(ready: deque[asyncio.Handle]) -> None:
    """Makes calls that the loop has ready, and those that become so, as it would in its next turns."""
    for _ in range(_CALLS_A_TURN):
        if not ready:
            return
        handle = ready.popleft()
        if not handle.cancelled():
            handle._run()
