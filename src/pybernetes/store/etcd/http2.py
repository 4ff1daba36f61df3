"""One HTTP/2 connection to a gRPC server (RFC 9113; gRPC's "gRPC over HTTP2"): frames, flow control, header blocks.

What a client of etcd needs and no more: no priorities, no push, no dynamic header table (it is announced as empty, so that equal header
blocks mean equal headers and are read once). What is sent in one turn of the loop goes out in few writes: calls that were begun together cost
one system call here, and the server wakes up once for them.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from enum import IntEnum
from typing import cast
from urllib.parse import unquote

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ACK = END_STREAM = 1
END_HEADERS, PADDED, PRIORITY = 4, 8, 32
HEADER_TABLE_SIZE, ENABLE_PUSH, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 4, 5
CANCEL = 8

DEFAULT_WINDOW = 65_535
OUR_WINDOW = 16 << 20  # bytes under way to us, of one stream and of all: a page of a list fits
OUR_FRAME = 1 << 20
MAX_HEADER_BLOCK = 64 << 10
MAX_MESSAGE = 512 << 20  # of one answer; etcd bounds requests, pages of a list are ours to bound
MAX_STREAM_ID = (1 << 31) - 1
TOGETHER = 8  # frames of one write: the server begins with them while the rest of a long turn goes on here
KNOWN_BLOCKS = 64  # header blocks that are kept, read
HEAD = struct.Struct(">IBI")  # of a frame: its length (24 bits) and type, flags, stream
PREFIX = struct.Struct(">BI")  # of a gRPC message: whether it is compressed, and its length

Metadata = tuple[tuple[bytes, bytes], ...]
ETCD_METADATA: Metadata = ((b"hasleader", b"true"),)  # etcd is to answer only while it has a leader

OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, OUT_OF_RANGE, UNAVAILABLE = 0, 1, 2, 4, 8, 11, 14


class Frame(IntEnum):
    """Types of frames."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


DATA, HEADERS = int(Frame.DATA), int(Frame.HEADERS)  # nearly all there are, and cheaper to compare with


class RPCError(Exception):
    """A call failed: gRPC's status. `unsent`: for certain nobody has done anything about it."""

    def __init__(self, status: int, message: str, *, unsent: bool = False) -> None:
        super().__init__(message)
        self.status, self.message, self.unsent = status, message, unsent


GOOD_END = RPCError(OK, "")  # of streams; it is never raised


