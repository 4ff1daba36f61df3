"""A small HTTP/1.1 client on asyncio and httptools: pooled connections, streams, upgrades."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, cast
from urllib.parse import urlsplit

import httptools

from pybernetes.aio.connectionerrors import explained
from pybernetes.pki.contexts import ReloadingContext

Headers = Iterable[tuple[str, str]]

IDLE_SECONDS = 60.0  # shorter than what servers allow, so that a pooled connection is seldom found closed
# How often a busy client looks whether its certificate's file changed; client-go's takes 5 minutes.
FILES_SECONDS = 60.0
CONNECT_SECONDS = 10.0
# Seconds of silence before the first probe, between probes, probes without an answer; milliseconds that sent bytes may go unanswered.
KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 45_000}
# Each has a connection: thousands of tasks must not mean thousands of handshakes. Streams do not count.
REQUESTS_AT_ONCE = 64
BUFFERED_BYTES = 1 << 20  # a stream's reader that is behind by more pauses the connection
# What Go's client repeats. A PUT with a precondition, or a DELETE, that was done and whose answer was lost is refused the second time.
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


class ConnectFailed(ConnectionError):
    """No connection could be made; nothing was sent."""


@dataclass(slots=True)
class Answer:
    """A complete response; header names are lower-cased, the last of repeated ones counts."""

    status: int
    headers: dict[str, str]
    body: bytes


class Reply(Protocol):
    """A response whose head is there; header names are lower-cased."""

    status: int
    headers: dict[str, str]  # the last of repeated ones counts
    header_list: list[tuple[str, str]]  # in order, with repeats

    async def body(self) -> bytes:
        """Waits for the whole body."""
        ...

    async def chunk(self) -> bytes:
        """The next piece of the body; b"" at its end. ConnectionError where it is cut off."""
        ...

    def expire_in(self, seconds: float) -> None:
        """Whoever waits for more of this answer after so long gets TimeoutError. One timer, however many pieces come."""
        ...


class _Connection(asyncio.Protocol):
    """One connection: a response at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.used = 0
        self.idle_since = 0.0
        # Of a client whose context follows files: the one that it was made with.
        self.context: ssl.SSLContext | None = None
        self.closed = False
        self._error: Exception | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._reset()

    def _reset(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.headers: dict[str, str] = {}
        self.header_list: list[tuple[str, str]] = []
        self.chunks: deque[bytes] = deque()
        self.buffered = 0
        self.head_done = False
        self.keep_alive = False
        self.complete = False
        self.upgraded = False
        self.received = False
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received = True
        if self.upgraded:
            self.on_body(data)
        else:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self.upgraded = True
                offset = int(upgrade.args[0])
                if data[offset:]:
                    self.on_body(data[offset:])
            except httptools.HttpParserError as error:
                self._error = ConnectionError(f"malformed response: {error}")
                self.transport.abort()
        self._wake()

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    def _end(self, exc: Exception | None) -> None:
        if not self.closed:
            self.closed = True
            # Without a length the end of the connection is the end of the body.
            if self.head_done and "content-length" not in self.headers and "transfer-encoding" not in self.headers:
                self.complete = True
            elif self._error is None:
                self._error = (
                    exc if isinstance(exc, ConnectionError) else ConnectionResetError("connection closed by the server")
                )
        self._writable.set()
        self._wake()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # Parser events.

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = text
        self.header_list.append((key, text))

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.head_done = self.status >= 200 or self.status == 101
        self.upgraded = self.status == 101
        if self.bodiless and self.head_done:
            self.complete = True

    def on_body(self, body: bytes) -> None:
        self.chunks.append(body)
        self.buffered += len(body)
        if self.buffered > BUFFERED_BYTES and not self._paused and self.streaming:
            self._paused = True
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        if self.head_done and not self.upgraded:
            self.complete = True
            self.keep_alive = (
                self.parser.should_keep_alive()
            )  # known now only: the parser forgets the message after this

    streaming = False
    bodiless = False  # the answer to HEAD: its length is that of another answer

    # For the caller.

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def expire_in(self, seconds: float) -> None:
        """See Reply."""
        self._expiry = asyncio.get_running_loop().call_later(seconds, self._expire, seconds)

    def _expire(self, seconds: float) -> None:
        if self._error is None:
            self._error = TimeoutError(f"the answer had not ended after {seconds:g} s")
        self.transport.abort()
        self._wake()

    def released(self) -> None:
        """Nobody waits for its answer any more."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def begin(self, data: bytes, streaming: bool = False) -> None:
        """Sends a request's bytes."""
        self._reset()
        self.used += 1
        self.streaming = streaming
        self.bodiless = data.startswith(b"HEAD ")
        self.transport.write(data)

    async def head(self) -> None:
        """Waits for the status line and headers."""
        while not self.head_done:
            if self._error is not None or self.closed:
                raise self._error or ConnectionResetError("connection closed by the server")
            await self._wait()

    async def body(self) -> bytes:
        """See Reply."""
        while not self.complete:
            if self._error is not None:
                raise self._error
            await self._wait()
        return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)

    async def chunk(self) -> bytes:
        """See Reply."""
        while not self.chunks:
            if self.complete:
                return b""
            if self._error is not None:
                raise self._error
            await self._wait()
        piece = b"".join(self.chunks)
        self.chunks.clear()
        self.buffered = 0
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        return piece

    async def write(self, data: bytes) -> None:
        """For upgraded connections."""
        if self.closed:
            raise self._error or ConnectionResetError("connection closed by the server")
        self.transport.write(data)
        await self._writable.wait()

    @property
    def reusable(self) -> bool:
        """Whether another request can follow."""
        return self.complete and not self.closed and self.keep_alive and not self.transport.is_closing()


