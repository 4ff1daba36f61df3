"""Copies TCP connections from a local port to endpoints (upstream: pkg/proxy/userspace/proxysocket.go)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

from pybernetes.aio.clock import Clock

from .balancer import RoundRobin
from .ports import Budget

_log = logging.getLogger(__name__)

DIAL_TIMEOUTS = (0.25, 0.5, 1.0, 2.0)  # upstream's: of each try, with another endpoint each
BUFFER = 1 << 16  # of each direction, before the faster side has to wait
KEEPALIVE_SECONDS = 15  # as Go's sockets: what has vanished without a word is found in two minutes
BACKLOG = 1024

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[str, int], Awaitable[Stream]]


class Relay(Protocol):
    """A local port whose traffic goes to endpoints. Its balancer says where to; what is kept of an endpoint that is gone ends by `update`."""

    port: int
    balancer: RoundRobin

    def update(self) -> None: ...

    def close(self) -> None:
        """Nobody new is let in."""
        ...

    def abort(self) -> None:
        """Everything ends."""
        ...


async def dial(host: str, port: int) -> Stream:
    """A connection. OSError."""
    return await asyncio.open_connection(host, port, limit=BUFFER)


class TCPRelay:
    """See `Relay`. Connections end when their ends do, the service gone or not, as upstream's."""

    def __init__(
        self, name: str, listening: socket.socket, balancer: RoundRobin, budget: Budget, clock: Clock, dial: Dial = dial
    ) -> None:
        self.port: int = listening.getsockname()[1]
        self.balancer = balancer
        self._name, self._socket, self._budget, self._clock, self._dial = name, listening, budget, clock, dial
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[object]] = set()
        self._full = False  # whether it has been said

    async def start(self) -> None:
        """Connections are taken from now on."""
        self._server = await asyncio.start_server(self._serve, sock=self._socket, limit=BUFFER, backlog=BACKLOG)

    def update(self) -> None:
        """Connections to an endpoint that is gone last for as long as it answers."""

    def close(self) -> None:
        """See `Relay`."""
        if self._server is not None:
            self._server.close()
        self._socket.close()

    def abort(self) -> None:
        """See `Relay`."""
        self.close()
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._budget.take():
            if not self._full:
                _log.error(
                    "%s: no more than %d connections at once; new ones are refused", self._name, self._budget.most
                )
            self._full = True
            writer.transport.abort()
            return
        self._full = False
        task = asyncio.current_task()
        assert task is not None, "a coroutine that a server has started"
        self._tasks.add(task)
        try:
            await self._relay((reader, writer))
        except asyncio.CancelledError:
            # By `abort` alone. A server's own task that ends cancelled would be told as an error.
            return
        finally:
            if not writer.is_closing():
                writer.transport.abort()
            self._tasks.discard(task)
            self._budget.give()

    async def _relay(self, near: Stream) -> None:
        client = near[1].get_extra_info("peername")
        far = await self._connected(client[0]) if client else None
        if far is None:
            near[1].close()
            return
        try:
            for _, writer in (near, far):
                _keep_alive(writer)
            await _join(near, far)
        finally:
            if not far[1].is_closing():
                far[1].transport.abort()

    async def _connected(self, client: str) -> Stream | None:
        """To the first endpoint that answers."""
        reset = False
        for seconds in DIAL_TIMEOUTS:
            endpoint = self.balancer.next(client, self._clock.monotonic(), reset)
            if endpoint is None:
                _log.info("%s: missing endpoints", self._name)
                return None
            try:
                async with self._clock.timeout(seconds):
                    return await self._dial(endpoint.ip, endpoint.port)
            except (OSError, TimeoutError) as error:
                _log.info("%s: dial of %s failed: %s", self._name, endpoint, str(error) or f"none within {seconds} s")
                reset = True
        _log.error("%s: failed to connect to an endpoint", self._name)
        return None


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    own = writer.get_extra_info("socket")
    if own is not None:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_SECONDS)


async def _join(near: Stream, far: Stream) -> None:
    """Until both directions have ended. One that ends alone leaves the other one open; one that breaks takes it along."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(near[0], far[1]))
            group.create_task(_copy(far[0], near[1]))
    except* OSError as errors:
        _log.debug("a connection broke: %s", errors.exceptions[0])
    else:
        for _, writer in (near, far):
            writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(BUFFER):
        target.write(data)
        await target.drain()
    if not target.is_closing():
        target.write_eof()
