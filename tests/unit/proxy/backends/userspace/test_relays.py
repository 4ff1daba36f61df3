"""Connections and datagrams through a local port, on the loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvloop

from pybernetes.aio.clock import Clock, RealClock, VirtualClock
from pybernetes.proxy.backends.userspace import udp
from pybernetes.proxy.backends.userspace.balancer import RoundRobin
from pybernetes.proxy.backends.userspace.ports import Budget
from pybernetes.proxy.backends.userspace.tcp import Stream, TCPRelay, dial
from pybernetes.proxy.backends.userspace.udp import UDPRelay
from pybernetes.proxy.model import Endpoint

LIMIT = 30.0  # seconds, on a busy machine

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """On both loops: they tell of ends and breaks in other ways."""

    async def within() -> None:
        async with asyncio.timeout(LIMIT):
            await scenario()

    for of_loop in (asyncio.run, uvloop.run):
        of_loop(within())


def bound(kind: int) -> socket.socket:
    own = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    own.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        own.listen(8)
    return own


def robin(*ports: int, affinity: int = 0) -> RoundRobin:
    result = RoundRobin(lambda given: None)
    result.update([Endpoint("127.0.0.1", port, False) for port in ports], affinity)
    return result


@asynccontextmanager
async def endpoint(handler: Handler) -> AsyncIterator[int]:
    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handled, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def relayed(
    balancer: RoundRobin, most: int = 8, clock: Clock | None = None, by: Callable[[str, int], Awaitable[Stream]] = dial
) -> AsyncIterator[TCPRelay]:
    relay = TCPRelay("px/web", bound(socket.SOCK_STREAM), balancer, Budget(most), clock or RealClock(), by)
    await relay.start()
    try:
        yield relay
    finally:
        relay.abort()
        await asyncio.sleep(0)


def closed_port() -> int:
    with bound(socket.SOCK_DGRAM) as own:
        port: int = own.getsockname()[1]
        return port


def test_each_direction_ends_by_itself() -> None:
    """The client says all it has to say and then listens: as `nc -N`, rsh, and HTTP/1.0 clients do."""
    size = 3_000_000

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        total = len(await reader.read(-1))
        writer.write(b"x" * total)
        await writer.drain()

    async def scenario() -> None:
        async with endpoint(counted) as port, relayed(robin(port)) as relay:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            writer.write(b"y" * size)
            await writer.drain()
            writer.write_eof()
            assert len(await reader.read(-1)) == size
            writer.close()

    run(scenario)


def test_an_endpoint_that_refuses_is_passed_over() -> None:
    async def named(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")

    async def scenario() -> None:
        async with endpoint(named) as port, relayed(robin(closed_port(), closed_port(), port)) as relay:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            assert await reader.read(-1) == b"here"
            writer.close()
        for balancer in (robin(), robin(closed_port())):
            async with relayed(balancer) as relay:
                reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
                assert await reader.read(-1) == b"", "taken and closed, as upstream's"
                writer.close()

    run(scenario)


def test_endpoints_that_are_silent_are_given_up_after_upstreams_times() -> None:
    tried: list[tuple[int, float]] = []

    async def silent(host: str, port: int) -> Stream:
        tried.append((port, clocks[-1].monotonic()))
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    clocks: list[VirtualClock] = []

    async def scenario() -> None:
        clock = VirtualClock()
        clocks.append(clock)
        tried.clear()
        async with relayed(robin(1, 2, 3), clock=clock, by=silent) as relay:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            ended = asyncio.ensure_future(reader.read(-1))
            while not ended.done():
                await asyncio.sleep(0.001)
                if clock.sleepers or tried:
                    await clock.advance(0.05)
            assert await ended == b""
            writer.close()
        assert [port for port, _ in tried] == [1, 2, 3, 1]
        start = tried[0][1]
        assert [round(moment - start, 2) for _, moment in tried] == [0.0, 0.25, 0.75, 1.75]

    run(scenario)


def test_a_connection_that_breaks_is_broken_on_both_sides() -> None:
    async def scenario() -> None:
        ended = asyncio.Event()

        async def waiting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            with suppress(ConnectionResetError):
                await reader.read(-1)
            ended.set()

        async with endpoint(waiting) as port, relayed(robin(port)) as relay:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            assert await reader.readexactly(5) == b"hello"
            writer.transport.abort()
            await ended.wait()

    run(scenario)


def test_connections_are_bounded_and_outlive_the_service() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)

    async def scenario() -> None:
        async with endpoint(echo) as port, relayed(robin(port), most=1) as relay:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            writer.write(b"1")
            assert await reader.readexactly(1) == b"1"
            second, other = await asyncio.open_connection("127.0.0.1", relay.port)
            with suppress(ConnectionResetError):
                assert await second.read(-1) == b"", "no room"
            other.close()
            relay.close()
            writer.write(b"2")
            assert await reader.readexactly(1) == b"2"
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", relay.port)
            writer.close()

    run(scenario)


class Answering(asyncio.DatagramProtocol):
    """Answers its name and what it was sent."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._transport.sendto(self._name + data, address)


