"""SPDY/3.1 as kubectl and the kubelet speak it (moby/spdystream): streams multiplexed over one upgraded connection.

Server side: the peer opens streams. Flow-control windows are announced but, like spdystream, not enforced on sending; credit for
what was read is given back.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator

from .duplex import Buffered, Duplex, Pipe

VERSION = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FLAG_FIN = 1
MAX_FRAME = (1 << 24) - 1
MAX_HEADERS = 64 << 10  # bytes of one header block, unpacked
MAX_STREAMS = 1024
CHUNK = 32 << 10

# The dictionary of SPDY/3 (draft-mbelshe-httpbis-spdy-00, 2.6.10.1): both ends prime zlib with it.
# fmt: off
_WORDS = (
    "options", "head", "post", "put", "delete", "trace", "accept", "accept-charset", "accept-encoding",
    "accept-language", "accept-ranges", "age", "allow", "authorization", "cache-control", "connection",
    "content-base", "content-encoding", "content-language", "content-length", "content-location", "content-md5",
    "content-range", "content-type", "date", "etag", "expect", "expires", "from", "host", "if-match",
    "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified", "location",
    "max-forwards", "pragma", "proxy-authenticate", "proxy-authorization", "range", "referer", "retry-after",
    "server", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "vary", "via", "warning",
    "www-authenticate", "method", "get", "status",
)
# fmt: on
_TAIL = (
    b"\x00\x00\x00\x06200 OK\x00\x00\x00\x07version\x00\x00\x00\x08HTTP/1.1\x00\x00\x00\x03url\x00\x00\x00\x06public"
    b"\x00\x00\x00\nset-cookie\x00\x00\x00\nkeep-alive\x00\x00\x00\x06origin"
    b"100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    b"203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    b"404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept "
    b"Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,"
    b"application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch"
    b"charset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack("!I", len(w)) + w.encode() for w in _WORDS) + _TAIL


class ProtocolError(ConnectionError):
    """The peer does not speak SPDY/3.1."""


class Stream:
    """One stream that the peer opened. Reading gives b"" after the peer's FIN."""

    def __init__(self, session: Session, number: int, headers: dict[str, str]) -> None:
        self._session, self.number, self.headers = session, number, headers
        self.input = Pipe()
        self._finished = False

    async def read(self) -> bytes:
        """The next bytes, b"" at the end."""
        data = await self.input.read()
        if data:
            await self._session.credit(self.number, len(data))
        return data

    async def write(self, data: bytes) -> None:
        """Sends; ConnectionResetError after `close` or when the session is gone."""
        if self._finished:
            raise ConnectionResetError(f"stream {self.number} is closed")
        for start in range(0, len(data), CHUNK):
            await self._session.send_data(self.number, data[start : start + CHUNK], 0)

    async def finish(self) -> None:
        """Half-close: no more from our side."""
        if not self._finished:
            self._finished = True
            await self._session.send_data(self.number, b"", FLAG_FIN)

    async def reset(self, status: int = 5) -> None:
        """Ends it at once (5: CANCEL)."""
        self._finished = True
        await self.input.end()
        await self._session.send_control(RST_STREAM, 0, struct.pack("!II", self.number, status))


