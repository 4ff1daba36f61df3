"""UDP and TCP on one port."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import struct
from typing import Any

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.aio.ending import end

from .eager import begin
from .plugin import Handler, Limits
from .repeats import Repeats
from .wire import FORMERR, MAX_UDP_BYTES, QR, SERVFAIL, Answer, Query, WireError, decode_query, encode_answer

_log = logging.getLogger(__name__)

MAX_PENDING = 20_000  # datagrams that wait for other resolvers; more are dropped, as on the way: clients ask again
MAX_CONNECTIONS = 2_000  # over TCP at a time; more are closed at once
BATCH = 64  # datagrams that are read in one go
CONTROL_BYTES = 128  # room for where a datagram was sent to
IP_PKTINFO = 8  # linux/in.h; Python's socket module has no name for it yet
NO_INTERFACE = bytes(4)
MAPPED = bytes(10) + b"\xff\xff"  # IPv4 addresses on a socket for both families
RECEIVE_BYTES = 4 << 20  # bursts wait in the kernel, not on the way to being dropped


Control = tuple[int, int, bytes]  # a socket's ancillary data


class Listener:
    """One port; `handler` and `limits` may be replaced at any time. `shared`: several processes may listen on it (SO_REUSEPORT)."""

    def __init__(
        self,
        handler: Handler,
        host: str,
        port: int,
        limits: Limits | None = None,
        shared: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.handler, self.host, self.port = handler, host, port
        self.limits, self.shared = limits or Limits(), shared
        self.repeats, self.clock = Repeats(), clock or RealClock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0
        self._datagrams: _Datagrams | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """OSError if the port cannot be had; with port 0 `port` is the one that was given."""
        self._server = await asyncio.start_server(
            self._serve_tcp, self.host or None, self.port, reuse_port=self.shared or None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        try:
            self._datagrams = _Datagrams(self, _udp_socket(self.host, self.port, self.shared))
        except OSError:
            self._server.close()
            raise

    async def stop(self) -> None:
        """Queries under way are not answered."""
        if self._datagrams is not None:
            self._datagrams.close()
        if self._server is not None:
            self._server.close()
        await end(*self._tasks)

    def spawn(self, work: asyncio.Task[None]) -> None:
        """Keeps a task until it is done."""
        self._tasks.add(work)
        work.add_done_callback(self._tasks.discard)

    @property
    def busy(self) -> bool:
        """Whether so many queries wait that no more are taken."""
        return len(self._tasks) >= MAX_PENDING

    def fault(self, query: Query) -> Answer:
        """For an exception that is under way: a fault of the program is logged and becomes SERVFAIL."""
        _log.exception("a query for %s failed", query.name)
        return Answer(SERVFAIL)

    def encoded(self, query: Query, answer: Answer) -> bytes:
        """The reply, empty where none is sent."""
        try:
            reply = b"" if answer.silent else encode_answer(query, answer)
        except Exception:
            reply = encode_answer(query, self.fault(query))
        if query.answered is not None:
            query.answered(len(reply))
        return reply

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._connections >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connections += 1
        self.spawn(task)
        try:
            await self._converse(reader, writer)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return  # asyncio's streams take a handler that was cancelled for a fault
        finally:
            self._connections -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = _plain(writer.get_extra_info("peername") or ("", 0))
        local = _packed(writer.get_extra_info("sockname")), self.port
        patience, left = self.limits.read, self.limits.queries
        while left:
            left -= 1
            async with asyncio.timeout(patience):
                length = int.from_bytes(await reader.readexactly(2), "big")
                data = await reader.readexactly(length)
            patience = self.limits.idle
            try:
                query = decode_query(data, peer, "tcp")
                query.local = local
                reply = await self._answer(query)
            except WireError:
                refused = malformed(data)
                if refused is None:
                    return
                reply = refused
            if reply:
                writer.write(len(reply).to_bytes(2, "big") + reply)
                async with asyncio.timeout(self.limits.write):
                    await writer.drain()

    async def _answer(self, query: Query) -> bytes:
        try:
            answer = await self.handler(query)
        except Exception:
            answer = self.fault(query)
        return self.encoded(query, answer)


class _Datagrams:
    """The UDP socket: answers at once, with a task for queries that wait for something, from the address that was asked.

    asyncio's own datagrams do not tell that address, and a host with several would answer from another one, which clients
    behind a Service take for a stranger.
    """

    def __init__(self, listener: Listener, udp: socket.socket) -> None:
        self._listener, self._socket = listener, udp
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(udp, self._readable)
        self._last_received: list[Control] = []
        self._last_control: tuple[list[Control], bytes] = ([], b"")

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        now = self._listener.clock.monotonic()
        for _ in range(BATCH):  # then others have their turn
            try:
                data, control, _, peer = self._socket.recvmsg(MAX_UDP_BYTES, CONTROL_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                _log.debug("receiving: %s", error)
                return
            self._received(data, control, peer, now)

    def _received(self, data: bytes, received: list[Control], peer: Any, now: float) -> None:
        if received != self._last_received:  # mostly all are sent to one address
            self._last_received, self._last_control = received, _reply_control(received)
        control, local = self._last_control
        listener = self._listener
        reply = listener.repeats.again(data, local, listener.handler, now)
        if reply is not None:
            self._send(reply, control, peer)
            return
        try:
            query = decode_query(data, _plain(peer))
        except WireError:
            refused = malformed(data)
            if refused is not None:
                self._send(refused, control, peer)
            return
        if listener.busy:
            return
        query.local = (local, listener.port)
        task = begin(self._serve(query, data, control, peer), self._loop)
        if task is not None:
            listener.spawn(task)

    async def _serve(self, query: Query, data: bytes, control: list[Control], peer: Any) -> None:
        listener, handler = self._listener, self._listener.handler
        try:
            answer = await handler(query)
        except Exception:
            answer = listener.fault(query)
        reply = listener.encoded(query, answer)
        if reply:
            self._send(reply, control, peer)
            if answer.same_until:
                listener.repeats.keep(data, query, answer, reply, handler)

    def _send(self, data: bytes, control: list[Control], peer: Any) -> None:
        try:
            self._socket.sendmsg([data], control, 0, peer)
        except OSError as error:
            _log.debug("a reply to %s is lost: %s", peer[0], error)  # as on the way: the client asks again


def _udp_socket(host: str, port: int, shared: bool) -> socket.socket:
    """For both families where there are two. OSError."""
    host = host or ("::" if socket.has_dualstack_ipv6() and _has_ipv6() else "0.0.0.0")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            udp.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        if shared:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        udp.bind((host, port))
        udp.setblocking(False)
    except OSError:
        udp.close()
        raise
    return udp


def _reply_control(received: list[Control]) -> tuple[list[Control], bytes]:
    """The address that was asked, as the reply's source, and by itself; the interface is left to the routes."""
    for level, kind, data in received:
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            address = data[:16]
            return [(level, kind, address + NO_INTERFACE)], address[12:] if address[:12] == MAPPED else address
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            return [(level, kind, NO_INTERFACE + data[4:12])], data[8:12]
    return [], b""


def _packed(address: Any) -> bytes:
    """4 or 16 bytes."""
    packed = ipaddress.ip_address(address[0].partition("%")[0]).packed
    return packed[12:] if packed[:12] == MAPPED else packed


def _plain(address: Any) -> tuple[str, int]:
    """IPv4 addresses in their own form, on a socket for both."""
    host = address[0]
    return (host[7:] if host.startswith("::ffff:") else host, address[1])


def malformed(data: bytes) -> bytes | None:
    """FORMERR to what has at least a header, None for what deserves no answer."""
    if len(data) < 12:
        return None
    id, flags = struct.unpack_from("!HH", data)
    if flags & QR:
        return None
    return struct.pack("!HHHHHH", id, QR | flags & 0x7900 | FORMERR, 0, 0, 0, 0)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True
