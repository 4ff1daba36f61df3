"""Lines of JSON between the processes of one server: each end may ask the other one for what it has counted.

The connection is also how a worker knows that the first process is there: it ends with it, however that ends.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable

from pybernetes.aio.clock import Clock

ANSWER_SECONDS = 2.0  # who takes longer is left out this time
LONGEST_LINE = 64 << 20


class Talk:
    """One end. `tell` is what it says when it is asked."""

    def __init__(self, connection: socket.socket, tell: Callable[[], Awaitable[str]], clock: Clock) -> None:
        """The connection is taken over."""
        self._connection, self._tell, self._clock = connection, tell, clock
        self._writer: asyncio.StreamWriter | None = None
        self._asked: dict[int, asyncio.Future[str]] = {}
        self._next = 0
        self._telling: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the other end closes."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._connection, limit=LONGEST_LINE)
        try:
            while line := await reader.readline():
                self._heard(json.loads(line))
        except (ConnectionError, ValueError):
            return  # it has ended, maybe within a line
        finally:
            self._writer.close()
            for task in self._telling:
                task.cancel()
            for future in self._asked.values():
                if not future.done():
                    future.set_result("")

    def _heard(self, message: dict[str, int | str]) -> None:
        number = int(message["id"])
        if "metrics" not in message:
            task = asyncio.get_running_loop().create_task(self._answer(number))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)
        elif (future := self._asked.get(number)) is not None and not future.done():
            future.set_result(str(message["metrics"]))

    async def _answer(self, number: int) -> None:
        self._send({"id": number, "metrics": await self._tell()})

    def _send(self, message: dict[str, int | str]) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def metrics(self) -> str:
        """Of the other end; "" where it does not answer in time."""
        if self._writer is None or self._writer.is_closing():
            return ""
        self._next += 1
        number, future = self._next, asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            self._send({"id": number})
            async with self._clock.timeout(ANSWER_SECONDS):
                return str(await future)
        except TimeoutError:
            return ""
        finally:
            del self._asked[number]
