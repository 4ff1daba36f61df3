"""Messages of WebSocket protocols: channels in one connection, and one stream of bytes from the server alone.

Upstream: wsstream's Conn (`channel.k8s.io`: a message is a channel's number and bytes) and Reader (`binary.k8s.io`), each in
binary frames, or with base64 in text frames for browsers.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from . import websocket
from .http import BodyWriter, Request, Upgraded, UpgradeResponse
from .websocket import ProtocolError, WebSocket

READER_PROTOCOLS = ("", "binary.k8s.io", "base64.binary.k8s.io")


def is_base64(protocol: str) -> bool:
    """Whether the protocol's messages are text."""
    return "base64." in protocol


def pack(protocol: str, channel: int, data: bytes) -> tuple[bytes, bool]:
    """(a message, whether it is text) of a channel."""
    if is_base64(protocol):
        return str(channel).encode() + base64.b64encode(data), True
    return bytes((channel,)) + data, False


def unpack(protocol: str, message: bytes) -> tuple[int, bytes]:
    """(channel, bytes) of a message; the channel is -1 for an empty one. ProtocolError for what is no base64."""
    if not message:
        return -1, b""
    if not is_base64(protocol):
        return message[0], message[1:]
    try:
        return message[0] - ord("0"), base64.b64decode(message[1:], validate=True)
    except binascii.Error as error:
        raise ProtocolError(f"illegal base64 data: {error}") from None


class SocketWriter(BodyWriter):
    """Writes a body as messages: its pieces, or with `lines` each line, as text."""

    def __init__(self, socket: WebSocket, protocol: str = "", lines: bool = False) -> None:
        self._socket, self._base64, self._lines = socket, is_base64(protocol), lines

    async def write(self, data: bytes) -> None:
        """Sends, waiting while the peer is slow."""
        if self._lines:
            for line in data.splitlines():
                await self._socket.send(line, text=True)
        elif data:
            await self._socket.send(base64.b64encode(data) if self._base64 else data, text=self._base64)


def readable(
    request: Request,
    protocols: Sequence[str],
    produce: Callable[[BodyWriter], Awaitable[None]],
    abandoned: Callable[[], None] | None = None,
    lines: bool = False,
) -> UpgradeResponse | None:
    """The answer that sends what `produce` writes; None where none of the client's protocols is spoken.

    What the client sends is dropped. Unless each line is a message, an empty message says that the stream begins.
    """
    protocol = next((p for p in websocket.offered_protocols(request) or [""] if p in protocols), None)
    if protocol is None:
        return None
    spoken = protocol

    async def run(stream: Upgraded) -> None:
        socket = WebSocket(stream)
        dropping = asyncio.ensure_future(_dropped(socket))
        producing = asyncio.ensure_future(_produced(socket, spoken, produce, lines))
        try:
            await asyncio.wait({dropping, producing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (dropping, producing):
                task.cancel()
            await asyncio.gather(dropping, producing, return_exceptions=True)

    return UpgradeResponse("websocket", run, websocket.handshake_headers(request, spoken), abandoned)


async def _dropped(socket: WebSocket) -> None:
    with contextlib.suppress(ConnectionError):
        while await socket.receive() is not None:
            pass


async def _produced(
    socket: WebSocket, protocol: str, produce: Callable[[BodyWriter], Awaitable[None]], lines: bool
) -> None:
    with contextlib.suppress(ConnectionError):
        if not lines:
            await socket.send(b"", text=is_base64(protocol))
        await produce(SocketWriter(socket, protocol, lines))
        await socket.close()
