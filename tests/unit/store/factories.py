"""The backends that the suite of test_store.py is played on: add a factory here for a new one."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pybernetes.store.backends import Location, open_store
from pybernetes.store.memory import MemoryStore
from pybernetes.store.shared.counter import Counter, new_file
from pybernetes.store.shared.server import CountedStore, answer
from pybernetes.store.sqlite import IN_MEMORY, SQLiteStore
from pybernetes.store.types import Store
from tests.etcd import server

Open = Callable[[], Awaitable[Store]]


@dataclass(frozen=True)
class Factory:
    """`data` gives an empty place, and what opens a handle on it. Without `shared` a place has one handle at a time."""

    name: str
    data: Callable[[Path], AbstractAsyncContextManager[Open]]
    keeps: bool = True  # what was written, until the place is opened the next time
    shared: bool = False  # by handles of several processes at once
    missing: str = ""  # what it needs and is not there


@asynccontextmanager
async def _memory(_folder: Path) -> AsyncIterator[Open]:
    yield lambda: open_store(Location(("memory:",)))


@asynccontextmanager
async def _sqlite(folder: Path) -> AsyncIterator[Open]:
    yield lambda: open_store(Location((f"sqlite://{folder}/state.db",)))


@asynccontextmanager
async def _sqlite_memory(_folder: Path) -> AsyncIterator[Open]:
    yield lambda: SQLiteStore.open(IN_MEMORY)


@asynccontextmanager
async def _etcd(folder: Path) -> AsyncIterator[Open]:
    async with server.etcd(folder) as [member]:
        yield lambda: open_store(Location((member.url,)))


@asynccontextmanager
async def _shared(_folder: Path) -> AsyncIterator[Open]:
    """Each handle is as in another process; the store itself is in this one."""
    file = new_file()
    counted = CountedStore(MemoryStore(), Counter(file))
    answering: list[asyncio.Task[None]] = []

    async def opened() -> Store:
        ours, theirs = socket.socketpair()
        answering.append(asyncio.ensure_future(answer(counted, ours)))
        return await open_store(Location((f"shared:{theirs.detach()},{os.dup(file)}",)))

    try:
        yield opened
    finally:
        os.close(file)
        await asyncio.gather(*answering)
        await counted.close()


FACTORIES = (
    Factory("memory", _memory, keeps=False),
    Factory("sqlite", _sqlite),
    Factory("sqlite in memory", _sqlite_memory, keeps=False),
    Factory("shared", _shared, shared=True),
    Factory("etcd", _etcd, shared=True, missing=server.WHY_NOT),
)
