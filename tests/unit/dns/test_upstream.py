"""One resolver on real sockets: answers, noise, silence, and its way back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pybernetes.dns import wire
from pybernetes.dns.metrics import Metrics
from pybernetes.dns.plugin import ServeError
from pybernetes.dns.plugins import forward
from pybernetes.dns.upstream import Health, NoAnswer, Place, Timing, Upstream
from pybernetes.dns.wire import Answer
from pybernetes.testing.certificates import Authority

from .chains import context, directive, query


class Resolver(asyncio.DatagramProtocol):
    """Answers as `mode` says: plainly, not at all, or with noise before the answer."""

    def __init__(self) -> None:
        self.mode = "answer"
        self.asked = 0
        self.ids: list[int] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]  # UDP's

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        asked = wire.decode_query(data)
        self.asked += 1
        self.ids.append(asked.id)
        if self.mode == "silent":
            return
        good = wire.encode_answer(asked, Answer(0, [wire.address_record(asked.name, "192.0.2.5", 77)]))
        if self.mode == "noise":
            other = wire.encode_answer(asked.asking("other.example.", wire.A), Answer(0))
            stranger = (int.from_bytes(good[:2], "big") ^ 1).to_bytes(2, "big") + good[2:]
            for noise in (b"?", other, stranger):
                self.transport.sendto(noise, addr)
        self.transport.sendto(good, addr)


def with_resolver(
    scenario: Callable[[Resolver, Upstream], Awaitable[None]], read: float = 60.0, max_fails: int = 2
) -> None:
    async def run() -> None:
        transport, resolver = await asyncio.get_running_loop().create_datagram_endpoint(Resolver, ("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        asking = Upstream(Place("127.0.0.1", port), Metrics(), max_fails, Health(interval=0.005), Timing(read=read))
        try:
            await scenario(resolver, asking)
        finally:
            await asking.close()
            transport.close()

    asyncio.run(run())


@pytest.mark.parametrize("mode", ["answer", "noise"])
def test_the_right_answer_counts(mode: str) -> None:
    async def scenario(resolver: Resolver, asking: Upstream) -> None:
        resolver.mode = mode
        names = [f"{n}.example." for n in range(20)]
        answers = await asyncio.gather(*(asking.exchange(query(name), "udp") for name in names))
        assert [a.answer[0].name for a in answers] == names

    with_resolver(scenario)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.001)


def test_silence_takes_it_down_and_an_answer_brings_it_back() -> None:
    async def scenario(resolver: Resolver, asking: Upstream) -> None:
        resolver.mode = "silent"
        with pytest.raises(NoAnswer, match="i/o timeout"):
            await asking.exchange(query("a.example."), "udp")
        assert not asking.down, "one failure is none"
        await until(lambda: asking.down)
        resolver.mode = "answer"
        await until(lambda: not asking.down)

    with_resolver(scenario, read=0.02)


def test_without_checks_it_is_never_down() -> None:
    async def scenario(resolver: Resolver, asking: Upstream) -> None:
        resolver.mode = "silent"
        for _ in range(4):
            with pytest.raises(NoAnswer):
                await asking.exchange(query("a.example."), "udp")
        await until(lambda: resolver.asked == 4)  # the last may still be under way
        assert not asking.down

    with_resolver(scenario, read=0.01, max_fails=0)


def test_a_closed_port_is_said_at_once() -> None:
    async def run() -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Resolver, ("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        transport.close()
        await asyncio.sleep(0)
        asking = Upstream(Place("127.0.0.1", port), Metrics(), max_fails=0)
        for protocol in ("udp", "tcp"):
            with pytest.raises(NoAnswer, match=r"refused|Connect call failed"):
                await asking.exchange(query("a.example."), protocol)
        await asking.close()

    asyncio.run(run())


def test_tcp() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        asked = wire.decode_query(data, protocol="tcp")
        if asked.name == "wrong.example.":
            asked = asked.asking("other.example.", wire.A)
        reply = wire.encode_answer(asked, Answer(0, [wire.address_record(asked.name, "192.0.2.5", 77)]))
        if asked.name != "cut.example.":
            writer.write(len(reply).to_bytes(2, "big") + reply)
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        asking = Upstream(Place("127.0.0.1", server.sockets[0].getsockname()[1]), Metrics(), max_fails=0)
        assert (await asking.exchange(query("a.example."), "tcp")).answer[0].ttl == 77
        with pytest.raises(NoAnswer, match="connection was closed"):
            await asking.exchange(query("wrong.example."), "tcp")
        with pytest.raises(NoAnswer):
            await asking.exchange(query("cut.example."), "tcp")
        server.close()
        await asking.close()

    asyncio.run(run())


def test_tls(tmp_path: Path) -> None:
    authority = Authority("dns", datetime.now(UTC))
    pair = authority.serving(["dns.example"], [])
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    (tmp_path / "tls.crt").write_bytes(pair.certificate)
    (tmp_path / "tls.key").write_bytes(pair.key)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        try:
            while True:
                data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                asked = wire.decode_query(data, protocol="tcp")
                reply = wire.encode_answer(asked, Answer(0, [wire.address_record(asked.name, "192.0.2.5", 77)]))
                writer.write(len(reply).to_bytes(2, "big") + reply)
        except asyncio.IncompleteReadError:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=serving)
        port = server.sockets[0].getsockname()[1]
        for name, answers in (("dns.example", True), ("other.example", False)):
            text = f"forward . tls://127.0.0.1:{port} {{\n tls {tmp_path}/ca.crt\n tls_servername {name}\n}}"
            block = context()
            plugin = forward.setup(directive(text), block)
            try:
                if answers:
                    names = [f"{n}.example." for n in range(5)]
                    replies = [await plugin.serve(query(each)) for each in names]
                    assert [r.answer[0].name for r in replies] == names
                    assert len(connections) == 1, "one connection for all"
                else:
                    with pytest.raises(ServeError, match="certificate"):
                        await plugin.serve(query("a.example."))
            finally:
                await plugin.stop()
        server.close()

    asyncio.run(run())


def test_answers_of_another_class_are_noise() -> None:
    async def scenario(resolver: Resolver, asking: Upstream) -> None:
        other = query("a.example.")
        other.cls = wire.CHAOS
        assert (await asking.exchange(other, "udp")).answer
        resolver.mode = "noise"
        assert (await asking.exchange(query("a.example."), "udp")).answer

    with_resolver(scenario)


def test_numbers_and_ports_of_queries_are_hard_to_guess() -> None:
    async def scenario(resolver: Resolver, asking: Upstream) -> None:
        for n in range(200):
            await asking.exchange(query(f"{n}.example."), "udp")
        assert len(set(resolver.ids)) > 190
        assert len({id & 0xFF for id in resolver.ids}) > 80

    with_resolver(scenario)
