"""Requests see what other servers of the same store have acknowledged before (upstream: consistent reads from the watch cache, KEP-2340).

The store is asked for its newest revision and the cache waited for; requests that come meanwhile share the next question. A write asks as
well: what it is checked against must not be older than what its client has seen elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping

from pybernetes.api.errors import StatusError
from pybernetes.store.types import Counted, StoreError

from ..types import RequestInfo
from .cache import WatchCache
from .caches import Caches
from .paging import too_large

_log = logging.getLogger(__name__)

READS = ("get", "list", "watch")
# Then the next question does not wait for one under way: what members of etcd have passed on to a leader that is gone is answered after 7 s.
COUNTED_SECONDS = 0.5
WAIT_SECONDS = 3.0  # that a request waits for the cache; upstream's limit for fresh reads


def must_be_fresh(info: RequestInfo, query: Mapping[str, str]) -> bool:
    """Whether a request is about the present: a read that names a revision, 0 for any, or goes on with a list, is not."""
    if info.verb not in READS:
        return True
    return not query.get("resourceVersion") and not query.get("continue")


class FreshClusters:
    """Of all caches of a server."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._of = {cache: Freshness(cache) for cache in (caches.main, *caches.others)}

    async def sync(self, info: RequestInfo) -> None:
        """Before a request: its resource's cluster, and for a write also the main one, where what it is checked against lies."""
        own = self._caches.of(info.group, info.resource)
        if own is self._caches.main or info.verb in READS:
            await self._of[own].sync()
        else:
            await asyncio.gather(self._of[own].sync(), self._of[self._caches.main].sync())

    def asks(self, health: float, readiness: float) -> dict[str, Callable[[], Awaitable[bool]]]:
        """Whether each cluster answers, by the names that the checks have in /healthz and /readyz; in so many seconds."""
        asks: dict[str, Callable[[], Awaitable[bool]]] = {}
        for number, cache in enumerate((self._caches.main, *self._caches.others), -1):
            check = f"etcd-override-{number}" if number >= 0 else "etcd"
            ready = f"etcd-override-readiness-{number}" if number >= 0 else "etcd-readiness"
            for name, seconds in ((check, health), (ready, readiness)):
                asks[name] = functools.partial(self._of[cache].answers, seconds)
        return asks


class Freshness:
    """Of one cache."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._newest = cache.store.newest_revision if isinstance(cache.store, Counted) else None
        self._asked: asyncio.Task[None] | None = None  # under way: too early for who comes now
        self._next: asyncio.Task[None] | None = None

    async def sync(self) -> None:
        """Returns when the cache has everything that was acknowledged before the call. StoreError, StatusError 504."""
        if self._newest is not None:
            await self._reach(self._newest())
            return
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._ask(self._asked))
            self._next.add_done_callback(_looked_at)
        await asyncio.shield(self._next)

    async def answers(self, seconds: float) -> bool:
        """Whether the store, and with it a majority of its members, answers in time."""
        try:
            async with self._cache.clock.timeout(seconds):
                await self.sync()
        except (TimeoutError, StoreError, StatusError) as error:
            _log.warning("the store does not answer a check of health: %s", error or f"no answer in {seconds:g} s")
            return False
        return True

    async def _ask(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            with contextlib.suppress(TimeoutError):
                async with self._cache.clock.timeout(COUNTED_SECONDS):
                    await asyncio.wait((before,))
        self._asked, self._next = self._next, None
        await self._reach(await self._cache.store.revision())

    async def _reach(self, revision: int) -> None:
        if self._cache.revision >= revision:
            return
        try:
            async with self._cache.clock.timeout(WAIT_SECONDS):
                await self._cache.wait(revision)
        except TimeoutError:
            raise too_large(revision, self._cache.revision) from None


def _looked_at(task: asyncio.Task[None]) -> None:
    """Its failure is told to who waits; all of them may have gone away."""
    if not task.cancelled():
        task.exception()
