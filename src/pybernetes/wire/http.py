"""A small HTTP/1.1 server: an asyncio protocol on top of the httptools parser.

`parser` makes requests of bytes, `connection` answers them in order, `messages` is what both and the handler speak of.
"""

from __future__ import annotations

import asyncio
import ssl
import time

from pybernetes.aio.memorytransport import join

from .body import BodyError
from .calls import CLOSED, Call
from .connection import PEER_CERTIFICATE, Connection, Peer
from .messages import (
    BodyWriter,
    Dropped,
    Handler,
    Headers,
    Limits,
    Request,
    Response,
    StreamingResponse,
    Upgraded,
    UpgradeResponse,
)
from .turns import Turns
from .unwritten import Unwritten

IN_PROCESS = ("127.0.0.1", 0)  # the address of a client in the same process


class Server:
    """A listening server; made by `serve`."""

    def __init__(self, handler: Handler, limits: Limits, asks_for_bodies: bool) -> None:
        self.tls = False
        self.handler = handler
        self.limits = limits
        self.asks_for_bodies = asks_for_bodies
        self.stopping = False
        self.connections: set[Peer] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.turns = Turns()
        self.unwritten = Unwritten(limits.unwritten_bytes, time.monotonic)
        self._empty = asyncio.Event()
        self._empty.set()
        self._listener: asyncio.Server

    def opened(self, peer: Peer) -> None:
        """A new connection, or a call."""
        self.connections.add(peer)
        self._empty.clear()

    def lost(self, peer: Peer) -> None:
        """It is gone."""
        self.connections.discard(peer)
        self.unwritten.leave(peer)
        if not self.connections:
            self._empty.set()

    async def _listen(self, host: str, port: int, ssl_context: ssl.SSLContext | None, reuse_port: bool) -> None:
        self.tls = ssl_context is not None
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: Connection(self),
            host,
            port,
            ssl=ssl_context,
            reuse_port=reuse_port or None,
            ssl_handshake_timeout=self.limits.read_seconds if ssl_context is not None else None,
            ssl_shutdown_timeout=self.limits.linger_seconds if ssl_context is not None else None,
        )
        self._port = int(self._listener.sockets[0].getsockname()[1])

    @property
    def port(self) -> int:
        """The bound port."""
        return self._port

    def connect(self, client: asyncio.Protocol, certificate: bytes | None = None) -> asyncio.Transport:
        """A connection within the process, without a socket or TLS; `certificate` (DER) is who the client is."""
        seen = {"peername": IN_PROCESS, PEER_CERTIFICATE: certificate}
        transport, _ = join(client, Connection(self), other_sees=seen)
        return transport

    def call(self, request: Request) -> Call:
        """Begins a request of the same process without a connection: its body is there, it upgrades nothing, and `peer_certificate` is
        whom the handler believes it to be. ConnectionResetError where the server ends."""
        if self.stopping:
            raise ConnectionResetError(CLOSED)
        return Call(self, request)

    def refuse(self) -> None:
        """Stop listening, and close connections as soon as nothing is under way on them."""
        self.stopping = True
        self._listener.close()
        for connection in list(self.connections):
            connection.begin_drain()

    async def stop(self, grace: float | None = None) -> None:
        """Stop listening, let requests finish for `grace` seconds, then cancel what is left."""
        grace = self.limits.drain_seconds if grace is None else grace
        self.refuse()
        try:
            await asyncio.wait_for(self._empty.wait(), grace)
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
            await self._empty.wait()
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=max(grace, 1.0))
        await self._listener.wait_closed()


async def serve(
    handler: Handler,
    host: str = "127.0.0.1",
    port: int = 0,
    ssl_context: ssl.SSLContext | None = None,
    limits: Limits | None = None,
    asks_for_bodies: bool = False,
    reuse_port: bool = False,
) -> Server:
    """Listen and answer every request with `handler`.

    `asks_for_bodies`: the handler gets requests before their bodies are there, and reads what it wants with `Request.whole`;
    a connection whose request's body was not read ends with the answer. Else bodies are always there.
    `reuse_port`: other processes may listen there as well, and share the connections.
    """
    server = Server(handler, limits or Limits(), asks_for_bodies)
    await server._listen(host, port, ssl_context, reuse_port)
    return server


__all__ = [
    "PEER_CERTIFICATE",
    "BodyError",
    "BodyWriter",
    "Call",
    "Dropped",
    "Handler",
    "Headers",
    "Limits",
    "Request",
    "Response",
    "Server",
    "StreamingResponse",
    "UpgradeResponse",
    "Upgraded",
    "serve",
]