class Session:
    """A connection's streams. `run` reads frames until the end; `accept` gives the streams that the peer opens."""

    def __init__(self, stream: Duplex) -> None:
        self._stream = stream
        self._input = Buffered(stream)
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._streams: dict[int, Stream] = {}
        self._opened: asyncio.Queue[Stream | None] = asyncio.Queue()
        self._last = 0
        self._write_lock = asyncio.Lock()

    async def accept(self) -> AsyncIterator[Stream]:
        """Streams as they are opened, until the session ends."""
        while (opened := await self._opened.get()) is not None:
            yield opened

    async def run(self) -> None:
        """Returns when the peer has gone or said goodbye."""
        try:
            while await self._frame():
                pass
        except ProtocolError:
            await self._goodbye()
            raise
        except ConnectionError:
            return
        finally:
            for stream in self._streams.values():
                await stream.input.end()
            self._opened.put_nowait(None)

    async def _goodbye(self) -> None:
        try:
            await self.send_control(GOAWAY, 0, struct.pack("!II", self._last, 1))
        except ConnectionError:
            return  # nobody listens any more

    async def _frame(self) -> bool:
        word, size = struct.unpack("!II", await self._input.exactly(8))
        flags, size = size >> 24, size & MAX_FRAME
        payload = await self._input.exactly(size)
        if not word & 0x80000000:
            await self._data(word, flags, payload)
            return True
        version, kind = (word >> 16) & 0x7FFF, word & 0xFFFF
        if version != VERSION:
            raise ProtocolError(f"SPDY version {version}, only {VERSION} is spoken here")
        return await self._control(kind, flags, payload)

    async def _data(self, number: int, flags: int, payload: bytes) -> None:
        stream = self._streams.get(number)
        if stream is None:
            await self.send_control(RST_STREAM, 0, struct.pack("!II", number, 2))  # INVALID_STREAM
            return
        await stream.input.feed(payload)
        if flags & FLAG_FIN:
            await stream.input.end()

    async def _control(self, kind: int, flags: int, payload: bytes) -> bool:
        try:
            if kind == SYN_STREAM:
                await self._open(struct.unpack_from("!I", payload)[0] & 0x7FFFFFFF, flags, payload[10:])
            elif kind == HEADERS:
                self._headers(payload[4:])  # the compressor's state must follow, though nothing here needs them
            elif kind == PING:
                await self.send_control(PING, 0, payload[:4])
            elif kind == RST_STREAM:
                await self._forget(struct.unpack_from("!I", payload)[0] & 0x7FFFFFFF)
            elif kind == GOAWAY:
                return False
        except struct.error as error:
            raise ProtocolError(f"truncated control frame {kind}") from error
        return True

    async def _open(self, number: int, flags: int, block: bytes) -> None:
        headers = self._headers(block)
        if number <= self._last or number % 2 == 0 or len(self._streams) >= MAX_STREAMS:
            await self.send_control(RST_STREAM, 0, struct.pack("!II", number, 3))  # REFUSED_STREAM
            return
        self._last = number
        stream = self._streams[number] = Stream(self, number, headers)
        await self.send_control(SYN_REPLY, 0, struct.pack("!I", number) + self._packed({}))
        if flags & FLAG_FIN:
            await stream.input.end()
        self._opened.put_nowait(stream)

    async def _forget(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            await stream.input.end()

    def remove(self, stream: Stream) -> None:
        """Forgets a stream that both sides have done with."""
        self._streams.pop(stream.number, None)

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            data = self._inflate.decompress(block, MAX_HEADERS)
            if self._inflate.unconsumed_tail:
                raise ProtocolError(f"headers of more than {MAX_HEADERS} bytes")
            (count,) = struct.unpack_from("!I", data)
            place, items = 4, list[str]()
            for _ in range(2 * count):
                (size,) = struct.unpack_from("!I", data, place)
                items.append(data[place + 4 : place + 4 + size].decode())
                place += 4 + size
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise ProtocolError(f"malformed headers: {error}") from error
        return dict(zip(items[::2], items[1::2], strict=True))

    def _packed(self, headers: dict[str, str]) -> bytes:
        block = struct.pack("!I", len(headers))
        for name, value in headers.items():
            block += struct.pack("!I", len(name)) + name.encode() + struct.pack("!I", len(value)) + value.encode()
        return self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    async def credit(self, number: int, count: int) -> None:
        """Tells the peer that so many bytes were read: of the stream and of the session."""
        update = struct.pack("!II", number, count)
        await self.send_control(WINDOW_UPDATE, 0, update)
        await self.send_control(WINDOW_UPDATE, 0, struct.pack("!II", 0, count))

    async def send_data(self, number: int, data: bytes, flags: int) -> None:
        """A data frame."""
        async with self._write_lock:
            await self._stream.write(struct.pack("!II", number, flags << 24 | len(data)) + data)

    async def send_control(self, kind: int, flags: int, payload: bytes) -> None:
        """A control frame."""
        head = struct.pack("!II", 0x80000000 | VERSION << 16 | kind, flags << 24 | len(payload))
        async with self._write_lock:
            await self._stream.write(head + payload)

    def close(self) -> None:
        """Ends the connection."""
        self._stream.close()