class Stream:
    """A response whose body is read piece by piece."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.status = reply.status
        self.headers = reply.headers
        self.header_list = reply.header_list  # in order, with repeats

    def expire_in(self, seconds: float) -> None:
        """TimeoutError for who waits for a piece after so long."""
        self._reply.expire_in(seconds)

    async def piece(self) -> bytes:
        """The next bytes; b"" at the end. ConnectionError where it is cut off."""
        return await self._reply.chunk()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._reply.chunk():
            yield piece

    async def read(self) -> bytes:
        """All that is left."""
        return b"".join([piece async for piece in self])


class Duplex:
    """An upgraded connection: bytes both ways."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self.headers = connection.headers

    async def read(self) -> bytes:
        """The next bytes, b"" at the end."""
        try:
            return await self._connection.chunk()
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        """Sends, waiting while the peer is slow."""
        await self._connection.write(data)

    def write_eof(self) -> None:
        """Ends this side's bytes; the other side's still come."""
        if not self._connection.closed and self._connection.transport.can_write_eof():
            self._connection.transport.write_eof()

    def close(self) -> None:
        """Ends the connection; again is no error (after a second close, Python 3.11.2 cannot abort a TLS transport)."""
        if not self._connection.transport.is_closing():
            self._connection.transport.close()


def _keep_alive(transport: asyncio.Transport) -> None:
    """Has the kernel notice where the network to the server is cut, also while a watch has nothing to tell.

    After as long as client-go takes to, whose HTTP/2 connections are asked after 30 s of silence and given up 15 s later.
    """
    peer = transport.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEP_ALIVE.items():
        if hasattr(socket, option):  # Linux has all of them
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class _Unlimited:
    """In place of a time-out that there is none of: every request has some of these."""

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


_UNLIMITED = _Unlimited()


def limited(seconds: float | None) -> AbstractAsyncContextManager[object]:
    """asyncio.timeout."""
    return _UNLIMITED if seconds is None else asyncio.timeout(seconds)


