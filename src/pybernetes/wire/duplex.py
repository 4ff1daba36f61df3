"""A stream of bytes both ways, as upgraded connections offer it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from pybernetes.aio.ending import end

READ_BYTES = 64 << 10


class Duplex(Protocol):
    """wire.http.Upgraded and client.http.Duplex."""

    async def read(self) -> bytes:
        """The next bytes, b"" at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Sends, waiting while the peer is slow."""
        ...

    def close(self) -> None:
        """Ends it."""
        ...


class SocketDuplex:
    """Over a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        try:
            return await self._reader.read(READ_BYTES)
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()


class Buffered:
    """Exact reads over a Duplex."""

    def __init__(self, stream: Duplex) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def exactly(self, count: int) -> bytes:
        """So many bytes; ConnectionResetError where the stream ends before."""
        while len(self._buffer) < count:
            piece = await self._stream.read()
            if not piece:
                raise ConnectionResetError("the stream ended in the middle of a frame")
            self._buffer += piece
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data


class Pipe:
    """Bytes from one task to another, bounded: `feed` waits while the reader is behind."""

    def __init__(self, limit: int = 256 << 10) -> None:
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0
        self._ended = False
        self._changed = asyncio.Condition()

    async def feed(self, data: bytes) -> None:
        """Adds bytes; dropped after `end`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._size < self._limit or self._ended)
            if data and not self._ended:
                self._chunks.append(data)
                self._size += len(data)
                self._changed.notify_all()

    async def end(self) -> None:
        """No more bytes: the reader gets what is left, then b""."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def read(self) -> bytes:
        """All that is there, waiting for some; b"" at the end."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._chunks or self._ended)
            data = b"".join(self._chunks)
            self._chunks.clear()
            self._size = 0
            self._changed.notify_all()
            return data


async def join(one: Duplex, other: Duplex) -> None:
    """Copies both ways until either side ends, then closes both (a proxy's business)."""

    async def copy(source: Duplex, target: Duplex) -> None:
        try:
            while data := await source.read():
                await target.write(data)
        except ConnectionError:
            return

    tasks = {asyncio.ensure_future(copy(one, other)), asyncio.ensure_future(copy(other, one))}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*tasks)
        one.close()
        other.close()
