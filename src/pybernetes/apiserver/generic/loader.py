"""Waits for the first object that needs a part of the server: what serves it is not loaded before there is one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from pybernetes.aio.ending import end

from .cache import Lagging, Stored, WatchCache, Watcher

_log = logging.getLogger(__name__)

NAP_SECONDS = 3600.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds after a failed load; each is twice as long as the one before


class Loaded(Protocol):
    """What is loaded."""

    async def start(self) -> None:
        """Returns when it serves what there is."""
        ...

    async def stop(self) -> None:
        """Ends its tasks."""
        ...


def _any(stored: Stored) -> bool:
    return True


class Loader:
    """`make` gives the part; it is not asked before there is an object of `place` (group, resource) that is `needed`.

    `what` is said of it in the log, where it cannot be loaded.
    """

    def __init__(
        self,
        cache: WatchCache,
        place: tuple[str, str],
        make: Callable[[], Loaded],
        what: str,
        needed: Callable[[Stored], bool] = _any,
    ) -> None:
        self._cache, self._make, self._what, self._needed = cache, make, what, needed
        self._objects = cache.of(*place)
        self._waiting: asyncio.Task[None] | None = None
        self._running: Loaded | None = None

    async def start(self) -> None:
        """Returns when what is there is served."""
        if any(map(self._needed, self._objects.values)):
            await self._load()
        else:
            self._waiting = asyncio.get_running_loop().create_task(self._wait())

    async def stop(self) -> None:
        """Ends whatever runs."""
        await end(self._waiting)
        if self._running is not None:
            await self._running.stop()

    async def _load(self) -> None:
        loaded = self._make()
        try:
            await loaded.start()
        except BaseException:
            await loaded.stop()  # what it has begun must not go on beside the next one
            raise
        self._running = loaded

    async def _wait(self) -> None:
        while True:
            watcher = self._objects.watch(self._cache.revision)
            try:
                if any(map(self._needed, self._objects.values)) or await self._comes(watcher):
                    break
                if watcher.ended:
                    return
            except Lagging:
                continue  # everything was listed anew
            finally:
                watcher.end()
        await self._load_at_last()

    async def _comes(self, watcher: Watcher) -> bool:
        """Whether one is among the next changes; False at the end."""
        while not watcher.ended:
            changes = await watcher.batch(NAP_SECONDS)
            if any(change.current is not None and self._needed(change.current) for change in changes):
                return True
        return False

    async def _load_at_last(self) -> None:
        """Tries until it works: what fails may be a disk or a store that is there again later."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._load()
                return
            except Exception:
                _log.exception("%s; the next try is in %g s", self._what, pause)
            await self._cache.clock.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
