"""WebSocket (RFC 6455) over an upgraded connection: messages in binary or text, pings answered, fragments joined."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import struct

from .duplex import Buffered, Duplex
from .http import Request

MAX_MESSAGE = 32 << 20
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10


class ProtocolError(ConnectionError):
    """The peer does not speak WebSocket as the RFC has it."""


def asked(request: Request) -> bool:
    """Whether the request wants to become a WebSocket."""
    connection = (request.header("connection") or "").lower()
    return (request.header("upgrade") or "").lower() == "websocket" and "upgrade" in connection


def offered_protocols(request: Request) -> list[str]:
    """Sec-WebSocket-Protocol, in the client's order."""
    return [
        p.strip() for value in request.header_values("sec-websocket-protocol") for p in value.split(",") if p.strip()
    ]


def handshake_headers(request: Request, protocol: str) -> list[tuple[str, str]]:
    """Headers of the 101 answer; ProtocolError where the request's are wrong."""
    key, version = request.header("sec-websocket-key") or "", request.header("sec-websocket-version")
    if version != "13" or not key:
        raise ProtocolError("a WebSocket needs Sec-WebSocket-Version: 13 and Sec-WebSocket-Key")
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    headers = [("Sec-WebSocket-Accept", base64.b64encode(digest).decode())]
    return [*headers, ("Sec-WebSocket-Protocol", protocol)] if protocol else headers


def _mask(data: bytes, key: bytes) -> bytes:
    size = len(data)
    repeated = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")


class WebSocket:
    """One end; `client` masks what it sends, as the RFC demands of clients."""

    def __init__(self, stream: Duplex, client: bool = False) -> None:
        self._stream, self._client = stream, client
        self._input = Buffered(stream)
        self._closed = False

    async def receive(self) -> bytes | None:
        """The next message's bytes, None at the end. ProtocolError for what is no WebSocket."""
        message = bytearray()
        while True:
            try:
                final, opcode, payload = await self._frame()
            except ProtocolError:
                raise
            except ConnectionError:
                return None
            if opcode == _PING:
                await self._send(_PONG, payload)
            elif opcode == _CLOSE:
                await self.close()
                return None
            elif opcode in (_TEXT, _BINARY, _CONTINUATION):
                message += payload
                if len(message) > MAX_MESSAGE:
                    await self.close(1009)
                    raise ProtocolError(f"message of more than {MAX_MESSAGE} bytes")
                if final:
                    return bytes(message)
            elif opcode != _PONG:
                await self.close(1002)
                raise ProtocolError(f"unknown opcode {opcode}")

    async def send(self, data: bytes, text: bool = False) -> None:
        """One message."""
        await self._send(_TEXT if text else _BINARY, data)

    async def close(self, code: int = 1000) -> None:
        """Says goodbye; the connection itself is closed by its owner."""
        if not self._closed:
            with contextlib.suppress(ConnectionError):  # it is gone already, which is what was wanted
                await self._send(_CLOSE, struct.pack("!H", code))
            self._closed = True

    async def _frame(self) -> tuple[bool, int, bytes]:
        first, second = await self._input.exactly(2)
        if first & 0x70:
            raise ProtocolError("reserved bits are set, but no extension was agreed")
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self._input.exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self._input.exactly(8))
        if size > MAX_MESSAGE:
            await self.close(1009)
            raise ProtocolError(f"frame of {size} bytes, more than {MAX_MESSAGE}")
        masked = bool(second & 0x80)
        if masked == self._client:
            raise ProtocolError("clients must mask their frames, servers must not")
        key = await self._input.exactly(4) if masked else b""
        payload = await self._input.exactly(size)
        return bool(first & 0x80), first & 0x0F, _mask(payload, key) if masked else payload

    async def _send(self, opcode: int, data: bytes) -> None:
        if self._closed:
            raise ConnectionResetError("the WebSocket is closed")
        size = len(data)
        flag = 0x80 if self._client else 0
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, flag | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x80 | opcode, flag | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, flag | 127, size)
        if self._client:
            key = os.urandom(4)
            await self._stream.write(head + key + _mask(data, key))
        else:
            await self._stream.write(head + data)


class MessageDuplex:
    """A WebSocket's binary messages as one stream of bytes (SPDY tunnelled in WebSocket, for port-forward)."""

    def __init__(self, socket: WebSocket, stream: Duplex) -> None:
        self._socket, self._stream = socket, stream

    async def read(self) -> bytes:
        """The next bytes, b"" at the end; empty messages are skipped."""
        while True:
            message = await self._socket.receive()
            if message is None:
                return b""
            if message:
                return message

    async def write(self, data: bytes) -> None:
        """One message."""
        await self._socket.send(data)

    def close(self) -> None:
        """Ends the connection below."""
        self._stream.close()
