"""workqueue_* of a part's queues (upstream: component-base/metrics/prometheus/workqueue)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

from pybernetes.aio.backoff import RateLimiter
from pybernetes.aio.clock import Clock, RealClock
from pybernetes.aio.workqueue import WorkQueue

from .metrics import Labels, Registry

T = TypeVar("T", bound=Hashable)

BUCKETS = tuple(10.0**exponent for exponent in range(-8, 2))  # seconds, upstream's


class QueueMetrics:
    """The families of one registry; made once for all queues of a part."""

    def __init__(self, registry: Registry) -> None:
        name = ("name",)
        self.queues: dict[str, MeteredWorkQueue[Any]] = {}
        registry.gauge("workqueue_depth", "Current depth of workqueue", name, function=self._depths)
        self.adds = registry.counter("workqueue_adds_total", "Total number of adds handled by workqueue", name)
        self.waited = registry.histogram(
            "workqueue_queue_duration_seconds",
            "How long in seconds an item stays in workqueue before being requested.",
            name,
            BUCKETS,
        )
        self.worked = registry.histogram(
            "workqueue_work_duration_seconds",
            "How long in seconds processing an item from workqueue takes.",
            name,
            BUCKETS,
        )
        registry.gauge(
            "workqueue_unfinished_work_seconds",
            "How many seconds of work has done that is in progress and hasn't been observed by work_duration.",
            name,
            function=lambda: {(q.name,): sum(q.running()) for q in self.queues.values()},
        )
        registry.gauge(
            "workqueue_longest_running_processor_seconds",
            "How many seconds has the longest running processor for workqueue been running.",
            name,
            function=lambda: {(q.name,): max(q.running(), default=0.0) for q in self.queues.values()},
        )
        self.retries = registry.counter("workqueue_retries_total", "Total number of retries handled by workqueue", name)

    def _depths(self) -> Mapping[Labels, float]:
        return {(queue.name,): len(queue) for queue in self.queues.values()}


class MeteredWorkQueue(WorkQueue[T]):
    """A work queue that keeps the metrics; a second one of the same name takes over its gauges."""

    def __init__(
        self,
        name: str,
        metrics: QueueMetrics,
        clock: Clock | None = None,
        rate_limiter: RateLimiter[T] | None = None,
    ) -> None:
        super().__init__(clock, rate_limiter)
        self.name = name
        self._metrics, self._time = metrics, clock or RealClock()
        self._added: dict[T, float] = {}
        self._started: dict[T, float] = {}
        metrics.queues[name] = self

    def running(self) -> list[float]:
        """Seconds that each item has been worked on."""
        now = self._time.monotonic()
        return [now - start for start in self._started.values()]

    def add(self, item: T) -> None:
        if not self.shutting_down and item not in self._dirty:
            self._metrics.adds.inc(self.name)
            self._added.setdefault(item, self._time.monotonic())
        super().add(item)

    async def get(self) -> T:
        item = await super().get()
        now = self._time.monotonic()
        self._metrics.waited.observe(now - self._added.pop(item, now), self.name)
        self._started[item] = now
        return item

    def done(self, item: T) -> None:
        now = self._time.monotonic()
        self._metrics.worked.observe(now - self._started.pop(item, now), self.name)
        super().done(item)

    def add_rate_limited(self, item: T) -> None:
        self._metrics.retries.inc(self.name)
        super().add_rate_limited(item)
