"""A small HTTP/1.1 server: an asyncio protocol on top of the httptools parser."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

import httptools

from pybernetes.aio.memorytransport import join

_log = logging.getLogger(__name__)

Headers = tuple[tuple[str, str], ...]

PEER_CERTIFICATE = "peer_certificate"  # extra info of a transport without TLS whose peer is known all the same
IN_PROCESS = ("127.0.0.1", 0)  # the address of a client in the same process

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BAD_VALUE = re.compile(r"[\x00\r\n]")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})
SEPARATE_BYTES = 64 << 10  # larger bodies are not copied to stand behind their headers in one write
# Non-body bytes tolerated for each body byte (chunk framing) beyond the header limit.
_CHUNK_OVERHEAD = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds a server puts on its connections; sizes in bytes, times in seconds."""

    header_bytes: int = 1 << 20
    body_bytes: int = 3 << 20
    idle_seconds: float = 120.0
    read_seconds: float = 60.0
    write_seconds: float = 60.0  # that a peer may take nothing while there is something for it
    linger_seconds: float = 1.0
    drain_seconds: float = 5.0
    pipeline_depth: int = 16
    raw_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """One complete request; header names are lower-cased, repeats are kept in order."""

    method: str
    raw_path: bytes
    query: bytes
    headers: Headers
    body: bytes = b""
    peer_certificate: bytes | None = None

    def header(self, name: str) -> str | None:
        """Return the first value of a header, or None."""
        name = name.lower()
        for key, value in self.headers:  # a generator would take twice as long, and every request asks several times
            if key == name:
                return value
        return None

    def header_values(self, name: str) -> list[str]:
        """Return every value of a header in the order received."""
        name = name.lower()
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True, slots=True)
class Response:
    """A response whose body is known; the server adds the framing headers."""

    status: int = 200
    headers: Iterable[tuple[str, str]] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class StreamingResponse:
    """A response whose body is written by `producer`, which is cancelled on disconnect.

    `abandoned` is called where the producer never is: the peer left before, or wants no body.
    """

    producer: Callable[[BodyWriter], Awaitable[None]]
    status: int = 200
    headers: Iterable[tuple[str, str]] = ()
    abandoned: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class UpgradeResponse:
    """101: the connection becomes a stream of bytes that `run` owns; it is closed when `run` returns.

    Only for requests with `Connection: Upgrade`; `run` is cancelled when the peer is gone. `abandoned` is called where it never runs.
    """

    protocol: str
    run: Callable[[Upgraded], Awaitable[None]]
    headers: Iterable[tuple[str, str]] = ()
    abandoned: Callable[[], None] | None = None

    @property
    def status(self) -> int:
        """Always 101."""
        return HTTPStatus.SWITCHING_PROTOCOLS


Handler = Callable[[Request], Awaitable[Response | StreamingResponse | UpgradeResponse]]


class Upgraded:
    """A connection after the switch of protocols: bytes both ways (client.http.Duplex has the same shape)."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    async def read(self) -> bytes:
        """The next bytes, b"" at the end."""
        return await self._connection.read_raw()

    async def write(self, data: bytes) -> None:
        """Sends, waiting while the peer is slow; ConnectionResetError when it is gone."""
        self._connection.send(data)
        await self._connection.drain()

    def close(self) -> None:
        """Ends the connection after what was written."""
        self._connection.close()


class BodyWriter:
    """Writes the body of a streaming response."""

    def __init__(self, connection: _Connection, chunked: bool) -> None:
        self._connection = connection
        self._chunked = chunked

    async def write(self, data: bytes) -> None:
        """Send some bytes, waiting while the peer is slow; empty data only waits."""
        if data:
            self._connection.send(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        await self._connection.drain()


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A parsed request with what is needed to frame its response."""

    request: Request
    keep_alive: bool
    http_1_0: bool


class _Reject(Exception):
    """Stops the parser with a status to answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _head(status: int, headers: Iterable[tuple[str, str]], framing: Iterable[tuple[str, str]]) -> bytes:
    """Build the status line and header block, refusing anything that could split it."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    lines = [f"HTTP/1.1 {status:d} {reason}"]
    dated = False
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or _BAD_VALUE.search(value):
            raise ValueError(f"invalid response header {name!r}")
        lower = name.lower()
        if lower in _FRAMING:
            continue
        dated = dated or lower == "date"
        lines.append(f"{name}: {value}")
    if not dated:
        lines.append(_date_line(int(time.time())))
    lines.extend(f"{name}: {value}" for name, value in framing)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@functools.lru_cache(1)
def _date_line(second: int) -> str:
    return f"Date: {formatdate(second, usegmt=True)}"


def _wants_close(headers: Iterable[tuple[str, str]]) -> bool:
    return any(name.lower() == "connection" and value.strip().lower() == "close" for name, value in headers)


