"""Follows a configuration's file (upstream: apiserver/pkg/util/filesystem WatchUntil, which has inotify tell it)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end

from . import configdocument
from .configdocument import DocumentError
from .configmetrics import ReloadMetrics

_log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between looks (one stat each)

Take = Callable[[bytes], Awaitable[None]]
_Stamp = tuple[int, int, int] | None


class Follower:
    """Gives `take` what the file holds whenever that is another. What it raises as DocumentError is logged once, and all stays as it was."""

    def __init__(self, path: str, what: str, data: bytes, take: Take, metrics: ReloadMetrics, clock: Clock) -> None:
        """`what`: what the file is, for messages; `data`: what it held and is in use."""
        self._path, self._what, self._data, self._take = path, what, data, take
        self._metrics, self._clock = metrics, clock
        self._stamp: _Stamp = None  # looked at at the start: it may have changed since it was read
        self._task: asyncio.Task[None] | None = None
        metrics.applied(data)

    def start(self) -> None:
        """Until `close`."""
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def close(self) -> None:
        """Ends what `start` began."""
        await end(self._task)

    async def _follow(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Takes the content where it has changed."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            data = await asyncio.to_thread(configdocument.read, self._path, self._what)
            if data == self._data:
                return
            await self._take(data)
        except DocumentError as error:
            _log.error("the new %s of %s is not taken, the one before stays: %s", self._what, self._path, error)
            self._metrics.reloaded(False, self._clock.now().timestamp())
            return
        except Exception:
            _log.exception("the new %s of %s is not taken, the one before stays", self._what, self._path)
            self._metrics.reloaded(False, self._clock.now().timestamp())
            return
        self._data = data
        self._metrics.reloaded(True, self._clock.now().timestamp())
        self._metrics.applied(data)
        _log.info("the %s of %s is in use", self._what, self._path)


def _stamp(path: str) -> _Stamp:
    try:
        status = os.stat(Path(path))
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
