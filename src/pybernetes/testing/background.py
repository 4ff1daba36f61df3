"""An event loop on a thread of its own, for clusters of tests that have none, or another one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from pybernetes.api.errors import StatusError

from .arguments import WrongArgument

__tracebackhide__ = True  # as in kube.py

T = TypeVar("T")

STOP_SECONDS = 30.0


class BackgroundLoop:
    """Runs coroutines for other threads. asyncio's own loop: of that one can be told when it is at rest (VirtualClock.advance)."""

    def __init__(self, name: str) -> None:
        self._started, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()
        self._started.wait()

    def _main(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        self._started.set()
        await self._stop.wait()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Its future. RuntimeError on the loop's own thread, which could only wait for itself."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("the cluster's own thread cannot wait for the cluster: ask on another thread")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What it returns or raises. An answer of the API, or a wrong argument, comes without the cluster's own frames."""
        try:
            return self.submit(coroutine).result()
        except (StatusError, WrongArgument) as error:
            raise error.with_traceback(None) from error.__cause__

    def close(self) -> None:
        """Cancels what still runs, and waits for the thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_SECONDS)
