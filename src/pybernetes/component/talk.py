"""Lines of JSON between the processes of one part: each end may ask the other one for what it has counted, and tell it a word.

The connection is also how a worker knows that the first process is there: it ends with it, however that ends.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import msgspec

from pybernetes.aio.clock import Clock

ANSWER_SECONDS = 2.0  # who takes longer is left out this time
LONGEST_LINE = 64 << 20


class _Line(msgspec.Struct, omit_defaults=True):
    """A question (`id` alone), its answer (`metrics`), or a word that wants none."""

    id: int = 0
    metrics: str | None = None
    word: str = ""


_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(_Line).decode


class Talk:
    """One end. `count` is what it says when it is asked, `heard` gets the words that it is told."""

    def __init__(
        self,
        connection: socket.socket,
        count: Callable[[], Awaitable[str]],
        heard: Callable[[str], object],
        clock: Clock,
    ) -> None:
        """The connection is taken over."""
        self._connection, self._count, self._heard, self._clock = connection, count, heard, clock
        self._writer: asyncio.StreamWriter | None = None
        self._asked: dict[int, asyncio.Future[str]] = {}
        self._next = 0
        self._answering: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the other end closes, or says what nobody understands."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._connection, limit=LONGEST_LINE)
        try:
            while line := await reader.readline():
                self._take(_decode(line))
        except (ConnectionError, ValueError, msgspec.DecodeError):
            return  # it has ended, maybe within a line
        finally:
            self._writer.close()
            for task in self._answering:
                task.cancel()
            for future in self._asked.values():
                if not future.done():
                    future.set_result("")

    def _take(self, line: _Line) -> None:
        if line.word:
            self._heard(line.word)
        elif line.metrics is None:
            task = asyncio.get_running_loop().create_task(self._answer(line.id))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif (future := self._asked.get(line.id)) is not None and not future.done():
            future.set_result(line.metrics)

    async def _answer(self, number: int) -> None:
        self._send(_Line(number, await self._count()))

    def _send(self, line: _Line) -> bool:
        if self._writer is None or self._writer.is_closing():
            return False
        self._writer.write(_encode(line) + b"\n")
        return True

    def tell(self, word: str) -> bool:
        """Whether there is somebody to hear it."""
        return self._send(_Line(word=word))

    async def metrics(self) -> str:
        """Of the other end; "" where it does not answer in time."""
        self._next += 1
        number, future = self._next, asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            if not self._send(_Line(number)):
                return ""
            async with self._clock.timeout(ANSWER_SECONDS):
                return str(await future)
        except TimeoutError:
            return ""
        finally:
            del self._asked[number]
