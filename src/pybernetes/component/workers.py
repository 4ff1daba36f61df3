"""Further processes of a part, on its ports (SO_REUSEPORT): --workers of kube-apiserver, multisocket of CoreDNS.

A worker has one end of a socket pair as its standard input, over which both speak (`Talk`). It is closed however the first process ends, and
the worker ends with that. Its session is its own, so that an interrupt of the terminal is the first process's business: this one ends its
workers by SIGTERM. One that ends by itself is started again.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from pybernetes.aio.backoff import Backoff
from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end

from .exposition import merged
from .talk import Talk

_log = logging.getLogger(__name__)

AGAIN_SECONDS, MAX_AGAIN_SECONDS = 1.0, 30.0  # before a process that has ended is started again, doubling
STOP_SECONDS = 10.0  # that a worker may take to end, before it is killed
READY = "ready"  # what a worker tells when it answers


@dataclass(frozen=True, slots=True)
class Program:
    """A worker's command line, and the descriptors that it inherits."""

    command: Sequence[str]
    descriptors: Sequence[int] = ()


# For the worker of a number, from 1 on. The block is left when its process has begun, with the exception where it could not be started.
Launch = Callable[[int], AbstractContextManager[Program]]


class Workers:
    """So many as `resize` says; who makes them resizes them to 0 in the end. `metrics` is what the first process has counted itself."""

    def __init__(
        self, launch: Launch, metrics: Callable[[], str], clock: Clock, stop_seconds: float = STOP_SECONDS
    ) -> None:
        self._launch, self._own_metrics = launch, metrics
        self._clock, self._stop_seconds = clock, stop_seconds
        self._workers: list[_Worker] = []

    @property
    def ready(self) -> bool:
        """Whether all have told that they are."""
        return all(worker.ready for worker in self._workers)

    async def resize(self, count: int) -> None:
        """Starts some, or ends those with the highest numbers; returns when these have ended, and does not wait until new ones answer."""
        for number in range(len(self._workers) + 1, count + 1):
            told = functools.partial(self._told, number)
            self._workers.append(_Worker(number, self._launch, told, self._clock, self._stop_seconds))
        ending, self._workers = self._workers[count:], self._workers[:count]
        await asyncio.gather(*(worker.stop() for worker in ending))

    def tell(self, word: str) -> None:
        """Has each hear it that runs."""
        for worker in self._workers:
            worker.tell(word)

    async def metrics(self, but: int = 0) -> list[str]:
        """What each worker has counted, but for one; who does not answer in time is left out."""
        texts = await asyncio.gather(*(worker.metrics() for worker in self._workers if worker.number != but))
        return [text for text in texts if text]

    async def _told(self, number: int) -> str:
        """What a worker is told of all others."""
        return merged(self._own_metrics(), await self.metrics(but=number))


class _Worker:
    """One process, and the next when it has ended."""

    def __init__(
        self, number: int, launch: Launch, told: Callable[[], Awaitable[str]], clock: Clock, stop_seconds: float
    ) -> None:
        self.number, self.ready = number, False
        self._launch, self._told = launch, told
        self._clock, self._stop_seconds = clock, stop_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._talk: Talk | None = None
        self._talking: asyncio.Task[None] | None = None
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    def tell(self, word: str) -> None:
        if self._talk is not None:
            self._talk.tell(word)

    async def metrics(self) -> str:
        return "" if self._talk is None else await self._talk.metrics()

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL. The connection stands until it has ended: without it a worker would not take its time."""
        await end(self._keeping)
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            await self._ended(self._process)
        await self._hang_up()

    async def _keep(self) -> None:
        delays = Backoff[int](AGAIN_SECONDS, MAX_AGAIN_SECONDS, self._clock)
        while True:
            try:
                why = f"has ended (exit code {await self._run()})"
            except OSError as error:
                why = f"cannot be started ({error.strerror or error})"
            delay = delays.next(self.number)
            _log.error("worker %d %s; it is started again in %g s", self.number, why, delay)
            await self._clock.sleep(delay)

    async def _run(self) -> int:
        """Its exit code. Cancelled, it leaves the process to `stop`. OSError where it cannot be started."""
        own, its = socket.socketpair()
        with its:
            try:
                with self._launch(self.number) as program:
                    process = await asyncio.create_subprocess_exec(
                        *program.command, stdin=its.fileno(), pass_fds=program.descriptors, start_new_session=True
                    )
            except BaseException:
                own.close()
                raise
        self._process = process
        self._talk = Talk(own, self._told, self._heard, self._clock)
        self._talking = asyncio.get_running_loop().create_task(self._talk.run())
        ended = asyncio.ensure_future(process.wait())
        await asyncio.wait((self._talking, ended), return_when=asyncio.FIRST_COMPLETED)
        code = await self._ended(process)  # who does not speak any more is no worker
        await self._hang_up()
        return code

    def _heard(self, word: str) -> None:
        self.ready = self.ready or word == READY

    async def _hang_up(self) -> None:
        self.ready = False
        await end(self._talking)

    async def _ended(self, process: asyncio.subprocess.Process) -> int:
        """The exit code."""
        try:
            async with self._clock.timeout(self._stop_seconds):
                return await process.wait()
        except TimeoutError:
            _log.error("worker %d did not end within %g s and is killed", self.number, self._stop_seconds)
            process.kill()
            return await process.wait()


class FirstProcess:
    """As a worker sees the process that has started it."""

    def __init__(self, clock: Clock) -> None:
        """OSError where standard input does not lead to one."""
        self._metrics: Callable[[], str] = str
        self._heard: Callable[[str], object] = str
        self._talk = Talk(socket.socket(fileno=os.dup(sys.stdin.fileno())), self._told, self._hear, clock)

    async def metrics(self) -> list[str]:
        """What all other processes have counted."""
        text = await self._talk.metrics()
        return [text] if text else []

    def tell(self, word: str) -> bool:
        """Whether it hears it; before `ended` is waited for nobody does."""
        return self._talk.tell(word)

    async def ended(self, metrics: Callable[[], str], heard: Callable[[str], object] = str) -> None:
        """Returns when it is gone, however it ended. `metrics`: what this process has counted; `heard` gets the words that it is told."""
        self._metrics, self._heard = metrics, heard
        await self._talk.run()

    async def _told(self) -> str:
        return self._metrics()

    def _hear(self, word: str) -> None:
        self._heard(word)