@asynccontextmanager
async def answering(*names: bytes) -> AsyncIterator[list[int]]:
    loop = asyncio.get_running_loop()
    transports = [
        (await loop.create_datagram_endpoint(lambda name=name: Answering(name), ("127.0.0.1", 0)))[0]  # type: ignore[misc]
        for name in names
    ]
    try:
        yield [transport.get_extra_info("sockname")[1] for transport in transports]
    finally:
        for transport in transports:
            transport.close()


class Datagrams:
    """A relay, a clock and clients."""

    def __init__(self, balancer: RoundRobin, budget: Budget) -> None:
        self.clock, self._clients = VirtualClock(), dict[str, socket.socket]()
        self.relay = UDPRelay("px/dns", bound(socket.SOCK_DGRAM), balancer, budget, self.clock, 0.25)

    async def ask(self, client: str) -> bytes:
        if client not in self._clients:
            self._clients[client] = bound(socket.SOCK_DGRAM)
            self._clients[client].connect(("127.0.0.1", self.relay.port))
        loop, own = asyncio.get_running_loop(), self._clients[client]
        while True:  # datagrams may be lost
            own.send(b"?")
            try:
                async with asyncio.timeout(0.5):
                    return await loop.sock_recv(own, 100)
            except TimeoutError:
                continue

    def close(self) -> None:
        self.relay.close()
        for own in self._clients.values():
            own.close()


@asynccontextmanager
async def datagrams(balancer: RoundRobin, most: int = 100) -> AsyncIterator[Datagrams]:
    setting = Datagrams(balancer, Budget(most))
    try:
        yield setting
    finally:
        setting.close()


def test_a_client_keeps_his_endpoint_until_he_is_silent() -> None:
    async def scenario() -> None:
        async with answering(b"a", b"b") as ports, datagrams(robin(*ports)) as setting:
            assert [await setting.ask(c) for c in ("x", "y", "x", "x")] == [b"a?", b"b?", b"a?", b"a?"]
            await setting.clock.advance(0.2)
            assert await setting.ask("x") == b"a?"
            await setting.clock.advance(0.2)
            assert setting.relay.flows == 1, "y was silent for longer"
            await setting.clock.advance(0.25)
            assert setting.relay.flows == 0
            assert [await setting.ask("y"), await setting.ask("x")] == [b"a?", b"b?"]

    run(scenario)


def test_a_client_moves_when_his_endpoint_is_gone() -> None:
    async def scenario() -> None:
        async with answering(b"a", b"b") as ports, datagrams(robin(ports[0])) as setting:
            assert await setting.ask("x") == b"a?"
            setting.relay.balancer.update([Endpoint("127.0.0.1", ports[1], False)], 0)
            setting.relay.update()
            assert await setting.ask("x") == b"b?"
            # One that refuses is found out by what it answers; the next datagram goes elsewhere.
            setting.relay.balancer.update([Endpoint("127.0.0.1", p, False) for p in (closed_port(), ports[0])], 0)
            setting.relay.update()
            assert await setting.ask("x") == b"a?"

    run(scenario)


@pytest.mark.parametrize("by", ["clients", "files"])
def test_clients_are_bounded(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "MOST_CLIENTS", 2 if by == "clients" else 100)

    async def scenario() -> None:
        async with (
            answering(b"a") as ports,
            datagrams(robin(*ports), most=2 if by == "files" else 100) as setting,
        ):
            for client in ("x", "y", "x", "z"):
                assert await setting.ask(client) == b"a?"
            assert setting.relay.flows == 2
            assert await setting.ask("y") == b"a?"

    run(scenario)
