"""A work queue for controllers, after k8s.io/client-go/util/workqueue."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from pybernetes.aio.backoff import ItemExponentialFailureRateLimiter, RateLimiter
from pybernetes.aio.clock import Clock, RealClock

T = TypeVar("T", bound=Hashable)


class WorkQueueShutDown(Exception):
    """Raised by get() once the queue is shut down and empty."""


class WorkQueue(Generic[T]):
    """A rate-limited, delaying, de-duplicating queue (workqueue.TypedRateLimitingInterface).

    An item is queued at most once, and is never handed to two workers at a time: one that is added while it is being
    processed is queued again when done() is called for it. All methods must be called on the event loop's thread.
    """

    def __init__(self, clock: Clock | None = None, rate_limiter: RateLimiter[T] | None = None) -> None:
        self._clock: Clock = clock if clock is not None else RealClock()
        self._rate_limiter: RateLimiter[T] = (
            rate_limiter if rate_limiter is not None else ItemExponentialFailureRateLimiter[T]()
        )
        self._queue: deque[T] = deque()
        self._dirty: set[T] = set()
        self._processing: set[T] = set()
        self._getters: deque[asyncio.Future[None]] = deque()
        self._drainers: list[asyncio.Future[None]] = []
        self._shutting_down = False
        # Delayed items: a heap whose entries count only while they agree with _ready_at.
        self._waiting: list[tuple[float, int, T]] = []
        self._ready_at: dict[T, float] = {}
        self._sequence = 0
        self._timer: asyncio.Task[None] | None = None
        self._timer_target = 0.0

    def __len__(self) -> int:
        """Return how many items are ready to be handed out."""
        return len(self._queue)

    @property
    def shutting_down(self) -> bool:
        """Whether the queue has been told to shut down."""
        return self._shutting_down

    def add(self, item: T) -> None:
        """Mark the item as needing work; ignored if it is queued already or the queue is shutting down."""
        if self._shutting_down or item in self._dirty:
            return
        self._dirty.add(item)
        if item not in self._processing:
            self._push(item)

    async def get(self) -> T:
        """Wait for an item and return it; done() must be called for it. Raises WorkQueueShutDown at the end."""
        while not self._queue:
            if self._shutting_down:
                raise WorkQueueShutDown
            getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except BaseException:
                getter.cancel()
                if getter in self._getters:
                    self._getters.remove(getter)
                if self._queue and not getter.cancelled():
                    self._wake_getter()  # this one's turn goes to the next
                raise
        item = self._queue.popleft()
        self._processing.add(item)
        self._dirty.discard(item)
        return item

    def done(self, item: T) -> None:
        """Mark the item as processed; it is queued again if it was added in the meantime."""
        processed = item in self._processing
        self._processing.discard(item)
        if item in self._dirty:
            if processed:  # else it is queued already
                self._push(item)
        elif self._drained():
            self._wake_drainers()

    def add_after(self, item: T, seconds: float) -> None:
        """Add the item once the delay has passed; of several delays of one item the earliest counts."""
        if self._shutting_down:
            return
        if seconds <= 0:
            self.add(item)
            return
        ready_at = self._clock.monotonic() + seconds
        due = self._ready_at.get(item)
        if due is not None and due <= ready_at:
            return
        self._ready_at[item] = ready_at
        self._sequence += 1
        heapq.heappush(self._waiting, (ready_at, self._sequence, item))
        if self._timer is None or self._timer.done():
            self._start_timer(ready_at)
        elif ready_at < self._timer_target:
            self._timer.cancel()
            self._start_timer(ready_at)

    def add_rate_limited(self, item: T) -> None:
        """Add the item after the delay that the rate limiter gives it."""
        self.add_after(item, self._rate_limiter.when(item))

    def forget(self, item: T) -> None:
        """Clear the item's failures in the rate limiter; done() still has to be called."""
        self._rate_limiter.forget(item)

    def num_requeues(self, item: T) -> int:
        """Return how many times the item was added rate-limited since it was last forgotten."""
        return self._rate_limiter.num_requeues(item)

    def shut_down(self) -> None:
        """Refuse new items and drop delayed ones; queued items are still handed out. Ends a pending drain."""
        self._begin_shut_down()
        self._wake_drainers()

    async def shut_down_with_drain(self) -> None:
        """Shut down and wait until done() was called for every queued and processed item, or shut_down() is called."""
        self._begin_shut_down()
        if self._drained():
            return
        drainer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._drainers.append(drainer)
        await drainer

    def _push(self, item: T) -> None:
        self._queue.append(item)
        self._wake_getter()

    def _wake_getter(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _drained(self) -> bool:
        return not self._queue and not self._processing

    def _wake_drainers(self) -> None:
        for drainer in self._drainers:
            if not drainer.done():
                drainer.set_result(None)
        self._drainers.clear()

    def _begin_shut_down(self) -> None:
        self._shutting_down = True
        self._waiting.clear()
        self._ready_at.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for getter in self._getters:
            if not getter.done():
                getter.set_result(None)
        self._getters.clear()

    def _start_timer(self, target: float) -> None:
        self._timer_target = target
        self._timer = asyncio.get_running_loop().create_task(self._move_ready_items())

    async def _move_ready_items(self) -> None:
        reached = self._clock.monotonic()
        while self._waiting:
            ready_at, _, item = self._waiting[0]
            if self._ready_at.get(item) != ready_at:
                heapq.heappop(self._waiting)
                continue
            if ready_at > reached:
                self._timer_target = ready_at
                await self._clock.sleep(ready_at - self._clock.monotonic())
                # A sleep may end a rounding error early; its deadline counts as reached nevertheless.
                reached = max(ready_at, self._clock.monotonic())
                continue
            heapq.heappop(self._waiting)
            del self._ready_at[item]
            self.add(item)
