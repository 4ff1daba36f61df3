"""One connection of the server: requests in, answers out, in order and one at a time."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol, cast

from .body import BodyError
from .heads import head, plain, wants_close
from .messages import Dropped, Handler, Limits, Response, StreamingResponse, UpgradeResponse
from .parser import Exchange, Parser, Reject, Upgrade
from .peer import intermediates
from .turns import SHARE_BYTES, Turns
from .unwritten import Unwritten

_log = logging.getLogger(__name__)

PEER_CERTIFICATE = "peer_certificate"  # extra info of a transport without TLS whose peer is known all the same
SEPARATE_BYTES = 64 << 10  # larger bodies are not copied to stand behind their headers in one write
PIECE = 32 << 10  # bytes that are handed to a transport at a time: what it copies, encrypts or keeps is no more
STRANGERS_BYTES = 32 << 10  # that are received ahead from a peer of whom nothing has been wanted yet
KNOWN_BYTES = 1 << 20  # and from others
HIGH_WATER = 32 << 10  # from here on writers wait (TLS transports would take half a megabyte)


class Owner(Protocol):
    """What a connection knows of its server."""

    handler: Handler
    limits: Limits
    asks_for_bodies: bool
    stopping: bool
    tls: bool
    tasks: set[asyncio.Task[None]]
    turns: Turns
    unwritten: Unwritten

    def opened(self, peer: Peer) -> None:
        """A new one."""
        ...

    def lost(self, peer: Peer) -> None:
        """It is gone."""
        ...


class Peer(Protocol):
    """What a server knows of who is answered: a connection, or a call of the same process."""

    def begin_drain(self) -> None:
        """Close now if nothing is under way, else after the current work."""
        ...

    def abort(self) -> None:
        """Cancel the handler; what it has not said yet is not said."""
        ...


class Connection(asyncio.Protocol):
    """One client connection: parses into a queue that a single task answers in order."""

    def __init__(self, server: Owner) -> None:
        self._server = server
        self._limits = server.limits
        self._parser = Parser(server.limits, self._parsed, self._begun)
        self._parser.wanted = self._body_wanted
        self._transport: asyncio.Transport
        self._queue: deque[Exchange | int] = deque()  # ints: a status to answer before the end
        self._queued_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._input_done = False
        self._reading_paused = False
        self._read_timer_armed = False
        # After a request to upgrade: what follows it, and who waits for that.
        self._raw: deque[bytes] | None = None
        self._raw_bytes = 0
        self._raw_ended = False
        self._raw_waiter: asyncio.Future[None] | None = None

    # Transport events.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._parser.peer_certificate = tls.getpeercert(binary_form=True)
            if self._parser.peer_certificate is not None:
                self._parser.peer_intermediates = intermediates(tls)
            self._transport.set_write_buffer_limits(high=HIGH_WATER)
            self._receive_window(STRANGERS_BYTES)
            limit_reading = getattr(
                transport, "set_read_buffer_limits", None
            )  # asyncio's and uvloop's TLS transports have it
            if limit_reading is not None:
                limit_reading(high=STRANGERS_BYTES)
        else:
            self._parser.peer_certificate = transport.get_extra_info(PEER_CERTIFICATE)
        address = transport.get_extra_info("peername")
        self._parser.peer = str(address[0]) if isinstance(address, tuple) else ""
        self._server.opened(self)
        if self._server.stopping:
            self._transport.abort()
            return
        self._set_timer(self._limits.idle_seconds, self._close)

    def _receive_window(self, size: int) -> None:
        """How much the kernel takes in ahead: a TLS transport reads all of it at once, and keeps buffers as large."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def connection_lost(self, exc: Exception | None) -> None:
        self._input_done = True
        self._set_timer(None)
        self._stop_write_timer()
        self._writable.set()
        self._end_raw()
        self._cancel_task()
        self._transport = LOST
        self._server.lost(self)

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
        try:
            self._parser.feed(data)
        except Upgrade as upgrade:
            self._input_done = True
            self._raw = deque()
            self._receive_raw(upgrade.rest)
        except Reject as error:
            if not self._input_done:
                self._fail(error.status)
            return
        if self._input_done:
            return
        if not self._parser.in_message:
            self._read_timer_armed = False
            if self._task is None:
                self._became_idle()
        elif self._parser.body is None or self._parser.body.asked:
            self._arm_read_timer()
        self._steer_reading()

    # Requests.

    def _begun(self) -> None:
        self._set_timer(None)

    def _parsed(self, exchange: Exchange) -> None:
        """A request, perhaps with a body that is still under way."""
        self._read_timer_armed = False
        self._set_timer(None)
        if not exchange.keep_alive and exchange.request.incoming is None:
            self._input_done = True
        self._queued_bytes += exchange.size
        self._enqueue(exchange)

    def _enqueue(self, item: Exchange | int) -> None:
        self._queue.append(item)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
            self._server.tasks.add(self._task)
            self._task.add_done_callback(self._task_done)

    def _fail(self, status: int) -> None:
        """Answer an unusable message in its turn, then close. What has been given out already is answered by its handler."""
        body = self._parser.body
        self._input_done = True
        self._parser.in_message = self._parser.expects_continue = False
        self._set_timer(None)
        if body is not None:
            body.fail(status if status == HTTPStatus.REQUEST_TIMEOUT else HTTPStatus.BAD_REQUEST)
        else:
            self._enqueue(status)

    def _body_wanted(self) -> None:
        """A handler waits for the rest of its request."""
        if self._input_done:
            return
        if self._parser.expects_continue:
            self._parser.expects_continue = False
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._server.tls:
            self._receive_window(KNOWN_BYTES)
        self._arm_read_timer()
        self._steer_reading()

    def _arm_read_timer(self) -> None:
        if not self._read_timer_armed:
            self._read_timer_armed = True
            self._set_timer(self._limits.read_seconds, self._read_timed_out)

    def _read_timed_out(self) -> None:
        if self._reading_paused:
            self._set_timer(self._limits.read_seconds, self._read_timed_out)
        else:
            self._fail(408)

    def _steer_reading(self) -> None:
        """Reads on, or not: while a body is under way that nobody has asked for, and while enough waits for its turn."""
        limits, body = self._limits, self._parser.body
        pause = (
            (body is not None and (not body.asked or body.failed))
            or len(self._queue) >= limits.pipeline_depth
            or self._queued_bytes > limits.pipeline_bytes
        )
        self._pause_reading(pause and self._raw is None and not self._input_done)

    def _pause_reading(self, pause: bool) -> None:
        if pause == self._reading_paused or self._transport.is_closing():
            return
        self._reading_paused = pause
        if pause:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

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
        if self._raw_bytes > self._limits.raw_bytes:
            self._pause_reading(True)
        self._wake_raw()

    def _end_raw(self) -> None:
        self._raw_ended = True
        self._wake_raw()

    def _wake_raw(self) -> None:
        if self._raw_waiter is not None and not self._raw_waiter.done():
            self._raw_waiter.set_result(None)

    async def read(self) -> bytes:
        """The next bytes of an upgraded connection, b"" at its end."""
        while not self._raw:
            if self._raw_ended or self._raw is None:
                return b""
            self._raw_waiter = asyncio.get_running_loop().create_future()
            await self._raw_waiter
        data = b"".join(self._raw)
        self._raw.clear()
        self._raw_bytes = 0
        self._pause_reading(False)
        return data

    async def write(self, data: bytes) -> None:
        """Sends raw bytes, waiting while the peer is slow; ConnectionResetError when it is gone."""
        await self.send_pieces(data)
        await self.drain()

    def close(self) -> None:
        """Close after flushing."""
        self._close()

    # Answering.

    def send(self, data: bytes | memoryview) -> None:
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

    async def send_pieces(self, data: bytes) -> None:
        """Hands over a piece at a time, each when the peer has taken those before: the bytes themselves stay shared."""
        if len(data) <= PIECE:
            self.send(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), PIECE):
            if start % SHARE_BYTES == 0:
                await self._server.turns.take(min(len(data) - start, SHARE_BYTES))
            self.send(view[start : start + PIECE])
            if not self._writable.is_set():
                await self.drain()
                self._server.unwritten.left(self, max(len(data) - start - PIECE, 0))

    async def _work(self) -> None:
        while self._queue:
            item = self._queue.popleft()
            try:
                if isinstance(item, int):
                    self.send(plain(item))
                    self._close(linger=True)
                    return
                self._queued_bytes -= item.size
                self._steer_reading()
                keep_alive = await self._answer(item)
            except ConnectionResetError:
                keep_alive = False
            incoming = None if isinstance(item, int) else item.request.incoming
            if incoming is not None and not incoming.complete:
                self._close(linger=True)  # the rest of the body is not wanted
                return
            if not keep_alive:
                self._close()
                return
        self._task = None
        if not self._parser.in_message:
            self._became_idle()

    async def _answer(self, exchange: Exchange) -> bool:
        """Run the handler for one request and write its response; False closes the connection."""
        started = False
        abandoned: Callable[[], None] | None = None
        request = exchange.request
        try:
            if request.incoming is not None and not self._server.asks_for_bodies:
                try:
                    request = await request.whole()
                except BodyError as error:
                    self.send(plain(error.status))
                    return False
            response = await self._server.handler(request)
            if isinstance(response, UpgradeResponse):
                started = True
                abandoned = response.abandoned
                self._switch(response)
                abandoned = None
                await response.run(self)
                return False
            headers = tuple(response.headers)
            keep_alive = self._may_go_on(exchange) and not wants_close(headers)
            no_body = request.method == "HEAD" or response.status in (204, 304)
            if isinstance(response, StreamingResponse):
                abandoned = response.abandoned
                chunked = not exchange.http_1_0
                if not chunked and not no_body:
                    keep_alive = False
                framing = [("Transfer-Encoding", "chunked")] if chunked and response.status not in (204, 304) else []
                self.send(head(response.status, headers, framing + _connection_header(exchange, keep_alive)))
                started = True
                if not no_body:
                    abandoned = None
                    await response.producer(_StreamWriter(self, chunked))
                    if chunked:
                        self.send(b"0\r\n\r\n")
            else:
                started = await self._respond(exchange, response, headers, keep_alive, no_body)
            await self.drain()
            return keep_alive
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, Dropped):
                self._transport.abort()
                return False
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            if isinstance(error, ConnectionResetError) and self._transport.is_closing():
                raise
            _log.exception("handler failed for %s %r", request.method, request.raw_path)
            if not started:
                self.send(plain(500, body=request.method != "HEAD"))
            return False
        finally:
            self._server.unwritten.leave(self)
            if abandoned is not None:
                abandoned()

    def _may_go_on(self, exchange: Exchange) -> bool:
        """Whether another request may follow on this connection."""
        incoming = exchange.request.incoming
        if not exchange.keep_alive or (incoming is not None and not incoming.complete):
            return False
        return not (self._server.stopping and not self._queue and not self._parser.in_message)

    async def _respond(
        self,
        exchange: Exchange,
        response: Response,
        headers: tuple[tuple[str, str], ...],
        keep_alive: bool,
        no_body: bool,
    ) -> bool:
        """A response whose body is there; True once its head is written."""
        body = response.body
        framing = [("Content-Length", str(len(body)))] if response.status not in (204, 304) else []
        block = head(response.status, headers, framing + _connection_header(exchange, keep_alive))
        if no_body:
            self.send(block)
        elif len(body) < SEPARATE_BYTES:
            self.send(block + body)
        elif self._server.unwritten.enter(self, len(body)):
            self.send(block)
            await self.send_pieces(body)
        else:
            _log.warning("an answer of %d bytes is not given: other readers have not taken theirs", len(body))
            self.send(plain(HTTPStatus.TOO_MANY_REQUESTS))
            self._transport.close()
        return True

    def _switch(self, response: UpgradeResponse) -> None:
        if self._raw is None:
            raise RuntimeError(f"upgrade to {response.protocol} of a request that did not ask for it")
        if self._server.tls:
            self._receive_window(KNOWN_BYTES)
        framing = [("Connection", "Upgrade"), ("Upgrade", response.protocol)]
        self.send(head(101, response.headers, framing))

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
        if self._parser.body is not None:
            self._parser.body.fail(HTTPStatus.BAD_REQUEST)
        if self._transport.is_closing():
            return
        if linger and not self._server.stopping:
            self._pause_reading(False)
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._set_timer(self._limits.linger_seconds, self._close)
        else:
            self._transport.close()
            self._set_timer(self._limits.idle_seconds, self._transport.abort)

    def begin_drain(self) -> None:
        """Close now if nothing is under way, else after the current work."""
        if not self._parser.in_message and (self._task is None or self._task.done()):
            self._close()

    def abort(self) -> None:
        """Cancel the handler and drop the connection."""
        self._cancel_task()
        self._transport.abort()


class _Lost(asyncio.Transport):
    """In place of a transport that is gone: that holds buffers, and would be freed only with the next search for cycles."""

    def is_closing(self) -> bool:
        return True

    def abort(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


LOST = _Lost()


class _StreamWriter:
    """See `messages.BodyWriter`."""

    def __init__(self, connection: Connection, chunked: bool) -> None:
        self._connection = connection
        self._chunked = chunked

    async def write(self, data: bytes) -> None:
        connection = self._connection
        if data and len(data) < PIECE:
            connection.send(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        elif data:
            if self._chunked:
                connection.send(b"%x\r\n" % len(data))
            await connection.send_pieces(data)
            if self._chunked:
                connection.send(b"\r\n")
        await connection.drain()


def _connection_header(exchange: Exchange, keep_alive: bool) -> list[tuple[str, str]]:
    if not keep_alive:
        return [("Connection", "close")]
    return [("Connection", "keep-alive")] if exchange.http_1_0 else []