class HTTPClient:
    """Requests to one server. Safe for many tasks at once; `close` when done.

    With `unix_socket` (a path) or `address` (host, port) the connections are made there, and the URL gives only the Host header and the
    name that the certificate must have. With `dial` they are made by calling it with a protocol, without a socket.
    """

    def __init__(
        self,
        base_url: str,
        ssl_context: ssl.SSLContext | None = None,
        server_name: str = "",
        unix_socket: str = "",
        address: tuple[str, int] | None = None,
        dial: Callable[[asyncio.Protocol], object] | None = None,
    ) -> None:
        self._dial = dial
        self._unix_socket = unix_socket
        url = urlsplit(base_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"server {base_url!r} is not a URL such as https://127.0.0.1:6443")
        self.host = url.hostname
        self.port = url.port or (443 if url.scheme == "https" else 80)
        self._prefix = url.path.rstrip("/")
        self._ssl = (ssl_context or ssl.create_default_context()) if url.scheme == "https" else None
        self._server_name = (server_name or self.host) if self._ssl else None  # the certificate must have it
        self._address = address or (self.host, self.port)
        authority = f"[{self.host}]" if ":" in self.host else self.host
        self._authority = f"{authority}:{self.port}"
        # Connections made with files that have changed since are not reused, as of client-go's cert_rotation.
        self._reloading = self._ssl if isinstance(self._ssl, ReloadingContext) else None
        self._look_at = 0.0 if self._reloading is not None else math.inf
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()

    async def request(
        self,
        method: str,
        target: str,
        headers: Headers = (),
        body: bytes = b"",
        timeout: float | None = None,
        repeatable: bool = False,
        answer_timeout: float | None = None,
    ) -> Answer:
        """One request; ConnectionError where no whole answer came, TimeoutError after `timeout` seconds.

        `answer_timeout` leaves out the time that the request waits here because so many others are under way.
        `repeatable`: it may be sent again where a pooled connection turns out to be closed, as is always done for GET and the like.
        """
        async with limited(timeout), self._slots, limited(answer_timeout):
            repeatable = repeatable or method in REPEATABLE
            async with self._begun(method, target, headers, body, False, repeatable) as reply:
                return Answer(reply.status, reply.headers, await reply.body())

    @asynccontextmanager
    async def stream(
        self, method: str, target: str, headers: Headers = (), body: bytes = b"", head_timeout: float | None = None
    ) -> AsyncIterator[Stream]:
        """As request, but the body is read as it comes; TimeoutError where it has not begun after `head_timeout` seconds."""
        async with self._begun(
            method, target, headers, body, True, method in REPEATABLE, head_timeout=head_timeout
        ) as reply:
            yield Stream(reply)

    async def upgrade(
        self, method: str, target: str, headers: Headers, protocol: str, body: bytes = b""
    ) -> Duplex | Answer:
        """Asks for another protocol; an Answer where the server refuses."""
        connection = await self._connect()
        request_headers = [("Connection", "Upgrade"), ("Upgrade", protocol), *headers]
        try:
            connection.begin(self._encode(method, target, request_headers, body), streaming=True)
            await connection.head()
            if connection.upgraded:
                return Duplex(connection)
            answer = Answer(connection.status, connection.headers, await connection.body())
        except BaseException:
            connection.transport.abort()
            raise
        connection.transport.close()
        return answer

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return len(self._open) > len(self._idle)

    @property
    def context(self) -> ssl.SSLContext | None:
        """What the next request's connection was made with; another one where files have changed. None: there are no files to follow."""
        return self._latest()

    def look_at_files(self) -> None:
        """Requests after this use a certificate that has just been replaced; streams under way go on with theirs."""
        self._look_at = time.monotonic() + FILES_SECONDS
        if self._reloading is not None:
            self._reloading.current()

    def drop_idle(self) -> None:
        """Ends the connections that wait for a request."""
        for connection in self._idle:
            connection.transport.abort()
            self._open.discard(connection)
        self._idle.clear()

    async def close(self) -> None:
        """Ends every connection, also those with a request under way."""
        for connection in list(self._open):
            connection.transport.abort()
        self._open.clear()
        self._idle.clear()
        await asyncio.sleep(0)

    @asynccontextmanager
    async def _begun(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: bytes,
        streaming: bool,
        repeatable: bool,
        head_timeout: float | None = None,
    ) -> AsyncIterator[Reply]:
        data = self._encode(method, target, headers, body)
        connection = self._pooled() or await self._connect()
        try:
            async with limited(head_timeout):
                connection.begin(data, streaming)
                try:
                    await connection.head()
                except ConnectionError:
                    # A pooled connection that the server closed meanwhile; what may be repeated is, once.
                    if connection.used == 1 or connection.received or not repeatable:
                        raise
                    self._open.discard(connection)
                    try:
                        connection = await self._connect()
                    except ConnectFailed as failed:  # which would say that nothing was sent
                        raise ConnectionResetError(str(failed)) from failed
                    connection.begin(data, streaming)
                    await connection.head()
            yield connection
        finally:
            self._release(connection)

    def _pooled(self) -> _Connection | None:
        now = time.monotonic()
        if now > self._look_at:
            self.look_at_files()
        oldest = now - IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            alive = not connection.closed and not connection.transport.is_closing()
            if alive and connection.idle_since > oldest and connection.context is self._latest():
                return connection
            connection.transport.abort()
            self._open.discard(connection)
        return None

    def _latest(self) -> ssl.SSLContext | None:
        return self._reloading.latest if self._reloading is not None else None

    def _release(self, connection: _Connection) -> None:
        connection.released()
        if connection.reusable and connection.context is self._latest():
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            connection.transport.abort()
            self._open.discard(connection)

    async def _connect(self) -> _Connection:
        if self._dial is not None:
            connection = _Connection()
            self._dial(connection)
            self._open.add(connection)
            return connection
        loop = asyncio.get_running_loop()
        context = self._reloading.current() if self._reloading is not None else None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                if self._unix_socket:
                    _, connection = await loop.create_unix_connection(_Connection, self._unix_socket)
                else:
                    _, connection = await loop.create_connection(
                        _Connection, *self._address, ssl=context or self._ssl, server_hostname=self._server_name
                    )
        except TimeoutError as error:
            where = self._unix_socket or self._authority
            raise ConnectFailed(f"no answer from {where} in {CONNECT_SECONDS:.0f} s") from error
        except OSError as error:
            text = explained(error, datetime.now(UTC))
            raise ConnectFailed(f"cannot connect to {self._unix_socket or self._authority}: {text}") from error
        except UnicodeError:  # what no name can be in DNS: a label of over 63 bytes, or an empty one
            nobody = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            raise ConnectFailed(f"cannot connect to {self._authority}: {nobody}") from nobody
        if not self._unix_socket:
            _keep_alive(connection.transport)
            connection.context = context
        self._open.add(connection)
        return connection

    def _encode(self, method: str, target: str, headers: Headers, body: bytes) -> bytes:
        lines, headers = [f"{method} {self._prefix}{target} HTTP/1.1"], tuple(headers)
        if not any(name.lower() == "host" for name, _ in headers):  # proxies say what their client asked for
            lines.append(f"Host: {self._authority}")
        lines.extend(f"{name}: {value}" for name, value in headers)
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines)
        if "\r\n\r\n" in head or head.count("\r\n") != len(lines) - 1:
            raise ValueError("a header or the target holds a line break")
        return head.encode("latin-1") + b"\r\n\r\n" + body
