"""Further processes of one API server, on its port: `--workers`.

Each is a whole API server, with a watch cache of its own; the system shares connections out among those that listen on the port
(SO_REUSEPORT). Where etcd is the store they are no more to each other than servers on several hosts are. Where it is SQLite, or memory, the first
process has it and answers the others over a socket that they inherit (`store/shared`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress

from pybernetes.aio.clock import Clock
from pybernetes.store.shared import SCHEME
from pybernetes.store.shared.client import SharedStore
from pybernetes.store.shared.counter import Counter, new_file
from pybernetes.store.shared.server import CountedStore, answer
from pybernetes.store.types import Store

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
        self._keeping: list[asyncio.Task[None]] = []
        self._answering: set[asyncio.Task[None]] = set()

    async def share(self, store: Store) -> Store:
        """The store for the first process, which tells the others how far it has come. To be called before `start`."""
        self._file = new_file()
        self._store = CountedStore(store, Counter(self._file))
        await self._store.begin()
        return self._store

    def start(self, port: int) -> None:
        """`port`: on which the first process listens."""
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
            code = await self._run(number, port)
            if self._clock.monotonic() - begun > MAX_AGAIN_SECONDS:
                delay = AGAIN_SECONDS
            _log.error("worker %d has ended (exit code %d) and is started anew in %g s", number, code, delay)
            await self._clock.sleep(delay)
            delay = min(2 * delay, MAX_AGAIN_SECONDS)

    async def _run(self, number: int, port: int) -> int:
        """Its exit code. Cancelled, it leaves the process to `stop`."""
        words = [*self._arguments, f"--worker-number={number}", f"--secure-port={port}"]
        if self._store is None:
            process = await _started(words, ())
            self._processes[number] = process
            return await process.wait()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                words.append(f"--store={SCHEME}:{theirs.fileno()},{self._file}")
                process = await _started(words, (theirs.fileno(), self._file))
        except BaseException:
            ours.close()
            raise
        self._processes[number] = process
        answering = asyncio.get_running_loop().create_task(answer(self._store, ours))
        self._answering.add(answering)  # until the other end closes, or `stop`
        answering.add_done_callback(self._answering.discard)
        return await process.wait()


async def _started(words: Sequence[str], descriptors: Sequence[int]) -> asyncio.subprocess.Process:
    program = (sys.executable, "-m", "pybernetes", "kube-apiserver", *words)
    return await asyncio.create_subprocess_exec(*program, stdin=asyncio.subprocess.PIPE, pass_fds=descriptors)


async def _cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    tasks = tuple(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def first_process_ended(store: Store) -> None:
    """In a worker: returns when the process that started it is gone, however it ended (nobody holds the other end of its input then), or
    does not answer for the store any more."""
    loop = asyncio.get_running_loop()
    ended = store.lost if isinstance(store, SharedStore) else asyncio.Event()

    def readable() -> None:
        if not os.read(sys.stdin.fileno(), 1):
            ended.set()

    loop.add_reader(sys.stdin.fileno(), readable)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
