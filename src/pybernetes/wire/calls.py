"""Requests of the same process: handler and client meet without HTTP between them, as they would over a connection of their own."""

from __future__ import annotations

import asyncio
import logging

from .connection import HIGH_WATER, Owner
from .messages import Dropped, Request, Response, StreamingResponse, UpgradeResponse

_log = logging.getLogger(__name__)

CLOSED = "connection closed by the server"


class Call:
    """One request, and what is there of its answer; begun when it is made. Whoever made it calls `close` in the end.

    ConnectionResetError for who waits for an answer that the server does not end; TimeoutError after `expire_in`.
    """

    def __init__(self, server: Owner, request: Request) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}  # lower-cased, the last of repeated ones counts
        self.header_list: list[tuple[str, str]] = []  # in order, with repeats
        self._server = server
        self._pieces: list[bytes] = []
        self._size = 0
        self._complete = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None  # waits for more
        self._writer: asyncio.Future[None] | None = None  # waits until some was taken
        self._expiry: asyncio.TimerHandle | None = None
        server.opened(self)
        self._task = asyncio.get_running_loop().create_task(self._work(request))
        server.tasks.add(self._task)
        self._task.add_done_callback(self._done)

    # For the server.

    async def _work(self, request: Request) -> None:
        try:
            answer = await self._server.handler(request)
            if isinstance(answer, UpgradeResponse):
                if answer.abandoned is not None:
                    answer.abandoned()
                raise RuntimeError(f"upgrade to {answer.protocol} of a request that did not ask for it")
            self._begin(answer)
            if isinstance(answer, StreamingResponse):
                await answer.producer(self)
            elif answer.body:
                self._pieces.append(answer.body)
            self._complete = True
        except Dropped:
            pass
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            _log.exception("handler failed for %s %r", request.method, request.raw_path)
            if not self.status:
                self._begin(Response(500))
                self._complete = True

    def _begin(self, answer: Response | StreamingResponse) -> None:
        self.header_list = [(name.lower(), value) for name, value in answer.headers]
        self.headers = dict(self.header_list)
        self.status = answer.status
        self._wake()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._server.tasks.discard(task)
        self._server.lost(self)
        if not self._complete and self._error is None:
            self._error = ConnectionResetError(CLOSED)
        self._wake()

    async def write(self, data: bytes) -> None:
        """See `messages.BodyWriter`."""
        if data:
            self._pieces.append(data)
            self._size += len(data)
            self._wake()
        while self._size > HIGH_WATER:
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer

    def begin_drain(self) -> None:
        """It is under way, and ends with its answer."""

    def abort(self) -> None:
        """Cancels the handler: there is no answer, or no rest of it."""
        self._task.cancel()

    # For the client.

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    async def head(self) -> None:
        """Waits for status and headers."""
        while not self.status:
            await self._wait()

    async def body(self) -> bytes:
        """Waits for the whole body."""
        pieces = []
        while piece := await self.chunk():
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunk(self) -> bytes:
        """The next piece of the body; b"" at its end."""
        while not self._pieces:
            if self._complete:
                return b""
            await self._wait()
        piece = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)
        return piece

    def expire_in(self, seconds: float) -> None:
        """Whoever waits for more of this answer after so long gets TimeoutError."""
        self._expiry = asyncio.get_running_loop().call_later(seconds, self._expire, seconds)

    def _expire(self, seconds: float) -> None:
        if self._error is None:
            self._error = TimeoutError(f"the answer had not ended after {seconds:g} s")
        self.abort()
        self._wake()

    def close(self) -> None:
        """Nobody waits for its answer any more: a handler that is not done is cancelled."""
        if self._expiry is not None:
            self._expiry.cancel()
        self._task.cancel()
