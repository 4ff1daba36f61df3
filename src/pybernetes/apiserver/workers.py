"""Further processes of one API server, on its port: `--workers`.

Each is a whole API server, with a watch cache of its own. Where etcd is the store they are no more to each other than servers on several hosts
are. Where it is SQLite, or memory, the first process has it and answers the others over a socket that they inherit (`store/shared`).
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end
from pybernetes.component.workers import STOP_SECONDS, FirstProcess, Program, Workers
from pybernetes.store.shared import SCHEME
from pybernetes.store.shared.client import SharedStore
from pybernetes.store.shared.counter import Counter, new_file
from pybernetes.store.shared.server import CountedStore, answer
from pybernetes.store.types import Store


class ServerWorkers:
    """`start` and `stop` by the first process. The store is the caller's, and outlives them."""

    def __init__(self, arguments: Sequence[str], count: int, stop_seconds: float, clock: Clock) -> None:
        """`arguments` of the server's command line; `count` of all processes, the first included; `stop_seconds` that one may take to end."""
        self._arguments, self._count, self._port = tuple(arguments), count, 0
        self._metrics: Callable[[], str] = str
        self._workers = Workers(self._launch, lambda: self._metrics(), clock, stop_seconds + STOP_SECONDS)
        self.metrics = self._workers.metrics
        self._file = -1
        self._store: CountedStore | None = None
        self._answering: set[asyncio.Task[None]] = set()

    async def share(self, store: Store) -> Store:
        """The store for the first process, which tells the others how far it has come. To be called before `start`."""
        self._file = new_file()
        self._store = CountedStore(store, Counter(self._file))
        await self._store.begin()
        return self._store

    async def start(self, port: int, metrics: Callable[[], str]) -> None:
        """`port`: on which the first process listens; `metrics`: what it has counted."""
        self._port, self._metrics = port, metrics
        await self._workers.resize(self._count - 1)

    async def stop(self) -> None:
        """Asks all to end, and kills who does not."""
        await self._workers.resize(0)
        await end(*self._answering)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    @contextmanager
    def _launch(self, number: int) -> Iterator[Program]:
        command = (sys.executable, "-m", "pybernetes", "kube-apiserver", *self._arguments)
        command = (*command, f"--worker-number={number}", f"--secure-port={self._port}")
        if self._store is None:
            yield Program(command)
            return
        own, its = socket.socketpair()
        with its:
            descriptors = its.fileno(), self._file
            try:
                yield Program((*command, f"--store={SCHEME}:{descriptors[0]},{descriptors[1]}"), descriptors)
            except BaseException:
                own.close()
                raise
        task = asyncio.get_running_loop().create_task(answer(self._store, own))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)


async def first_ended(first: FirstProcess, store: Store, metrics: Callable[[], str]) -> None:
    """Returns when the first process is gone, or does not answer for the store any more; `metrics`: what this process has counted."""
    waiting = [asyncio.ensure_future(first.ended(metrics))]
    if isinstance(store, SharedStore):
        waiting.append(asyncio.ensure_future(_set(store.lost)))
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*waiting)


async def _set(event: asyncio.Event) -> None:
    await event.wait()
