"""One resolver that queries are forwarded to: sockets, time-outs and health (upstream: plugin/pkg/proxy)."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import cast

from .metrics import Metrics
from .wire import AD as AUTHENTIC
from .wire import CD, NS, RD, Answer, Query, Reply, WireError, decode_reply, encode_query

_log = logging.getLogger(__name__)

READ_SECONDS = 2.0
CONNECT_SECONDS = 5.0
EXPIRE_SECONDS = 10.0  # a socket is replaced after this, and with it the source port that a forger would have to guess
HEALTH_SECONDS = 0.5
HEALTH_TIMEOUT = 1.0


class NoAnswer(Exception):
    """The resolver did not answer, or not to this question."""


@dataclass(frozen=True, slots=True)
class Health:
    """The option health_check."""

    interval: float = HEALTH_SECONDS
    recursion: bool = True
    domain: str = "."


class _Socket(asyncio.DatagramProtocol):
    """A connected UDP socket with several queries under way."""

    def __init__(self) -> None:
        self.waiting: dict[int, tuple[str, int, asyncio.Future[Reply]]] = {}
        self.transport: asyncio.DatagramTransport
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        try:
            reply = decode_reply(data)
        except WireError:
            return  # noise: the right answer may still come
        waiting = self.waiting.get(reply.id)
        if waiting is not None and waiting[:2] == (reply.name.lower(), reply.type) and not waiting[2].done():
            waiting[2].set_result(reply)

    def error_received(self, exc: Exception) -> None:
        for _, _, future in self.waiting.values():
            if not future.done():
                future.set_exception(NoAnswer(str(exc)))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.error_received(exc or ConnectionError("the socket was closed"))


class Upstream:
    """`exchange` asks; after a failure the resolver is probed until it answers again."""

    def __init__(
        self,
        host: str,
        port: int,
        metrics: Metrics,
        max_fails: int = 2,
        health: Health | None = None,
        expire: float = EXPIRE_SECONDS,
    ) -> None:
        self.host, self.port, self._metrics = host, port, metrics
        self._max_fails, self._health, self._expire = max_fails, health or Health(), expire
        self._socket: _Socket | None = None
        self._opened = 0.0
        self._fails = 0
        self._probing: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def down(self) -> bool:
        """Whether it failed too often."""
        return 0 < self._max_fails < self._fails

    async def exchange(self, query: Query, protocol: str) -> Answer:
        """NoAnswer after READ_SECONDS or an error of the network."""
        flags = query.flags & (RD | CD | AUTHENTIC)
        try:
            reply = await self._ask(
                query.name, query.type, flags, query.size if query.edns else 0, query.dnssec, protocol
            )
        except NoAnswer:
            self._suspect()
            raise
        return reply.answer

    async def _ask(self, name: str, type: int, flags: int, size: int, dnssec: bool, protocol: str) -> Reply:
        if protocol == "tcp":
            return await self._ask_tcp(name, type, flags, size, dnssec)
        try:
            socket = await self._open()
        except OSError as error:
            raise NoAnswer(f"{self}: {error.strerror or error}") from error
        id = random.getrandbits(16)
        while id in socket.waiting:
            id = random.getrandbits(16)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        socket.waiting[id] = (name.lower(), type, future)
        timer = loop.call_later(READ_SECONDS, _give_up, future, f"read udp {self}: i/o timeout")
        try:
            socket.transport.sendto(encode_query(id, name, type, flags, size, dnssec))
            return await future
        finally:
            timer.cancel()
            del socket.waiting[id]

    async def _open(self) -> _Socket:
        loop = asyncio.get_running_loop()
        current = self._socket
        if current is not None and not current.lost and loop.time() - self._opened < self._expire:
            return current
        _, fresh = await loop.create_datagram_endpoint(_Socket, remote_addr=(self.host, self.port))
        if self._socket is not None and self._socket is not current:
            fresh.transport.close()  # another query was faster
            return self._socket
        if current is not None and not current.lost:
            loop.call_later(READ_SECONDS, current.transport.close)
        self._socket, self._opened = fresh, loop.time()
        return fresh

    async def _ask_tcp(self, name: str, type: int, flags: int, size: int, dnssec: bool) -> Reply:
        id = random.getrandbits(16)
        message = encode_query(id, name, type, flags, size, dnssec)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(self.host, self.port)
            try:
                writer.write(len(message).to_bytes(2, "big") + message)
                async with asyncio.timeout(READ_SECONDS):
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    reply = decode_reply(await reader.readexactly(length))
            finally:
                writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, WireError) as error:
            raise NoAnswer(f"tcp {self}: {error or 'i/o timeout'}") from error
        if (reply.id, reply.name.lower(), reply.type) != (id, name.lower(), type):
            raise NoAnswer(f"tcp {self}: the answer is to another question")
        return reply

    def _suspect(self) -> None:
        if self._max_fails and (self._probing is None or self._probing.done()):
            self._probing = asyncio.ensure_future(self._probe())

    async def _probe(self) -> None:
        """Until it answers; any answer will do."""
        while True:
            try:
                async with asyncio.timeout(HEALTH_TIMEOUT):
                    await self._ask(self._health.domain, NS, RD if self._health.recursion else 0, 0, False, "udp")
            except (NoAnswer, TimeoutError):
                self._fails += 1
                self._metrics.health_failures.inc("forward", str(self))
            else:
                self._fails = 0
                return
            await asyncio.sleep(self._health.interval)

    async def close(self) -> None:
        """Queries under way fail."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        if self._socket is not None and not self._socket.lost:
            self._socket.transport.close()


def _give_up(future: asyncio.Future[Reply], text: str) -> None:
    if not future.done():
        future.set_exception(NoAnswer(text))
