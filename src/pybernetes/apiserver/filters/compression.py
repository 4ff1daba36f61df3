"""Large answers are compressed where the client wants that (upstream: endpoints/handlers/responsewriters, deferredResponseWriter)."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Awaitable
from dataclasses import replace

from pybernetes.wire.http import BodyWriter, Request, Response, StreamingResponse, UpgradeResponse

from ..endpoints.routes import Answer
from .exchange import Exchange, Handler

GZIP_BYTES = 128 << 10  # smaller answers are not worth it (upstream's defaultGzipThresholdBytes)
GZIP_LEVEL = 1
GZIP_WINDOW = zlib.MAX_WBITS | 16  # zlib writes gzip's head
APART = 8 << 10  # bytes of events; fewer are compressed sooner than a thread has begun
PIECE = 256 << 10  # bytes of a large list that one turn of the thread compresses


class Compression:
    """With gzip, in a thread: zlib lets go of the interpreter meanwhile."""

    def __call__(self, exchange: Exchange, next: Handler) -> Awaitable[Answer]:
        if not exchange.description.long_running:
            return self._compressed(exchange, next)
        return self._watched(exchange, next) if _watches_list(exchange) else next(exchange)

    @staticmethod
    async def _watched(exchange: Exchange, next: Handler) -> Answer:
        """A watch that begins with a list (upstream: endpoints/handlers/watch.go, the gate WatchListCompression)."""
        answered = await next(exchange)
        if not isinstance(answered, StreamingResponse):
            return answered
        produce = answered.producer

        async def compressed(writer: BodyWriter) -> None:
            await produce(_Members(writer))

        headers = (*answered.headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))
        return replace(answered, producer=compressed, headers=headers)

    @staticmethod
    async def _compressed(exchange: Exchange, next: Handler) -> Answer:
        answered = await next(exchange)
        if isinstance(answered, UpgradeResponse) or (type(answered) is Response and len(answered.body) <= GZIP_BYTES):
            return answered
        headers = tuple(answered.headers)
        if not _accepted(exchange.request) or any(name.lower() == "content-encoding" for name, _ in headers):
            return answered
        headers = (*headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))
        if isinstance(answered, Response):
            return Response(answered.status, headers, await asyncio.to_thread(gzip.compress, answered.body, GZIP_LEVEL))
        produce = answered.producer

        async def compressed(writer: BodyWriter) -> None:
            packer = _Packer(writer)
            await produce(packer)
            await packer.finish()

        return replace(answered, producer=compressed, headers=headers)


class _Members:
    """Compresses each piece as a whole: what is written can be read at once, and nothing is kept between events."""

    def __init__(self, writer: BodyWriter) -> None:
        self._writer = writer

    async def write(self, data: bytes) -> None:
        if not data:
            await self._writer.write(data)
        elif len(data) < APART:
            await self._writer.write(gzip.compress(data, GZIP_LEVEL))
        else:
            await self._writer.write(await asyncio.to_thread(gzip.compress, data, GZIP_LEVEL))


class _Packer:
    """Compresses what passes, in pieces."""

    def __init__(self, writer: BodyWriter) -> None:
        self._writer = writer
        self._zlib = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)
        self._waiting: list[bytes] = []
        self._size = 0

    async def write(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= PIECE:
            await self._pack()

    async def _pack(self) -> None:
        piece = b"".join(self._waiting)
        self._waiting, self._size = [], 0
        await self._writer.write(await asyncio.to_thread(self._zlib.compress, piece))

    async def finish(self) -> None:
        """What is left, and the end."""
        await self._pack()
        await self._writer.write(self._zlib.flush())


def _watches_list(exchange: Exchange) -> bool:
    asked = all(exchange.query.flag(name) for name in ("sendInitialEvents", "allowWatchBookmarks"))
    return asked and exchange.info.verb == "watch" and _accepted(exchange.request)


def _accepted(request: Request) -> bool:
    """Whether the first header names it plainly: what has a quality is another token (upstream: ContentEncodingSupported)."""
    return "gzip" in [token.strip() for token in (request.header("accept-encoding") or "").split(",")]
