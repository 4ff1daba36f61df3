"""The body of a request that is handled before all of it is there: read only when somebody asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus


class BodyError(Exception):
    """A body that cannot be had: 413 too large (`limit` has the bytes there may be), 408 too slow, 400 badly framed."""

    def __init__(self, status: int, limit: int) -> None:
        super().__init__(f"{status} {HTTPStatus(status).phrase}")
        self.status, self.limit = status, limit


class IncomingBody:
    """Filled by the parser, read once by the handler. Nothing is read from the peer before `read`, which calls `on_wanted`.

    What is beyond the limit is dropped, so that it never takes more than that.
    """

    def __init__(self, limit: int, on_wanted: Callable[[], None]) -> None:
        self._limit = limit
        self._wanted = on_wanted
        self._data = bytearray()
        self._error: int | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.complete = False
        self.asked = False

    def __len__(self) -> int:
        return len(self._data)

    @property
    def failed(self) -> bool:
        """Whether it can never be had."""
        return self._error is not None

    def announce(self, size: int) -> None:
        """Content-Length: what is too large is never asked for."""
        if size > self._limit:
            self.fail(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def feed(self, data: bytes) -> None:
        """Some more of it."""
        if len(self._data) + len(data) > self._limit:
            self.fail(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif self._error is None:
            self._data += data

    def finish(self) -> None:
        """That was all."""
        self.complete = True
        self._wake()

    def fail(self, status: int) -> None:
        """There will be no more of it, and nobody gets what there is."""
        if self._error is None:
            self._error = status
            self._data = bytearray()
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self) -> bytes:
        """All of it. BodyError."""
        self.asked = True
        if self._error is None and not self.complete:
            self._wanted()
        while self._error is None and not self.complete:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._error is not None:
            raise BodyError(self._error, self._limit)
        return self.taken()

    def taken(self) -> bytes:
        """All of a complete one; it is kept here no longer."""
        data = bytes(self._data)
        self._data = bytearray()
        return data
