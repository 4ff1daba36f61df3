"""One resolver that queries are forwarded to: connections, time-outs and health (upstream: plugin/pkg/proxy)."""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from dataclasses import dataclass
from typing import cast

from pybernetes.aio.ending import end

from .metrics import Metrics
from .plugin import in_task
from .wire import AD as AUTHENTIC
from .wire import CD, IN, NS, RD, Answer, EdnsOptions, Query, Reply, WireError, decode_reply, encode_query

_log = logging.getLogger(__name__)

READ_SECONDS = 2.0
CONNECT_SECONDS = 5.0
EXPIRE_SECONDS = 10.0  # a socket is replaced after this, and with it the source port that a forger would have to guess
MAX_WAITING = 20_000  # answers on one connection: numbers of queries stay hard to guess, and are found at once
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
    protocol: str = "udp"


Waiting = tuple[str, int, int, "asyncio.Future[Reply]"]  # name, type, class


class _Transport:
    """A connection with several queries under way. An answer is one by its number and its question; all else is noise."""

    def __init__(self) -> None:
        self.waiting: dict[int, Waiting] = {}
        self.lost = False

    def received(self, data: bytes) -> None:
        """One message."""
        try:
            reply = decode_reply(data)
        except WireError:
            return  # the right answer may still come
        waiting = self.waiting.get(reply.id)
        question = (reply.name.lower(), reply.type, reply.cls)
        if waiting is not None and waiting[:3] == question and not waiting[3].done():
            waiting[3].set_result(reply)

    def failed(self, error: Exception | None) -> None:
        """Nothing more will come for those that wait."""
        for *_, future in self.waiting.values():
            if not future.done():
                future.set_exception(NoAnswer(str(error or "the connection was closed")))

    def send(self, message: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class _Datagrams(_Transport, asyncio.DatagramProtocol):
    """A connected UDP socket: the kernel takes datagrams of the resolver's address only."""

    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.received(data)

    def error_received(self, exc: Exception) -> None:
        self.failed(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.failed(exc)

    def send(self, message: bytes) -> None:
        self.transport.sendto(message)

    def close(self) -> None:
        self.transport.close()


class _Stream(_Transport, asyncio.Protocol):
    """TCP or TLS: messages behind their lengths (RFC 7766, RFC 7858)."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        super().__init__()
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        place = 0
        while len(self._buffer) - place >= 2:
            end = place + 2 + int.from_bytes(self._buffer[place : place + 2], "big")
            if len(self._buffer) < end:
                break
            self.received(bytes(self._buffer[place + 2 : end]))
            place = end
        del self._buffer[:place]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.failed(exc)

    def send(self, message: bytes) -> None:
        self.transport.write(len(message).to_bytes(2, "big") + message)

    def close(self) -> None:
        self.transport.close()


@dataclass(frozen=True, slots=True)
class Timing:
    """The options expire, max_age and read_timeout, in seconds."""

    expire: float = EXPIRE_SECONDS
    max_age: float = 0.0  # 0: connections that are in use may stay
    read: float = READ_SECONDS


@dataclass(frozen=True, slots=True)
class Place:
    """Where a resolver is, and how it is spoken to."""

    host: str
    port: int
    tls: bool = False
    server_name: str = ""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(slots=True)
class _Open:
    """A connection, when it was opened and when it was last used."""

    transport: _Transport
    opened: float
    used: float


class Upstream:
    """`exchange` asks; after a failure the resolver is probed until it answers again."""

    def __init__(
        self,
        place: Place,
        metrics: Metrics,
        max_fails: int = 2,
        health: Health | None = None,
        timing: Timing | None = None,
        context: ssl.SSLContext | None = None,
        source: str = "",
    ) -> None:
        self.place, self._metrics = place, metrics
        self._max_fails, self._health, self._timing = max_fails, health or Health(), timing or Timing()
        self._context, self._source = context, source
        self._open: dict[str, _Open] = {}  # by protocol
        self._opening: dict[str, asyncio.Lock] = {}
        self._fails = 0
        self._probing: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return str(self.place)

    @property
    def down(self) -> bool:
        """Whether it failed too often."""
        return 0 < self._max_fails < self._fails

    async def exchange(self, query: Query, protocol: str) -> Answer:
        """NoAnswer after the read time-out or an error of the network."""
        flags = query.flags & (RD | CD | AUTHENTIC)
        size = query.size if query.edns else 0
        try:
            reply = await self._ask(
                query.name, query.type, flags, size, query.dnssec, protocol, query.cls, query.options
            )
        except NoAnswer:
            self._suspect()
            raise
        return reply.answer

    async def _ask(
        self,
        name: str,
        type: int,
        flags: int,
        size: int,
        dnssec: bool,
        protocol: str,
        cls: int = IN,
        options: EdnsOptions = (),
    ) -> Reply:
        protocol = "tls" if self.place.tls else protocol
        try:
            transport = await self._connected(protocol)
        except (OSError, TimeoutError) as error:
            raise NoAnswer(
                f"dial {protocol} {self}: {getattr(error, 'strerror', None) or error or 'i/o timeout'}"
            ) from error
        if len(transport.waiting) >= MAX_WAITING:
            raise NoAnswer(f"{protocol} {self}: {MAX_WAITING} queries wait for an answer")
        id = secrets.randbits(16)
        while id in transport.waiting:
            id = secrets.randbits(16)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        transport.waiting[id] = (name.lower(), type, cls, future)
        timer = loop.call_later(self._timing.read, _give_up, future, f"read {protocol} {self}: i/o timeout")
        try:
            transport.send(encode_query(id, name, type, flags, size, dnssec, cls, options))
            return await future
        finally:
            timer.cancel()
            del transport.waiting[id]

    async def _connected(self, protocol: str) -> _Transport:
        """An open connection, or a new one. OSError, TimeoutError."""
        current = self._fresh(protocol)
        if current is not None:
            return current
        await in_task()
        async with self._opening.setdefault(protocol, asyncio.Lock()):
            current = self._fresh(protocol)  # another query was faster
            if current is not None:
                return current
            transport = await self._dial(protocol)
            now = asyncio.get_running_loop().time()
            self._open[protocol] = _Open(transport, now, now)
            return transport

    def _fresh(self, protocol: str) -> _Transport | None:
        """UDP sockets live so long in all, connections so long after their last use."""
        current = self._open.get(protocol)
        if current is None:
            return None
        loop = asyncio.get_running_loop()
        now = loop.time()
        age = now - (current.opened if protocol == "udp" else current.used)
        too_old = 0 < self._timing.max_age <= now - current.opened
        if not current.transport.lost and age < self._timing.expire and not too_old:
            current.used = now
            return current.transport
        del self._open[protocol]
        if not current.transport.lost:
            loop.call_later(self._timing.read, current.transport.close)  # answers may still be on the way
        return None

    async def _dial(self, protocol: str) -> _Transport:
        loop, place = asyncio.get_running_loop(), self.place
        local = (self._source, 0) if self._source else None
        if protocol == "udp":
            _, datagrams = await loop.create_datagram_endpoint(
                _Datagrams, remote_addr=(place.host, place.port), local_addr=local
            )
            return datagrams
        context = self._context if protocol == "tls" else None
        name = (place.server_name or place.host) if context is not None else None
        async with asyncio.timeout(CONNECT_SECONDS):
            _, stream = await loop.create_connection(
                _Stream, place.host, place.port, ssl=context, server_hostname=name, local_addr=local
            )
        return stream

    def _suspect(self) -> None:
        if self._max_fails and (self._probing is None or self._probing.done()):
            self._probing = asyncio.ensure_future(self._probe())

    async def _probe(self) -> None:
        """Until it answers; any answer will do."""
        while True:
            try:
                async with asyncio.timeout(HEALTH_TIMEOUT):
                    flags = RD if self._health.recursion else 0
                    await self._ask(self._health.domain, NS, flags, 0, False, self._health.protocol)
            except (NoAnswer, TimeoutError):
                self._fails += 1
                self._metrics.health_failures.inc("forward", str(self))
            else:
                self._fails = 0
                return
            await asyncio.sleep(self._health.interval)

    async def close(self) -> None:
        """Queries under way fail."""
        await end(self._probing)
        for each in self._open.values():
            each.transport.close()


def _give_up(future: asyncio.Future[Reply], text: str) -> None:
    if not future.done():
        future.set_exception(NoAnswer(text))
