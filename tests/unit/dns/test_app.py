"""The whole server on real sockets: UDP, TCP, forwarding, reloading."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pybernetes.dns import server, wire
from pybernetes.dns.app import App, StartError
from pybernetes.dns.wire import Answer, Reply


class Resolver(asyncio.DatagramProtocol):
    """Somewhere else: answers every A question with one address, and drops names that begin with `silent`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]  # UDP's
        self.asked: list[str] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = wire.decode_query(data)
        self.asked.append(query.name)
        if not query.name.startswith("silent"):
            answer = Answer(0, [wire.address_record(query.name, "192.0.2.5", 77)], flags=wire.RA)
            self.transport.sendto(wire.encode_answer(query, answer), addr)


@contextlib.asynccontextmanager
async def resolver() -> AsyncIterator[tuple[Resolver, int]]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Resolver, ("127.0.0.1", 0))
    try:
        yield protocol, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


async def ask(port: int, name: str, type: int = wire.A, size: int = 0, cls: int = wire.IN) -> Reply:
    """Over UDP."""
    loop = asyncio.get_running_loop()
    received: asyncio.Future[bytes] = loop.create_future()

    class Client(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            received.set_result(data)

    transport, _ = await loop.create_datagram_endpoint(Client, remote_addr=("127.0.0.1", port))
    transport.sendto(wire.encode_query(77, name, type, size=size, cls=cls))
    try:
        async with asyncio.timeout(60):
            return wire.decode_reply(await received)
    finally:
        transport.close()


async def ask_tcp(port: int, *names: str) -> list[Reply]:
    """All over one connection, all sent before the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for name in names:
        message = wire.encode_query(78, name, wire.A)
        writer.write(len(message).to_bytes(2, "big") + message)
    replies = []
    for _ in names:
        length = int.from_bytes(await reader.readexactly(2), "big")
        replies.append(wire.decode_reply(await reader.readexactly(length)))
    writer.close()
    await writer.wait_closed()
    return replies


def serving(folder: Path, corefile: str, scenario: Callable[[App, int, Resolver], Awaitable[None]]) -> None:
    """UPSTREAM in the Corefile stands for the resolver."""

    async def run() -> None:
        async with resolver() as (elsewhere, port):
            path = folder / "Corefile"
            path.write_text(corefile.replace("UPSTREAM", f"127.0.0.1:{port}"))
            app = App(path, 0)
            await app.start()
            try:
                (listener,) = app.listeners.values()
                await scenario(app, listener.port, elsewhere)
            finally:
                await app.stop()

    asyncio.run(run())


COREFILE = """
. {
    bind 127.0.0.1
    errors
    hosts {
        192.0.2.1 local.example
        fallthrough
    }
    forward . UPSTREAM
    cache 30
}
"""


def test_udp_tcp_cache_and_forwarding(tmp_path: Path) -> None:
    async def scenario(app: App, port: int, elsewhere: Resolver) -> None:
        local = await ask(port, "Local.Example.")
        assert (local.id, local.name, local.answer.answer[0].data) == (77, "Local.Example.", bytes([192, 0, 2, 1]))
        for _ in range(3):
            far = await ask(port, "far.example.", size=1232)
            assert far.answer.answer[0].data == bytes([192, 0, 2, 5])
            assert far.answer.answer[0].ttl == 30
        assert elsewhere.asked == ["far.example."]
        replies = await ask_tcp(port, "local.example.", "local.example.")
        assert [r.answer.answer[0].data[-1] for r in replies] == [1, 1]

    serving(tmp_path, COREFILE, scenario)


def test_strange_questions_are_refused_in_their_own_way(tmp_path: Path) -> None:
    async def scenario(app: App, port: int, elsewhere: Resolver) -> None:
        loop = asyncio.get_running_loop()
        received: asyncio.Queue[bytes] = asyncio.Queue()

        class Client(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: object) -> None:
                received.put_nowait(data)

        transport, _ = await loop.create_datagram_endpoint(Client, remote_addr=("127.0.0.1", port))
        question = wire.encode_query(5, "local.example.", wire.A)
        cases = [
            (question[:2] + b"\x28\0" + question[4:], wire.NOTIMP),  # an update
            (question[:-3], wire.FORMERR),
            (question[:11] + b"\1" + question[12:] + b"\0\0\x29\x04\xd0\0\1\0\0\0\0", 0),  # EDNS version 1: BADVERS
        ]
        for data, rcode in cases:
            transport.sendto(data)
            reply = await received.get()
            assert reply[3] & 15 == rcode, data
        transport.sendto(question[:2] + b"\x80\0" + question[4:])  # an answer: nobody answers that
        transport.sendto(question)
        assert (await received.get())[3] & 15 == 0
        assert received.empty()
        transport.close()

    serving(tmp_path, COREFILE, scenario)


def test_a_zone_that_nobody_serves_is_refused(tmp_path: Path) -> None:
    async def scenario(app: App, port: int, elsewhere: Resolver) -> None:
        assert (await ask(port, "a.example.")).answer.rcode == wire.NOERROR
        assert (
            await ask(port, "a.b.other.example.")
        ).answer.rcode == wire.SERVFAIL  # the longest zone: it has no plugin
        assert (await ask(port, "example.org.")).answer.rcode == wire.REFUSED
        for name, rcode in (("a.example.", wire.NOERROR), ("a.other.example.", wire.REFUSED)):
            assert (await ask(port, name, cls=wire.CHAOS)).answer.rcode == rcode, "only forward has other classes"

    text = "example {\n bind 127.0.0.1\n forward . UPSTREAM\n}\nother.example {\n bind 127.0.0.1\n errors\n}"
    serving(tmp_path, text, scenario)


def test_a_changed_file_is_taken_and_a_wrong_one_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(app: App, port: int, elsewhere: Resolver) -> None:
        path = tmp_path / "Corefile"
        text = path.read_text()
        path.write_text(text.replace("192.0.2.1 ", "192.0.2.9 "))
        await app.reload()
        assert (await ask(port, "local.example.")).answer.answer[0].data[-1] == 9
        path.write_text(text + "}")
        await app.reload()
        assert (await ask(port, "local.example.")).answer.answer[0].data[-1] == 9
        assert "the old one stays" in caplog.text
        assert app.metrics.reload_failed.samples[()] == 1

    serving(tmp_path, COREFILE, scenario)


def test_a_server_that_forwards_to_itself_ends(tmp_path: Path) -> None:
    async def run() -> None:
        probe = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = probe.sockets[0].getsockname()[1]
        probe.close()
        path = tmp_path / "Corefile"
        path.write_text(f".:{port} {{\n bind 127.0.0.1\n loop\n forward . 127.0.0.1:{port}\n}}")
        with pytest.raises(StartError, match=f'Loop .* -> :{port}. detected for zone "."'):
            async with asyncio.timeout(60):
                await App(path, 53).run()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (". {\n nonsense\n}", "Corefile:2 - Error during parsing: Unknown directive 'nonsense'"),
        (". {\n errors\n}\n. {\n errors\n}", "cannot serve dns://.:0 - it is already defined"),
        ("cluster.local {\n kubernetes {\n pods some\n }\n}", "wrong value for pods: some"),
        ("in-addr.arpa {\n kubernetes\n}", "non-reverse zone name must be used"),
        (". {\n kubernetes cluster.local {\n kubeconfig /nowhere\n }\n}", "kubeconfig '/nowhere' does not exist"),
    ],
)
def test_a_file_that_cannot_be_served_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "Corefile"
    path.write_text(text)
    with pytest.raises(StartError) as caught:
        asyncio.run(App(path, 0).start())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_replies_come_from_the_address_that_was_asked(tmp_path: Path) -> None:
    """Clients take no others; the addresses alternate, so that none is taken for the last one."""

    async def scenario(app: App, port: int, elsewhere: Resolver) -> None:
        loop = asyncio.get_running_loop()
        for number in range(12):
            host = f"127.0.0.{1 + number % 3}"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.setblocking(False)
                client.connect((host, port))
                await loop.sock_sendall(client, wire.encode_query(number, "a.example.", wire.A, size=1232))
                async with asyncio.timeout(60):
                    reply = wire.decode_reply(await loop.sock_recv(client, 4096))
                assert reply.id == number
                assert reply.answer.options == ((65001, socket.inet_aton(host)),)

    serving(tmp_path, ". {\n rewrite edns0 local set 65001 {server_ip}\n whoami\n}", scenario)


@pytest.mark.skipif(not server._has_ipv6(), reason="needs IPv6")
def test_both_families(tmp_path: Path) -> None:
    async def scenario(app: App, port: int, elsewhere: Resolver) -> None:
        loop = asyncio.get_running_loop()
        for family, host, type in ((socket.AF_INET, "127.0.0.1", wire.A), (socket.AF_INET6, "::1", wire.AAAA)):
            with socket.socket(family, socket.SOCK_DGRAM) as client:
                client.setblocking(False)
                client.connect((host, port))
                await loop.sock_sendall(client, wire.encode_query(1, "a.example.", wire.A))
                async with asyncio.timeout(60):
                    reply = wire.decode_reply(await loop.sock_recv(client, 4096))
                assert reply.answer.additional[0] == wire.address_record("a.example.", host, 0)
                assert reply.answer.additional[0].type == type

    serving(tmp_path, ". {\n whoami\n}", scenario)
