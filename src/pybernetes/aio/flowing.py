"""A clock that goes as real time does and can be sent ahead: for clusters whose tests wait an hour in a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from .clock import TOLERANCE, Cancellable, VirtualClock
from .following import Followers, FollowingLoop
from .outside import waiting

# Real seconds that an advance waits for those who work for its loop, or follow it: longer than a webhook may take.
BUSY_SECONDS = 40.0


class FlowingClock(VirtualClock):
    """Goes on by itself from the real time at which it was made; `advance` is a stretch of time that passes at once.

    During an advance it stands at each deadline as a VirtualClock does, so that what is due happens in order and at its own moment.
    Loops of other threads can follow it (`follower`): an advance is over when they, too, have nothing more to do now.
    Only the loop that waits on it may advance it; `now` and `monotonic` may be asked on any thread.
    """

    def __init__(self) -> None:
        super().__init__(0.0, datetime.now(UTC))
        self._behind = time.monotonic()  # real seconds less those of this clock
        self._standing = False  # an advance says what time it is
        self._one_at_a_time = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0  # when the timer rings
        self._followers = Followers()
        self._busy_since: float | None = None

    def follower(self) -> FollowingLoop:
        """A new event loop, for another thread, whose time is this clock's. The caller closes it."""
        return FollowingLoop(self.monotonic, self._followers)

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
        """See `VirtualClock.advance`; advances that are asked for at the same time follow each other.

        RuntimeError where somebody who works for the loop, or a loop that follows, has no rest.
        """
        async with self._one_at_a_time:
            self._flow()
            self._standing = True
            try:
                await super().advance(seconds)
            finally:
                self._behind = time.monotonic() - self._now
                self._standing = False
                self._followers.wake()
                self._arm()

    def _is_quiet(self) -> bool:
        if not waiting() and self._followers.quiet():
            self._busy_since = None
            return True
        now = time.monotonic()
        if self._busy_since is None:
            self._busy_since = now
        elif now - self._busy_since > BUSY_SECONDS:
            self._busy_since = None
            who = "a webhook or a function of the test's" if waiting() else "a loop that follows this clock"
            raise RuntimeError(f"time cannot go on: {who} has been busy for {BUSY_SECONDS:g} s")
        return False

    def _wake_next(self, target: float) -> bool:
        due = self._followers.due()
        if super()._wake_next(min(target, due)):
            return True
        if due > target + TOLERANCE:  # hours that a loop has added up are not to the last bit those of the advance
            return False
        self._now = max(self._now, due)
        self._followers.wake()
        return True

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
        while super()._wake_next(until):  # those who follow see to themselves
            pass
        self._arm()
