"""Further processes of one API server, on its port: `--workers`.

Each is a whole API server, with a watch cache of its own; the system shares connections out among those that listen on the port
(SO_REUSEPORT). Where etcd is the store they are no more to each other than servers on several hosts are. Where it is SQLite, or memory, the first
process has it and answers the others over a socket that they inherit (`store/shared`).
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from pybernetes.aio.clock import Clock
from pybernetes.component.exposition import merged
from pybernetes.store.shared import SCHEME
from pybernetes.store.shared.client import SharedStore
from pybernetes.store.shared.counter import Counter, new_file
from pybernetes.store.shared.server import CountedStore, answer
from pybernetes.store.types import Store

from .talk import Talk

_log = logging.getLogger(__name__)

AGAIN_SECONDS, MAX_AGAIN_SECONDS = 1.0, 30.0  # before a process that has ended is started anew
STOP_SECONDS = 10.0  # beyond what the server itself may take to end, before a worker is killed


class Workers:
    """`start` and `stop` by the first process. The store is the caller's, and outlives them."""

    def __init__(self, arguments: Sequence[str], count: int, stop_seconds: float, clock: Clock) -> None:
        """`arguments` of the server's command line; `count` of all processes, the first included; `stop_seconds` that one may take to end."""
        self._clock = clock
        self._arguments, self._count = tuple(arguments), count
        self._stop_seconds = stop_seconds + STOP_SECONDS
        self._file = -1
        self._store: CountedStore | None = None
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._talks: dict[int, Talk] = {}
        self._own_metrics: Callable[[], str] = str
        self._keeping: list[asyncio.Task[None]] = []
        self._answering: set[asyncio.Task[None]] = set()

    async def share(self, store: Store) -> Store:
        """The store for the first process, which tells the others how far it has come. To be called before `start`."""
        self._file = new_file()
        self._store = CountedStore(store, Counter(self._file))
        await self._store.begin()
        return self._store

    async def metrics(self, but: int = 0) -> list[str]:
        """What each worker has counted, but for one; who does not answer in time is left out."""
        texts = await asyncio.gather(*(talk.metrics() for number, talk in self._talks.items() if number != but))
        return [text for text in texts if text]

    def start(self, port: int, metrics: Callable[[], str]) -> None:
        """`port`: on which the first process listens; `metrics`: what it has counted."""
        self._own_metrics = metrics
        loop = asyncio.get_running_loop()
        self._keeping = [loop.create_task(self._keep(number, port)) for number in range(1, self._count)]

    async def stop(self) -> None:
        """Asks all to end, and kills who does not."""
        await _cancelled(self._keeping)
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.terminate()
        try:
            async with self._clock.timeout(self._stop_seconds):
                await asyncio.gather(*(process.wait() for process in self._processes.values()))
        except TimeoutError:
            for number, process in self._processes.items():
                if process.returncode is None:
                    _log.error("worker %d did not end within %g s and is killed", number, self._stop_seconds)
                    process.kill()
                    await process.wait()
        await _cancelled(self._answering)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    async def _keep(self, number: int, port: int) -> None:
        delay = AGAIN_SECONDS
        while True:
            begun = self._clock.monotonic()
            try:
                why = f"has ended (exit code {await self._run(number, port)})"
            except OSError as error:
                why = f"cannot be started ({error.strerror or error})"
            if self._clock.monotonic() - begun > MAX_AGAIN_SECONDS:
                delay = AGAIN_SECONDS
            _log.error("worker %d %s; it is started anew in %g s", number, why, delay)
            await self._clock.sleep(delay)
            delay = min(2 * delay, MAX_AGAIN_SECONDS)

    async def _run(self, number: int, port: int) -> int:
        """Its exit code. Cancelled, it leaves the process to `stop`."""
        words = [*self._arguments, f"--worker-number={number}", f"--secure-port={port}"]
        with ExitStack() as stack:
            talk, its_talk = socket.socketpair()
            stack.callback(its_talk.close)
            descriptors: list[int] = []
            store: socket.socket | None = None
            if self._store is not None:
                store, its_store = socket.socketpair()
                stack.callback(its_store.close)
                descriptors = [its_store.fileno(), self._file]
                words.append(f"--store={SCHEME}:{descriptors[0]},{descriptors[1]}")
            program = (sys.executable, "-m", "pybernetes", "kube-apiserver", *words)
            try:
                process = await asyncio.create_subprocess_exec(*program, stdin=its_talk.fileno(), pass_fds=descriptors)
            except BaseException:
                talk.close()
                if store is not None:
                    store.close()
                raise
        self._processes[number] = process
        self._talks[number] = conversation = Talk(talk, functools.partial(self._told, number), self._clock)
        self._answer(conversation.run())
        if self._store is not None and store is not None:
            self._answer(answer(self._store, store))
        return await process.wait()

    def _answer(self, work: Coroutine[Any, Any, None]) -> None:
        """Until the other end closes, or `stop`."""
        task = asyncio.get_running_loop().create_task(work)
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _told(self, number: int) -> str:
        """What a worker is told of all others."""
        return merged(self._own_metrics(), await self.metrics(but=number))


async def _cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    tasks = tuple(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class FirstProcess:
    """As a worker sees the process that has started it."""

    def __init__(self, clock: Clock) -> None:
        """OSError where standard input does not lead to one."""
        self._metrics: Callable[[], str] = str
        self._talk = Talk(socket.socket(fileno=os.dup(sys.stdin.fileno())), self._told, clock)

    async def metrics(self) -> list[str]:
        """What all other processes have counted."""
        text = await self._talk.metrics()
        return [text] if text else []

    async def _told(self) -> str:
        return self._metrics()

    async def ended(self, store: Store, metrics: Callable[[], str]) -> None:
        """Returns when it is gone, however it ended, or does not answer for the store any more; `metrics`: what this process has counted."""
        self._metrics = metrics
        waiting = [asyncio.ensure_future(self._talk.run())]
        if isinstance(store, SharedStore):
            waiting.append(asyncio.ensure_future(_set(store.lost)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancelled(waiting)


async def _set(event: asyncio.Event) -> None:
    await event.wait()
