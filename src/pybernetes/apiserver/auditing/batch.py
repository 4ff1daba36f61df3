"""Records that are written beside requests: a bounded queue, batches, a bounded rate (upstream: apiserver/plugin/pkg/audit/buffered)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from pybernetes.aio.clock import Clock

from .metrics import AuditMetrics
from .record import Record
from .sinks import Sink

PLUGIN = "buffered"
MAX_BYTES = 256 << 20  # of queued records: upstream bounds their number alone
MAX_UNDER_WAY = 50  # batches at a time: upstream has no bound, and a dead webhook keeps each for a minute and a half
DRAINED = 1000  # records that are taken at once where batches are of one: lines, which are the same anyhow
CLOSE_SECONDS = 10.0  # that a stop waits for what is queued


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """`qps` 0: no bound of the rate. `at_once`: batches do not wait for each other."""

    buffer_size: int = 10_000  # records
    max_size: int = 1
    max_wait: float = 0.0  # seconds
    qps: float = 0.0
    burst: int = 0
    at_once: bool = False


class Batch:
    """See `Sink`. A record that finds the queue full is lost, and nobody waits."""

    def __init__(self, sink: Sink, settings: BatchSettings, metrics: AuditMetrics, clock: Clock) -> None:
        self._sink, self._settings, self._metrics, self._clock = sink, settings, metrics, clock
        self._queue: deque[Record] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[bool]] = set()
        self._tokens, self._refilled = float(settings.burst), clock.monotonic()

    async def start(self) -> None:
        """See `Sink`."""
        await self._sink.start()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def process(self, records: Sequence[Record]) -> bool:
        """See `Sink`; always True."""
        for place, record in enumerate(records):
            full = len(self._queue) >= self._settings.buffer_size or self._bytes + record.size > MAX_BYTES
            if self._closed or full:
                why = "audit backend shut down" if self._closed else "audit buffer queue blocked"
                self._metrics.failed(PLUGIN, why, len(records) - place)
                break
            self._queue.append(record)
            self._bytes += record.size
        self._news.set()
        return True

    async def close(self) -> None:
        """See `Sink`; after some seconds the rest is lost."""
        self._closed = True
        self._news.set()
        if self._task is not None:
            try:
                async with self._clock.timeout(CLOSE_SECONDS):
                    await asyncio.shield(self._task)
            except TimeoutError:
                self._task.cancel()
            for task in tuple(self._under_way):
                task.cancel()
            await asyncio.gather(self._task, *self._under_way, return_exceptions=True)
        if self._queue:
            self._metrics.failed(PLUGIN, "audit backend shut down", len(self._queue))
        await self._sink.close()

    async def _run(self) -> None:
        while batch := await self._collected():
            await self._throttled()
            if not self._settings.at_once:
                await self._sink.process(batch)
                continue
            while len(self._under_way) >= MAX_UNDER_WAY:
                await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.get_running_loop().create_task(self._sink.process(batch))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _collected(self) -> list[Record]:
        """The next batch; [] at the end."""
        size = self._settings.max_size
        while not self._closed and not self._queue:
            await self._next(None)
        if size > 1:
            end = self._clock.monotonic() + self._settings.max_wait
            while not self._closed and len(self._queue) < size and await self._next(end - self._clock.monotonic()):
                pass
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), size if size > 1 else DRAINED))]
        self._bytes -= sum(record.size for record in batch)
        return batch

    async def _next(self, seconds: float | None) -> bool:
        """Whether there is news within so many seconds (None: whenever)."""
        self._news.clear()
        try:
            async with self._clock.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def _throttled(self) -> None:
        """A token bucket."""
        qps = self._settings.qps
        if not qps or self._closed:
            return
        now = self._clock.monotonic()
        self._tokens = min(self._settings.burst, self._tokens + (now - self._refilled) * qps) - 1
        self._refilled = now
        if self._tokens < 0:
            await self._clock.sleep(-self._tokens / qps)