def _split_target(target: bytes) -> tuple[bytes, bytes]:
    """Split a request target into raw path and query."""
    if target.startswith(b"/"):
        path, _, query = target.partition(b"?")
        return path, query
    if b"://" not in target:
        return target, b""
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        raise _Reject(400) from None
    return url.path or b"/", url.query or b""


class _Connection(asyncio.Protocol):
    """One client connection: parses into a queue that a single task answers in order."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._limits = server.limits
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._peer_certificate: bytes | None = None
        self._queue: deque[_Exchange | int] = deque()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._in_message = False
        self._input_done = False
        self._reading_paused = False
        self._read_timer_armed = False
        self._expects_continue = False
        # After a request to upgrade: what follows it, and who waits for that.
        self._raw: deque[bytes] | None = None
        self._raw_bytes = 0
        self._raw_ended = False
        self._raw_waiter: asyncio.Future[None] | None = None
        self._reset_message()

    def _reset_message(self) -> None:
        self._target = bytearray()
        self._headers: list[tuple[str, str]] = []
        self._header_bytes = 0
        self._headers_done = False
        self._body = bytearray()
        self._overhead = 0

    # Transport events.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._peer_certificate = tls.getpeercert(binary_form=True)
        else:
            self._peer_certificate = transport.get_extra_info(PEER_CERTIFICATE)
        self._server.connections.add(self)
        self._server.empty.clear()
        if self._server.stopping:
            self._transport.abort()
            return
        self._set_timer(self._limits.idle_seconds, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._input_done = True
        self._set_timer(None)
        self._stop_write_timer()
        self._writable.set()
        self._end_raw()
        self._cancel_task()
        self._server.connections.discard(self)
        if not self._server.connections:
            self._server.empty.set()

    def eof_received(self) -> bool:
        self._input_done = True
        if self._raw is not None:
            self._end_raw()
            return not self._server.tls  # an upgraded stream may close one side first
        self._cancel_task()
        return False

    def pause_writing(self) -> None:
        self._writable.clear()
        self._watch_writing(self._transport.get_write_buffer_size())

    def _watch_writing(self, left: int) -> None:
        """Drops a peer that takes nothing for so long; a slow one may take its time."""

        def check() -> None:
            now = self._transport.get_write_buffer_size()
            if now >= left:
                self._transport.abort()
            else:
                self._watch_writing(now)

        self._stop_write_timer()
        self._write_timer = asyncio.get_running_loop().call_later(self._limits.write_seconds, check)

    def resume_writing(self) -> None:
        self._writable.set()
        self._stop_write_timer()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def data_received(self, data: bytes) -> None:
        if self._raw is not None:
            self._receive_raw(data)
            return
        if self._input_done:
            return
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._input_done = True
            self._raw = deque()
            self._receive_raw(data[int(upgrade.args[0]) :])
        except httptools.HttpParserError as error:
            if not self._input_done:
                cause = error.__context__
                self._fail(cause.status if isinstance(cause, _Reject) else 400)
            return
        if self._input_done:
            return
        if not self._in_message:
            self._overhead = 0
            self._read_timer_armed = False
            if self._task is None:
                self._became_idle()
            return
        if self._overhead > self._limits.header_bytes + _CHUNK_OVERHEAD * len(self._body):
            self._fail(431)
            return
        if not self._read_timer_armed:
            self._read_timer_armed = True
            self._set_timer(self._limits.read_seconds, self._read_timed_out)
        if self._task is None:
            self._send_continue()

    # Parser events.

    def on_message_begin(self) -> None:
        overhead = self._overhead
        self._reset_message()
        self._overhead = overhead
        self._in_message = True
        self._set_timer(None)

    def on_url(self, url: bytes) -> None:
        self._count_header(len(url))
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_header(len(name) + len(value) + 4)
        if not self._headers_done:  # trailers are dropped
            self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._headers_done = True
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise _Reject(505)
        hosts = expect = 0
        for name, value in self._headers:
            if name == "host":
                hosts += 1
            elif name == "content-length" and int(value) > self._limits.body_bytes:
                raise _Reject(413)
            elif name == "expect":
                if value.lower() != "100-continue":
                    raise _Reject(417)
                expect = 1
        if hosts > 1 or (not hosts and version == "1.1"):
            raise _Reject(400)
        self._expects_continue = bool(expect) and version == "1.1"

    def on_body(self, body: bytes) -> None:
        self._expects_continue = False
        self._overhead -= len(body)
        if len(self._body) + len(body) > self._limits.body_bytes:
            raise _Reject(413)
        self._body += body

    def on_message_complete(self) -> None:
        path, query = _split_target(bytes(self._target))
        request = Request(
            method=self._parser.get_method().decode("ascii"),
            raw_path=path,
            query=query,
            headers=tuple(self._headers),
            body=bytes(self._body),
            peer_certificate=self._peer_certificate,
        )
        keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        http_1_0 = self._parser.get_http_version() == "1.0"
        self._in_message = False
        self._expects_continue = False
        self._read_timer_armed = False
        self._overhead = 0
        self._reset_message()
        self._set_timer(None)
        if not keep_alive:
            self._input_done = True
        self._enqueue(_Exchange(request, keep_alive, http_1_0))

    # Reading.

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self._limits.header_bytes:
            raise _Reject(431)

    def _enqueue(self, item: _Exchange | int) -> None:
        self._queue.append(item)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
            self._server.tasks.add(self._task)
            self._task.add_done_callback(self._task_done)
        if len(self._queue) >= self._limits.pipeline_depth and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def _fail(self, status: int) -> None:
        """Answer an unusable message in its turn, then close."""
        self._input_done = True
        self._in_message = False
        self._expects_continue = False
        self._set_timer(None)
        self._enqueue(status)

    def _read_timed_out(self) -> None:
        if self._reading_paused:
            self._set_timer(self._limits.read_seconds, self._read_timed_out)
        else:
            self._fail(408)

    def _resume_reading(self) -> None:
        if self._reading_paused and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    def _send_continue(self) -> None:
        if self._expects_continue:
            self._expects_continue = False
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _set_timer(self, delay: float | None, callback: Callable[[], None] | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if delay is not None and callback is not None:
            self._timer = asyncio.get_running_loop().call_later(delay, callback)

    # Upgraded connections.

    def _receive_raw(self, data: bytes) -> None:
        if self._raw is None or not data:
            return
        self._raw.append(data)
        self._raw_bytes += len(data)
        if self._raw_bytes > self._limits.raw_bytes and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        self._wake_raw()

    def _end_raw(self) -> None:
        self._raw_ended = True
        self._wake_raw()

    def _wake_raw(self) -> None:
        if self._raw_waiter is not None and not self._raw_waiter.done():
            self._raw_waiter.set_result(None)

    async def read_raw(self) -> bytes:
        """The next bytes of an upgraded connection, b"" at its end."""
        while not self._raw:
            if self._raw_ended or self._raw is None:
                return b""
            self._raw_waiter = asyncio.get_running_loop().create_future()
            await self._raw_waiter
        data = b"".join(self._raw)
        self._raw.clear()
        self._raw_bytes = 0
        self._resume_reading()
        return data

    def close(self) -> None:
        """Close after flushing."""
        self._close()

    # Answering.

    def send(self, data: bytes) -> None:
        """Hand bytes to the transport unless it is going away."""
        if self._transport.is_closing():
            raise ConnectionResetError("connection closed")
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the transport accepts more bytes."""
        while not self._writable.is_set():
            await self._writable.wait()
        if self._transport.is_closing():
            raise ConnectionResetError("connection closed")

    async def _work(self) -> None:
        while self._queue:
            item = self._queue.popleft()
            if len(self._queue) < self._limits.pipeline_depth:
                self._resume_reading()
            try:
                if isinstance(item, int):
                    self._send_plain(item)
                    self._close(linger=True)
                    return
                keep_alive = await self._answer(item)
            except ConnectionResetError:
                keep_alive = False
            if not keep_alive:
                self._close()
                return
        self._task = None
        if self._in_message:
            self._send_continue()
        else:
            self._became_idle()

    async def _answer(self, exchange: _Exchange) -> bool:
        """Run the handler for one request and write its response; False closes the connection."""
        started = False
        abandoned: Callable[[], None] | None = None
        try:
            response = await self._server.handler(exchange.request)
            if isinstance(response, UpgradeResponse):
                started = True
                abandoned = response.abandoned
                self._switch(response)
                abandoned = None
                await response.run(Upgraded(self))
                return False
            last = self._server.stopping and not self._queue and not self._in_message
            keep_alive = exchange.keep_alive and not last
            headers = tuple(response.headers)
            keep_alive = keep_alive and not _wants_close(headers)
            no_body = exchange.request.method == "HEAD" or response.status in (204, 304)
            framing: list[tuple[str, str]] = []
            if isinstance(response, StreamingResponse):
                abandoned = response.abandoned
                chunked = not exchange.http_1_0
                if not chunked and not no_body:
                    keep_alive = False
                if chunked and response.status not in (204, 304):
                    framing.append(("Transfer-Encoding", "chunked"))
                head = _head(response.status, headers, framing + self._connection_header(exchange, keep_alive))
                self.send(head)
                started = True
                if not no_body:
                    abandoned = None
                    await response.producer(BodyWriter(self, chunked))
                    if chunked:
                        self.send(b"0\r\n\r\n")
            else:
                if response.status not in (204, 304):
                    framing.append(("Content-Length", str(len(response.body))))
                head = _head(response.status, headers, framing + self._connection_header(exchange, keep_alive))
                started = True
                if no_body:
                    self.send(head)
                elif len(response.body) < SEPARATE_BYTES:
                    self.send(head + response.body)
                else:
                    self.send(head)
                    self.send(response.body)
            await self.drain()
            return keep_alive
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            if isinstance(error, ConnectionResetError) and self._transport.is_closing():
                raise
            _log.exception("handler failed for %s %r", exchange.request.method, exchange.request.raw_path)
            if not started:
                self._send_plain(500, body=exchange.request.method != "HEAD")
            return False
        finally:
            if abandoned is not None:
                abandoned()

    def _switch(self, response: UpgradeResponse) -> None:
        if self._raw is None:
            raise RuntimeError(f"upgrade to {response.protocol} of a request that did not ask for it")
        framing = [("Connection", "Upgrade"), ("Upgrade", response.protocol)]
        self.send(_head(101, response.headers, framing))

    @staticmethod
    def _connection_header(exchange: _Exchange, keep_alive: bool) -> list[tuple[str, str]]:
        if not keep_alive:
            return [("Connection", "close")]
        return [("Connection", "keep-alive")] if exchange.http_1_0 else []

    def _send_plain(self, status: int, *, body: bool = True) -> None:
        """Write an error of the server's own, which ends the connection."""
        text = f"{HTTPStatus(status).phrase}\n".encode()
        framing = [("Content-Length", str(len(text))), ("Connection", "close")]
        self.send(_head(status, [("Content-Type", "text/plain; charset=utf-8")], framing) + (text if body else b""))

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._server.tasks.discard(task)
        if task.cancelled():
            self._transport.abort()
        elif (error := task.exception()) is not None:
            _log.error("connection failed", exc_info=error)
            self._transport.abort()

    # Closing.

    def _became_idle(self) -> None:
        if self._server.stopping or self._input_done:
            self._close()
        else:
            self._set_timer(self._limits.idle_seconds, self._close)

    def _cancel_task(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()

    def _close(self, *, linger: bool = False) -> None:
        """Close after flushing; lingering discards input so that the peer can read the answer."""
        self._input_done = True
        self._queue.clear()
        if self._transport.is_closing():
            return
        if linger and not self._server.stopping:
            self._resume_reading()
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._set_timer(self._limits.linger_seconds, self._close)
        else:
            self._transport.close()
            self._set_timer(self._limits.idle_seconds, self._transport.abort)

    def begin_drain(self) -> None:
        """Close now if nothing is under way, else after the current work."""
        if not self._in_message and (self._task is None or self._task.done()):
            self._close()

    def abort(self) -> None:
        """Cancel the handler and drop the connection."""
        self._cancel_task()
        self._transport.abort()


class Server:
    """A listening server; made by `serve`."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self.tls = False
        self.handler = handler
        self.limits = limits
        self.stopping = False
        self.connections: set[_Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.empty = asyncio.Event()
        self.empty.set()
        self._listener: asyncio.Server

    async def _listen(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> None:
        self.tls = ssl_context is not None
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self),
            host,
            port,
            ssl=ssl_context,
            ssl_handshake_timeout=self.limits.read_seconds if ssl_context is not None else None,
        )
        self._port = int(self._listener.sockets[0].getsockname()[1])

    @property
    def port(self) -> int:
        """The bound port."""
        return self._port

    def connect(self, client: asyncio.Protocol, certificate: bytes | None = None) -> asyncio.Transport:
        """A connection within the process, without a socket or TLS; `certificate` (DER) is who the client is."""
        seen = {"peername": IN_PROCESS, PEER_CERTIFICATE: certificate}
        transport, _ = join(client, _Connection(self), other_sees=seen)
        return transport

    async def stop(self, grace: float | None = None) -> None:
        """Stop listening, let requests finish for `grace` seconds, then cancel what is left."""
        grace = self.limits.drain_seconds if grace is None else grace
        self.stopping = True
        self._listener.close()
        for connection in list(self.connections):
            connection.begin_drain()
        try:
            await asyncio.wait_for(self.empty.wait(), grace)
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
            await self.empty.wait()
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=max(grace, 1.0))
        await self._listener.wait_closed()


async def serve(
    handler: Handler,
    host: str = "127.0.0.1",
    port: int = 0,
    ssl_context: ssl.SSLContext | None = None,
    limits: Limits | None = None,
) -> Server:
    """Listen and answer every request with `handler`."""
    server = Server(handler, limits or Limits())
    await server._listen(host, port, ssl_context)
    return server
