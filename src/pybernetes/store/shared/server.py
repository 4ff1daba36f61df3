"""Answers for a store to the other processes of a server."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator

from pybernetes.aio.ending import end

from ..transformed import Rewritable
from ..types import Event, KeyValue, Page, Progress, Store, StoreError
from . import messages
from .counter import Counter
from .messages import PART_BYTES, Frames, Sender

_log = logging.getLogger(__name__)

READ_BYTES = 256 << 10


class CountedStore:
    """See `Store`. Whatever anybody is told of it, the counter has reached before."""

    def __init__(self, store: Store, counter: Counter) -> None:
        self._store, self._counter = store, counter
        self._rewritable = store if isinstance(store, Rewritable) else None

    def newest_revision(self) -> int:
        """See `Counted`."""
        return self._counter.value

    async def begin(self) -> None:
        """Before the counter is read for the first time. StoreError."""
        self._counter.reach(await self._store.revision())

    async def revision(self) -> int:
        """See `Store`."""
        revision = await self._store.revision()
        self._counter.reach(revision)
        return revision

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See `Store`."""
        page = await self._store.list(prefix, after=after, limit=limit, revision=revision)
        self._counter.reach(page.revision)
        return page

    async def put(self, key: str, value: bytes, expected: int | None = None) -> KeyValue:
        """See `Store`."""
        written = await self._store.put(key, value, expected)
        self._counter.reach(written.mod_revision)
        return written

    async def delete(self, key: str, expected: int | None = None) -> Event | None:
        """See `Store`."""
        event = await self._store.delete(key, expected)
        if event is not None:
            self._counter.reach(event.revision)
        return event

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Event | Progress]:
        """See `Store`."""
        async for told in self._store.watch(prefix, after):
            self._counter.reach(told.revision)
            yield told

    async def compact(self, revision: int) -> None:
        """See `Store`."""
        await self._store.compact(revision)

    async def stale(self, key: str) -> bool:
        """See `Rewritable`."""
        return self._rewritable is not None and await self._rewritable.stale(key)

    async def close(self) -> None:
        """See `Store`."""
        await self._store.close()
        self._counter.close()


async def answer(store: CountedStore, connection: socket.socket) -> None:
    """Until the other end closes the connection, which is taken over."""
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    answering = _Answering(store, writer)
    frames = Frames()
    try:
        while data := await reader.read(READ_BYTES):
            for one in frames.feed(data):
                answering.ask(messages.questions(one))
    except ConnectionError:
        pass  # it has ended, which is all that it has to say
    finally:
        await answering.end()
        writer.close()


class _Answering:
    """The questions of one connection; each has a task."""

    def __init__(self, store: CountedStore, writer: asyncio.StreamWriter) -> None:
        self._store, self._sender = store, Sender(writer)
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def ask(self, question: messages.Question) -> None:
        if isinstance(question, messages.End):
            if (task := self._tasks.get(question.id)) is not None:
                task.cancel()
            return
        task = asyncio.get_running_loop().create_task(self._answered(question))
        self._tasks[question.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(question.id, None))

    async def end(self) -> None:
        tasks = list(self._tasks.values())
        await end(*tasks)

    async def _answered(self, question: messages.Question) -> None:
        try:
            await self._answer(question)
        except StoreError as error:
            self._sender.send(messages.failed(question.id, error))
        except ConnectionError:
            return  # nobody is there to be told
        except Exception as error:
            _log.exception("a worker's question to the store failed")
            self._sender.send(messages.Failed(question.id, "StoreError", f"{type(error).__name__}: {error}"))

    async def _answer(self, question: messages.Question) -> None:
        store, id = self._store, question.id
        match question:
            case messages.List(prefix=prefix, after=after, limit=limit, revision=revision):
                await self._list(id, await store.list(prefix, after=after, limit=limit, revision=revision))
            case messages.Put(key=key, value=value, expected=expected):
                self._sender.send(messages.Written(id, messages.fields(await store.put(key, value, expected))))
            case messages.Delete(key=key, expected=expected):
                event = await store.delete(key, expected)
                self._sender.send(messages.Deleted(id, event.revision if event is not None else 0))
            case messages.Compact(revision=revision):
                await store.compact(revision)
                self._sender.send(messages.Done(id))
            case messages.Stale(key=key):
                self._sender.send(messages.Done(id, await store.stale(key)))
            case messages.Watch(prefix=prefix, after=revision):
                await self._watch(id, prefix, revision)

    async def _list(self, id: int, page: Page) -> None:
        part, size = list[messages.Fields](), 0
        for item in page.items:
            part.append(messages.fields(item))
            size += len(item.value)
            if size >= PART_BYTES:
                self._sender.send(messages.Items(id, part))
                await self._sender.drain()
                part, size = [], 0
        self._sender.send(messages.Listed(id, part, page.revision, page.more))

    async def _watch(self, id: int, prefix: str, after: int) -> None:
        """Who does not read is told nothing more."""
        telling = _Telling(id, self._sender)
        async for told in self._store.watch(prefix, after):
            telling.add(told)
            if telling.size >= PART_BYTES or self._sender.is_behind:
                telling.tell()
                await self._sender.drain()
        telling.tell()
        self._sender.send(messages.Done(id))


class _Telling:
    """Of a watch: what the store has at hand in one turn of the loop is one message."""

    def __init__(self, id: int, sender: Sender) -> None:
        self._id, self._sender = id, sender
        self._events: list[messages.EventFields] = []
        self._reached = 0
        self._later: asyncio.Handle | None = None
        self.size = 0  # bytes that wait

    def add(self, told: Event | Progress) -> None:
        if self._reached:
            self.tell()  # progress is the last in a message
        if isinstance(told, Event):
            self._events.append(messages.event_fields(told))
            self.size += len(told.current.value) if told.current is not None else 0
        else:
            self._reached = told.revision
        if self._later is None:
            self._later = asyncio.get_running_loop().call_soon(self.tell)

    def tell(self) -> None:
        """Now."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._events or self._reached:
            self._sender.send(messages.Told(self._id, self._events, self._reached))
        self._events, self._reached, self.size = [], 0, 0
