"""Large answers are compressed where the client wants that (upstream: endpoints/handlers/responsewriters, deferredResponseWriter)."""

from __future__ import annotations

import asyncio
import gzip
import struct
import zlib
from collections.abc import Awaitable
from dataclasses import replace

from pybernetes.wire.http import BodyWriter, Request, Response, StreamingResponse, UpgradeResponse

from ..endpoints.routes import Answer
from .exchange import Exchange, Handler

GZIP_BYTES = 128 << 10  # smaller answers are not worth it (upstream's defaultGzipThresholdBytes)
GZIP_LEVEL = 1
GZIP_WINDOW = zlib.MAX_WBITS | 16  # zlib writes gzip's head
GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"  # deflate, no name, no time, fastest, of an unknown system
NO_MORE = b"\x03\x00"  # the last block of a deflate stream, empty
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
            packer = _Events(writer)
            await produce(packer)
            await packer.finish()

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


class _Events:
    """One gzip stream, of which each piece can be read as soon as it is written, and for which nothing is kept between events: a piece is
    compressed by itself and ends with a sync flush. Not a member of its own: Go's reader gives a member's last bytes only when it has seen
    whether another one follows, which is with the next event.
    """

    def __init__(self, writer: BodyWriter) -> None:
        self._writer = writer
        self._checksum = self._size = 0

    async def write(self, data: bytes) -> None:
        if not data:
            await self._writer.write(data)
            return
        head = b"" if self._size else GZIP_HEAD
        packed = _flushed(data) if len(data) < APART else await asyncio.to_thread(_flushed, data)
        self._checksum = zlib.crc32(data, self._checksum)
        self._size += len(data)
        await self._writer.write(head + packed)

    async def finish(self) -> None:
        """The end, where there was a beginning."""
        if self._size:
            await self._writer.write(NO_MORE + struct.pack("<II", self._checksum, self._size & 0xFFFFFFFF))


def _flushed(data: bytes) -> bytes:
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


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