class Stream:
    """One call: messages go out with `send`, come in with `receive`."""

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection, self.number = connection, number
        self.window = connection.peer_window  # that we may send
        self.unsent: deque[bytes] = deque()
        self.half_closed = False  # when `unsent` is gone
        self._buffer = bytearray()
        self._messages: deque[bytes] = deque()
        self._taken = 0  # bytes that the reader has had, not yet told to the peer
        self._waiter: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None  # for who only wants the end
        self.error: RPCError | None = None  # the end, OK as well

    def send(self, message: bytes, *, last: bool = False) -> None:
        """Puts it on its way, as soon as the peer has room for it."""
        if self.error is None:
            self.unsent.append(PREFIX.pack(0, len(message)) + message)
            self.half_closed = last
            self._connection.flush(self)

    async def receive(self) -> bytes | None:
        """The next message; None at a good end, RPCError at another."""
        while not self._messages:
            if self.error is not None:
                if self.error.status == OK:
                    return None
                raise self.error
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message = self._messages.popleft()
        self._taken += len(message) + PREFIX.size
        if self._taken > OUR_WINDOW // 4 and self.error is None:
            self._connection.give_window(self.number, self._taken)
            self._taken = 0
        return message

    async def answer(self, seconds: float) -> bytes:
        """The message of a call that has just one, once it has ended well; RPCError at another end, TimeoutError where there is none."""
        if self.error is None:
            loop = asyncio.get_running_loop()
            ended = self._ended = loop.create_future()
            timer = loop.call_later(seconds, _time_out, ended)
            try:
                await ended
            finally:
                timer.cancel()
                self.cancel()
        if self.error is not None and self.error.status != OK:
            raise self.error
        if not self._messages:
            raise RPCError(UNKNOWN, "an empty answer")
        return self._messages.popleft()

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        if self.error is None:
            self._connection.reset(self)

    def take(self, data: bytes | memoryview) -> None:
        """Bytes of the peer's."""
        buffer = self._buffer
        if (
            not buffer
            and len(data) >= PREFIX.size
            and data[0] == 0
            and PREFIX.unpack_from(data)[1] == len(data) - PREFIX.size
        ):
            self._messages.append(bytes(data[PREFIX.size :]))  # one whole message, as most are
            self._wake()
            return
        buffer += data
        while len(buffer) >= PREFIX.size:
            compressed, length = PREFIX.unpack_from(buffer)
            if compressed or length > MAX_MESSAGE:
                self._connection.reset(self)
                self.end(RPCError(UNKNOWN, "the answer is compressed, or too large"))
                return
            whole = PREFIX.size + length
            if len(buffer) < whole:
                if whole > OUR_WINDOW // 2:  # it needs more than a window: the reader cannot ask for it
                    self._connection.give_window(self.number, len(data))
                    self._taken -= len(data)
                break
            self._messages.append(bytes(buffer[PREFIX.size : whole]))
            del buffer[:whole]
        self._wake()

    def end(self, error: RPCError) -> None:
        """The last that is heard of it."""
        if self.error is None:
            self.error = error
            self.unsent.clear()
            self._wake()
            if self._ended is not None and not self._ended.done():
                self._ended.set_result(None)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Connection(asyncio.Protocol):
    """Between `connection_made` and `closed`. Calls are `Stream`s; when it breaks each of them ends with UNAVAILABLE."""

    def __init__(self, authority: str, *, tls: bool, metadata: Metadata = ETCD_METADATA) -> None:
        """`metadata` goes with each call."""
        self._authority, self._tls, self._metadata = authority, tls, metadata
        self._blocks: dict[str, bytes] = {}  # by path
        self._transport: asyncio.Transport | None = None
        self._unwritten: list[bytes] = []  # frames of this turn of the loop
        self._buffer = bytearray()
        self._streams: dict[int, Stream] = {}
        self._next = 1
        self._window = DEFAULT_WINDOW  # that we may send, in all
        self.peer_window = DEFAULT_WINDOW  # of a new stream
        self._peer_frame = 16_384
        self._received = 0  # bytes of DATA not yet given back to the connection's window
        self._decoder = hpack.Decoder()
        self._read: dict[bytes, dict[bytes, bytes]] = {}
        self._block: tuple[int, int, bytes] | None = None  # stream, flags, what came of it
        self._leaving = False  # the peer takes no new calls
        self._why = "the server goes away"  # what is said of it
        self.pinged: asyncio.Future[None] | None = None
        self.closed = asyncio.get_running_loop().create_future()

    @property
    def usable(self) -> bool:
        """Whether a call can begin."""
        return not self._leaving and self._transport is not None and not self._transport.is_closing()

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        return bool(self._streams)

    def call(self, path: str) -> Stream:
        """Begins one, which sends messages and receives them. RPCError where the connection takes none."""
        if not self.usable or self._next > MAX_STREAM_ID:
            raise RPCError(UNAVAILABLE, f"the connection to {self._authority} is lost: {self._why}", unsent=True)
        block = self._blocks.get(path)
        if block is None:
            block = self._blocks[path] = _request(self._authority, path, self._tls, self._metadata)
        stream = self._streams[self._next] = Stream(self, self._next)
        self._next += 2
        self._frame(HEADERS, END_HEADERS, stream.number, block)
        return stream

    def ping(self) -> asyncio.Future[None]:
        """Done when the peer has answered."""
        if self.pinged is None or self.pinged.done():
            self.pinged = asyncio.get_running_loop().create_future()
            self._frame(Frame.PING, 0, 0, b"pybernet")
        return self.pinged

    def close(self, why: str = "closed") -> None:
        """Ends all calls."""
        if self._transport is not None:
            self._transport.abort()
        self._break(why)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by type
        settings = (
            (HEADER_TABLE_SIZE, 0),
            (ENABLE_PUSH, 0),
            (INITIAL_WINDOW_SIZE, OUR_WINDOW),
            (MAX_FRAME_SIZE, OUR_FRAME),
        )
        self._transport.write(PREFACE)
        self._frame(Frame.SETTINGS, 0, 0, b"".join(struct.pack(">HI", *setting) for setting in settings))
        self.give_window(0, OUR_WINDOW - DEFAULT_WINDOW)

    def data_received(self, data: bytes) -> None:
        buffer: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            buffer = self._buffer
        start, size = 0, len(buffer)
        try:
            while size - start >= HEAD.size:
                length_and_kind, flags, number = HEAD.unpack_from(buffer, start)
                length = length_and_kind >> 8
                if length > OUR_FRAME:
                    raise ValueError(f"a frame of {length} bytes")
                end = start + HEAD.size + length
                if size < end:
                    break
                self._take(
                    length_and_kind & 0xFF, flags, number & MAX_STREAM_ID, bytes(buffer[start + HEAD.size : end])
                )
                start = end
        except (ValueError, IndexError, struct.error, hpack.HPACKError) as error:
            self.close(f"the server breaks HTTP/2: {error}")
            return
        if buffer is data:
            self._buffer += data[start:]
        else:
            del self._buffer[:start]

    def eof_received(self) -> None:
        self._break("the server has closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(str(exc) if exc else "the connection was closed")

    # Frames.

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Of a connection that has ended, nothing: uvloop would refuse it."""
        if not self._unwritten:
            asyncio.get_running_loop().call_soon(self._write)
        self._unwritten.append(HEAD.pack(len(payload) << 8 | kind, flags, number) + payload)
        if len(self._unwritten) == TOGETHER:
            self._write()

    def _write(self) -> None:
        frames, self._unwritten = self._unwritten, []
        if frames and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(frames))

    def give_window(self, number: int, size: int) -> None:
        """Lets the peer send so much more."""
        self._frame(Frame.WINDOW_UPDATE, 0, number, size.to_bytes(4, "big"))

    def reset(self, stream: Stream) -> None:
        """Tells the peer that a call is of no interest any more."""
        if self._streams.pop(stream.number, None) is not None:
            self._frame(Frame.RST_STREAM, 0, stream.number, CANCEL.to_bytes(4, "big"))
        stream.end(RPCError(CANCELLED, "cancelled"))

    def flush(self, stream: Stream) -> None:
        """Sends as much as there is room for."""
        while stream.unsent:
            data = stream.unsent[0]
            size = min(len(data), self._window, stream.window, self._peer_frame)
            if size <= 0:
                return
            last = size == len(data)
            if last:
                stream.unsent.popleft()
            else:
                stream.unsent[0] = data[size:]
            self._window -= size
            stream.window -= size
            ends = last and stream.half_closed and not stream.unsent
            self._frame(DATA, END_STREAM if ends else 0, stream.number, data if last else data[:size])

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block is not None and kind != Frame.CONTINUATION:
            raise ValueError("a header block is not ended")
        if kind == DATA:
            self._take_data(flags, number, payload)
        elif kind == HEADERS:
            payload = _unpadded(flags, payload)
            self._take_block(flags, number, payload[5:] if flags & PRIORITY else payload)
        else:
            self._take_other(kind, flags, number, payload)

    def _take_other(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        match kind:
            case Frame.CONTINUATION:
                if self._block is None or self._block[0] != number:
                    raise ValueError("a header block goes on that never began")
                number, began, block = self._block
                self._take_block(flags & END_HEADERS | began & ~END_HEADERS, number, block + payload)
            case Frame.RST_STREAM:
                self._finish(
                    number, RPCError(UNAVAILABLE, f"the server ended the call ({int.from_bytes(payload, 'big')})")
                )
            case Frame.SETTINGS:
                if not flags & ACK:
                    self._take_settings(payload)
            case Frame.PING:
                if not flags & ACK:
                    self._frame(Frame.PING, ACK, 0, payload)
                elif self.pinged is not None and not self.pinged.done():
                    self.pinged.set_result(None)
            case Frame.GOAWAY:
                self._leaving = True
                last = int.from_bytes(payload[:4], "big") & MAX_STREAM_ID
                for later in [one for one in self._streams if one > last]:
                    self._finish(later, RPCError(UNAVAILABLE, "the server goes away", unsent=True))
            case Frame.WINDOW_UPDATE:
                self._take_window(number, int.from_bytes(payload, "big") & MAX_STREAM_ID)

    def _take_data(self, flags: int, number: int, payload: bytes) -> None:
        self._received += len(payload)
        if self._received > OUR_WINDOW // 4:
            self.give_window(0, self._received)
            self._received = 0
        stream = self._streams.get(number)
        if stream is not None:
            stream.take(_unpadded(flags, payload))
        if flags & END_STREAM:
            self._finish(number, RPCError(UNKNOWN, "the server ended the call without a status"))

    def _take_block(self, flags: int, number: int, block: bytes) -> None:
        if len(block) > MAX_HEADER_BLOCK:
            raise ValueError("a header block is too large")
        if not flags & END_HEADERS:
            self._block = number, flags, block
            return
        self._block = None
        headers = self._headers(block)
        status = headers.get(b"grpc-status")
        if status == b"0":
            self._finish(number, GOOD_END)
        elif status is not None:
            self._finish(number, RPCError(int(status), unquote(headers.get(b"grpc-message", b"").decode())))
        elif headers.get(b":status", b"200") != b"200":
            self._finish(number, RPCError(UNAVAILABLE, f"the server answers {headers[b':status'].decode()}"))
        elif flags & END_STREAM:
            self._finish(number, RPCError(UNKNOWN, "the server ended the call without a status"))

    def _headers(self, block: bytes) -> dict[bytes, bytes]:
        headers = self._read.get(block)
        if headers is None:
            headers = {_bytes(name): _bytes(value) for name, value in self._decoder.decode(block, raw=True)}
            if self._decoder.header_table_size == 0 and len(self._read) < KNOWN_BLOCKS:
                self._read[block] = headers
        return headers

    def _take_settings(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", payload):
            if name == INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.window += value - self.peer_window
                self.peer_window = value
            elif name == MAX_FRAME_SIZE:
                self._peer_frame = value
        self._frame(Frame.SETTINGS, ACK, 0, b"")
        self._flush_all()

    def _take_window(self, number: int, size: int) -> None:
        if number == 0:
            self._window += size
            self._flush_all()
        elif (stream := self._streams.get(number)) is not None:
            stream.window += size
            self.flush(stream)

    def _flush_all(self) -> None:
        for stream in tuple(self._streams.values()):
            self.flush(stream)

    def _finish(self, number: int, error: RPCError) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.end(error)

    def _break(self, why: str) -> None:
        if not self._leaving:
            self._leaving, self._why = True, why
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.end(RPCError(UNAVAILABLE, f"the connection to {self._authority} is lost: {why}"))
        if self.pinged is not None and not self.pinged.done():
            self.pinged.cancel()
        if not self.closed.done():
            self.closed.set_result(None)


def _time_out(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_exception(TimeoutError())


def _bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _unpadded(flags: int, payload: bytes) -> bytes:
    return payload[1 : len(payload) - payload[0]] if flags & PADDED else payload


def _text(text: bytes) -> bytes:
    """A string of a header block, without Huffman's code."""
    if len(text) < 127:
        return bytes((len(text),)) + text
    rest, out = len(text) - 127, bytearray(b"\x7f")
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out) + text


def _request(authority: str, path: str, tls: bool, metadata: Metadata) -> bytes:
    """Of a call: indexed and literal fields of RFC 7541 that touch no table."""
    return b"".join(
        (
            b"\x83",  # :method POST
            b"\x87" if tls else b"\x86",  # :scheme
            b"\x01" + _text(authority.encode()),  # :authority
            b"\x04" + _text(path.encode()),  # :path
            b"\x0f\x10" + _text(b"application/grpc"),  # content-type
            b"\x00" + _text(b"te") + _text(b"trailers"),
            *(b"\x00" + _text(name) + _text(value) for name, value in metadata),
        )
    )
