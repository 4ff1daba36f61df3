"""Events are kept for --event-ttl after their last news, then forgotten (upstream: the TTL of pkg/registry/core/event/storage).

Upstream's etcd drops them by itself; this store knows no time, so that whoever serves it sweeps. Several servers may: a deletion names
the revision it means, and an event that was written again meanwhile stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from pybernetes.aio.ending import end
from pybernetes.api.times import parse_time
from pybernetes.store.types import Closed, Conflict

from .cache import WatchCache

_log = logging.getLogger(__name__)

SWEEP_SECONDS = 60.0
AT_ONCE = 200  # deletions under way: few enough that writes of others do not wait for a whole sweep


class _Series(msgspec.Struct, gc=False):
    lastObservedTime: str | None = None  # as in the JSON


class _Meta(msgspec.Struct, gc=False):
    creationTimestamp: str | None = None


class _Times(msgspec.Struct, gc=False):
    metadata: _Meta
    eventTime: str | None = None
    lastTimestamp: str | None = None
    series: _Series | None = None


_decode = msgspec.json.Decoder(_Times).decode


def last_news(event: bytes) -> datetime | None:
    """The latest moment that an event tells of; None where it tells of none."""
    times = _decode(event)
    texts = (
        times.metadata.creationTimestamp,
        times.eventTime,
        times.lastTimestamp,
        times.series.lastObservedTime if times.series else None,
    )
    moments = [parse_time(text) for text in texts if text]
    return max(moments) if moments else None


class EventExpiry:
    """Between `start` and `stop` one task of its own; `ttl` in seconds, 0 for ever."""

    def __init__(self, cache: WatchCache, ttl: float, now: Callable[[], datetime]) -> None:
        self._cache, self._ttl, self._now = cache, timedelta(seconds=ttl), now
        self._news: dict[str, tuple[int, datetime]] = {}  # key -> (revision, last news)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins sweeping."""
        if self._ttl:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Ends it."""
        await end(self._task)

    async def _run(self) -> None:
        while True:
            await self._cache.clock.sleep(min(SWEEP_SECONDS, self._ttl.total_seconds() / 2))
            try:
                await self.sweep()
            except Closed:
                return
            except Exception:
                _log.exception("old events could not be dropped; it is tried again")

    def expired(self) -> list[tuple[str, int]]:
        """(key, revision) of the events that are too old. Each event is read once."""
        items, limit = self._cache.of("", "events").items, self._now() - self._ttl
        before = self._news
        self._news = {}
        for key, stored in items.items():
            seen = before.get(key)
            if seen is None or seen[0] != stored.revision:
                seen = (stored.revision, last_news(stored.data) or self._now())
            self._news[key] = seen
        return [(key, revision) for key, (revision, news) in self._news.items() if news < limit]

    async def sweep(self) -> None:
        """Drops what is too old."""
        old = self.expired()
        for start in range(0, len(old), AT_ONCE):
            await asyncio.gather(*(self._drop(*one) for one in old[start : start + AT_ONCE]))

    async def _drop(self, key: str, revision: int) -> None:
        try:
            await self._cache.store.delete(key, revision)
        except Conflict:
            return  # it has news
