"""Waits for the first CustomResourceDefinition: nothing of custom resources is loaded before there is one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..generic.cache import Lagging, WatchCache

if TYPE_CHECKING:
    from .controller import DefinitionController

_log = logging.getLogger(__name__)

DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")
NAP_SECONDS = 3600.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds after a failed load; each is twice as long as the one before


class Loader:
    """`make` gives the controller; it is not asked before there is a definition."""

    def __init__(self, cache: WatchCache, make: Callable[[], DefinitionController]) -> None:
        self._cache, self._make = cache, make
        self._definitions = cache.of(*DEFINITIONS)
        self._waiting: asyncio.Task[None] | None = None
        self._running: DefinitionController | None = None

    async def start(self) -> None:
        """Returns when the resources of all established definitions are served."""
        if self._definitions.items:
            await self._load()
        else:
            self._waiting = asyncio.get_running_loop().create_task(self._wait())

    async def stop(self) -> None:
        """Ends whatever runs."""
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.gather(self._waiting, return_exceptions=True)
        if self._running is not None:
            await self._running.stop()

    async def _load(self) -> None:
        made = self._make()
        try:
            await made.start()
        except BaseException:
            await made.stop()  # what it has begun must not go on beside the next one
            raise
        self._running = made

    async def _wait(self) -> None:
        while not self._definitions.items:
            watcher = self._definitions.watch(self._cache.revision)
            try:
                await watcher.batch(NAP_SECONDS)
                if watcher.ended:
                    return
            except Lagging:
                continue  # everything was listed anew, perhaps with a definition
            finally:
                watcher.end()
        await self._load_at_last()

    async def _load_at_last(self) -> None:
        """Tries until it works: what fails may be a disk or a store that is there again later."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._load()
                return
            except Exception:
                _log.exception("custom resources are not served; the next try is in %g s", pause)
            await self._cache.clock.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
