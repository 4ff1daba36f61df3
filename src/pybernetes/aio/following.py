"""Event loops of other threads whose time is that of a clock which can be sent ahead: an operator's sleeps pass with the cluster's hours."""

from __future__ import annotations

import asyncio
import contextlib
import math
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")

# Of timers that are due: what floats lose of seconds in ten years is less.
RESOLUTION = 1e-6
# Real seconds that work on a thread is waited for: what takes longer waits itself, as kopf's runner does for its end.
THREAD_SECONDS = 1.0


class _Selector(selectors.DefaultSelector):
    """Tells its loop when it has nothing to do."""

    wait: Callable[[Callable[..., list[Any]], float | None], list[Any]]

    def select(self, timeout: float | None = None) -> list[Any]:
        return self.wait(super().select, timeout)


class FollowingLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, on a clock (`monotonic`) that another thread moves; that thread reads `due`, `work` and `rests`."""

    def __init__(self, monotonic: Callable[[], float], followers: Followers) -> None:
        self._monotonic, self._followers = monotonic, followers
        self.due = math.inf  # when its next timer is to ring
        self.work = 0  # how often it has had something to do
        self._idle = False  # it waits, for sockets, other threads or its next timer
        # What is under way on threads for it, and until when that is waited for.
        self._threads: dict[asyncio.Future[Any], float] = {}
        selector = _Selector()
        selector.wait = self._wait
        super().__init__(selector)
        self._news = selectors.DefaultSelector()  # tells another thread whether one of its sockets is readable
        self._news.register(selector.fileno(), selectors.EVENT_READ)
        self._clock_resolution = RESOLUTION
        followers.add(self)

    def time(self) -> float:
        """The clock's."""
        return self._monotonic()

    def close(self) -> None:
        """It follows no more."""
        self._followers.discard(self)
        self._news.close()
        super().close()

    def run_in_executor(  # type: ignore[override]  # typeshed's has TypeVarTuples
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """While it runs time stands, for THREAD_SECONDS at most."""
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self._threads[future] = time.monotonic() + THREAD_SECONDS
        future.add_done_callback(self._threads.pop)
        return future

    def rests(self) -> bool:
        """Whether it waits, and nothing has come that it has not seen yet."""
        try:
            if not self._idle or self._news.select(0):
                return False
        except (OSError, ValueError):  # its thread has closed it just now
            return False
        threads = list(self._threads.values())
        return not threads or max(threads) <= time.monotonic()

    def wake(self) -> None:
        """It looks at the time, if it has not been closed just now."""
        with contextlib.suppress(RuntimeError):
            self.call_soon_threadsafe(lambda: None)

    def _wait(self, select: Callable[..., list[Any]], timeout: float | None) -> list[Any]:
        events = select(0)
        if not events and (timeout is None or timeout > 0):
            self.due = math.inf if timeout is None else self.time() + timeout
            self._idle = True
            events = select(timeout)
            self.work += 1
            self._idle = False
        return events


class Followers:
    """All loops that follow one clock; asked by the thread that moves it."""

    def __init__(self) -> None:
        self._loops: set[FollowingLoop] = set()
        self._seen: dict[FollowingLoop, int] = {}  # at rest, after so much work

    def add(self, loop: FollowingLoop) -> None:
        self._loops.add(loop)

    def discard(self, loop: FollowingLoop) -> None:
        self._loops.discard(loop)

    @property
    def _running(self) -> list[FollowingLoop]:
        return [loop for loop in list(self._loops) if loop.is_running()]

    def quiet(self) -> bool:
        """Whether all wait, and nothing is under way from them. To be asked again until so, with a look at one's own sockets in between.

        Who rests has sent what it has to send. So that this has been seen, too, it has to rest twice without work in between.
        """
        if not self._loops:  # as nearly always: an hour has thousands of moments
            return True
        working = {loop: loop.work for loop in self._running}
        if not all(loop.rests() for loop in working):
            return False
        seen, self._seen = self._seen, working
        return working == seen

    def due(self) -> float:
        """When the next of them has something to do."""
        return min((loop.due for loop in self._running), default=math.inf) if self._loops else math.inf

    def wake(self) -> None:
        """All look at the time."""
        for loop in self._running:
            loop.wake()
