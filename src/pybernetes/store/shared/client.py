"""The store of another process of this server, which answers over an inherited socket."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator

from pybernetes.aio.ending import end

from ..backends import Location, LocationError
from ..types import Closed, Compacted, Event, KeyValue, Page, Progress, StoreError
from . import SCHEME, messages
from .counter import Counter
from .messages import Frames, Sender

READ_BYTES = 256 << 10
PAGE = 500  # items of a list that are asked for at once
WAITING = 1000  # frames of a watch that wait for who watches, before nothing more is read


async def open_shared(location: Location) -> SharedStore:
    """`shared:SOCKET,COUNTER`, two descriptors. LocationError."""
    numbers = location.urls[0].partition(":")[2].split(",")
    if len(location.urls) != 1 or len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        raise LocationError(f"want {SCHEME}:DESCRIPTOR,DESCRIPTOR, as a server gives its workers")
    link, count = map(int, numbers)
    try:
        counter = Counter(count)
        os.close(count)
        connection = socket.socket(fileno=link)
    except (OSError, ValueError) as error:
        raise LocationError(f"{location.urls[0]}: {error}: this is for workers of a server") from error
    return await SharedStore.open(connection, counter)


class SharedStore:
    """See `Store`. `lost` is set when the process that has the store has ended; everything is Closed then."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counter: Counter) -> None:
        self._reader, self._writer, self._counter = reader, writer, counter
        self._sender = Sender(writer)
        self._next = 0
        self._answers: dict[int, asyncio.Queue[messages.Answer | None]] = {}
        self._closed = False
        self.lost = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._read())

    @classmethod
    async def open(cls, connection: socket.socket, counter: Counter) -> SharedStore:
        """Takes both over."""
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        return cls(reader, writer, counter)

    def newest_revision(self) -> int:
        """See `Counted`."""
        return self._counter.value

    async def revision(self) -> int:
        """See `Store`."""
        self._check_open()
        return self._counter.value

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See `Store`; in pages, so that no process holds more at once than who wants it."""
        while True:
            try:
                return await self._list(prefix, after, limit, revision)
            except Compacted:
                if revision:
                    raise

    async def _list(self, prefix: str, after: str, limit: int, revision: int) -> Page:
        items: list[KeyValue] = []
        at = revision
        while True:
            count = min(PAGE, limit - len(items)) if limit else PAGE
            with _Question(self) as question:
                question.send(messages.List(question.id, prefix, after, count, at))
                while isinstance(part := await question.answer(asked=at), messages.Items):
                    items += (KeyValue(*one) for one in part.items)
            assert isinstance(part, messages.Listed), part
            items += (KeyValue(*one) for one in part.items)
            at = part.revision
            if not part.more or (limit and len(items) >= limit):
                return Page(items, at, part.more)
            after = items[-1].key

    async def put(self, key: str, value: bytes, expected: int | None = None) -> KeyValue:
        """See `Store`."""
        with _Question(self) as question:
            question.send(messages.Put(question.id, key, value, expected))
            told = await question.answer(key, expected, write=True)
        assert isinstance(told, messages.Written), told
        return KeyValue(*told.item)

    async def delete(self, key: str, expected: int | None = None) -> Event | None:
        """See `Store`."""
        with _Question(self) as question:
            question.send(messages.Delete(question.id, key, expected))
            told = await question.answer(key, expected, write=True)
        assert isinstance(told, messages.Deleted), told
        return Event(told.revision, key, None) if told.revision else None

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Event | Progress]:
        """See `Store`."""
        if self._closed:
            return
        with _Question(self, WAITING) as question:
            question.send(messages.Watch(question.id, prefix, after))
            while not isinstance(told := await question.answer(asked=after, ends=True), messages.Done):
                assert isinstance(told, messages.Told), told
                for fields in told.events:
                    event = messages.event(*fields)
                    after = event.revision
                    yield event
                if told.reached:
                    after = told.reached
                    yield Progress(told.reached)

    async def compact(self, revision: int) -> None:
        """See `Store`."""
        with _Question(self) as question:
            question.send(messages.Compact(question.id, revision))
            await question.answer(asked=revision)

    async def stale(self, key: str) -> bool:
        """See `Rewritable`."""
        with _Question(self) as question:
            question.send(messages.Stale(question.id, key))
            told = await question.answer(key)
        assert isinstance(told, messages.Done), told
        return told.yes

    async def close(self) -> None:
        """See `Store`; the store itself stays."""
        if not self._closed:
            self._closed = True
            await end(self._task)
            self._writer.close()
            self._counter.close()

    def _check_open(self) -> None:
        if self._closed or self.lost.is_set():
            raise Closed("the store is closed")

    async def _read(self) -> None:
        frames = Frames()
        try:
            while data := await self._reader.read(READ_BYTES):
                for one in frames.feed(data):
                    told = messages.answers(one)
                    queue = self._answers.get(told.id)
                    if queue is not None:
                        await queue.put(told)
        except ConnectionError:
            pass
        finally:
            self.lost.set()
            for queue in self._answers.values():
                if queue.full():  # who reads it comes to the end by `lost`
                    continue
                queue.put_nowait(None)


class _Question:
    """One question and what answers it. Leaving the block before the answer is there ends it at the other end as well."""

    def __init__(self, store: SharedStore, waiting: int = 0) -> None:
        store._check_open()
        self._store = store
        store._next += 1
        self.id = store._next
        self._queue: asyncio.Queue[messages.Answer | None] = asyncio.Queue(waiting)
        self._open = True

    def __enter__(self) -> _Question:
        self._store._answers[self.id] = self._queue
        return self

    def __exit__(self, *exc: object) -> None:
        del self._store._answers[self.id]
        if self._open and not self._store.lost.is_set():
            self._store._sender.send(messages.End(self.id))
        while not self._queue.empty():  # who waits to hand something over goes on
            self._queue.get_nowait()

    def send(self, question: messages.Question) -> None:
        """ValueError for one that is too large."""
        self._store._sender.send(question)

    async def answer(
        self, key: str = "", expected: int | None = None, asked: int = 0, *, ends: bool = False, write: bool = False
    ) -> messages.Answer:
        """The next one. StoreError, which is told in words of the key or the revision that was asked for. `ends`: of a watch, `write`: of a
        write."""
        if self._store.lost.is_set() and self._queue.empty():
            told = None
        else:
            told = await self._queue.get()
        if told is None:
            self._open = False
            if ends and self._store._closed:
                return messages.Done(self.id)
            if write:
                raise StoreError(
                    f"the process that keeps the store has ended: whether {key!r} was written is not known"
                )
            raise Closed("the process that keeps the store has ended")
        self._open = isinstance(told, messages.Items | messages.Told)
        if isinstance(told, messages.Failed):
            raise messages.error(told, key, expected, asked)
        return told
