"""A clock that goes as real time does and can be sent ahead: for clusters whose tests wait an hour in a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from .clock import Cancellable, VirtualClock


class FlowingClock(VirtualClock):
    """Goes on by itself from the real time at which it was made; `advance` is a stretch of time that passes at once.

    During an advance it stands at each deadline as a VirtualClock does, so that what is due happens in order and at its own moment.
    Only the loop that waits on it may advance it; `now` and `monotonic` may be asked on any thread.
    """

    def __init__(self) -> None:
        super().__init__(0.0, datetime.now(UTC))
        self._behind = time.monotonic()  # real seconds less those of this clock
        self._standing = False  # an advance says what time it is
        self._one_at_a_time = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0  # when the timer rings

    def now(self) -> datetime:
        """Return the time of day in UTC, ahead of the real one by all advances."""
        return self._epoch + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return the seconds since it was made, with all advances."""
        return self._now if self._standing else max(self._now, time.monotonic() - self._behind)

    def _flow(self) -> None:
        self._now = self.monotonic()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Cancellable:
        """When the seconds have passed, by themselves or in an advance."""
        self._flow()
        alarm = super().call_later(seconds, callback)
        self._arm()
        return alarm

    async def advance(self, seconds: float) -> None:
        """See `VirtualClock.advance`; advances that are asked for at the same time follow each other."""
        async with self._one_at_a_time:
            self._flow()
            self._standing = True
            try:
                await super().advance(seconds)
            finally:
                self._behind = time.monotonic() - self._now
                self._standing = False
                self._arm()

    def _arm(self) -> None:
        """Has the loop ring what is due next."""
        alarms = self._alarms
        if self._standing or not alarms:
            return
        due = alarms[0][0]
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        self._timer = asyncio.get_running_loop().call_later(max(due - self._now, 0.0), self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._standing:
            return
        self._flow()
        until = self._now
        while self._wake_next(until):
            pass
        self._arm()
