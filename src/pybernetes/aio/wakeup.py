"""A flag that one task waits for, or for some time to pass: whichever comes first."""

from __future__ import annotations

import asyncio

from .clock import Clock


class Wakeup:
    """An asyncio.Event for loops that look every so often and when told to.

    The end of the time is a plain wake-up: no time-out is raised, and no task cancelled, for what is the usual case. One task waits at a
    time. All methods must be called on the event loop's thread.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None

    def is_set(self) -> bool:
        """Whether it was set since it was last cleared."""
        return self._is_set

    def set(self) -> None:
        """Wakes who waits; who comes later does not wait."""
        self._is_set = True
        self._wake()

    def clear(self) -> None:
        """The next `wait` waits."""
        self._is_set = False

    async def wait(self, seconds: float) -> bool:
        """Returns when it is set, or the seconds have passed; whether it is set."""
        if self._is_set:
            return True
        assert self._waiter is None, "somebody waits already"
        self._waiter = asyncio.get_running_loop().create_future()
        alarm = self._clock.call_later(seconds, self._wake)
        try:
            await self._waiter
        finally:
            alarm.cancel()
            self._waiter = None
        return self._is_set

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
