"""Packets of strangers on a real socket: no crash, no word to what deserves none, nothing larger than a question pays for."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pybernetes.dns import server, wire
from pybernetes.dns.app import App
from pybernetes.dns.eager import begin
from pybernetes.dns.wire import Reply

from .test_app import ask, serving

PACKETS = int(os.environ.get("DNS_PACKETS", "20000"))
SEED = int(os.environ.get("DNS_SEED", "7"))
AT_ONCE = 50  # which any socket's buffer holds

COREFILE = """
.:1053 {
    bind 127.0.0.1
    errors {
        consolidate 1h .*
    }
    local
    any
    rewrite name regex (.*)[.]old[.]example {1}.example answer auto
    rewrite edns0 subnet set 24 56
    acl {
        filter type HINFO
    }
    cache 30 {
        serve_stale
        prefetch 2
    }
    template IN TXT example {
        match ^(.*)[.]example[.]$
        answer "{{ .Name }} 60 IN TXT {{ index .Match 1 }}"
        fallthrough
    }
    file DB example
    hosts {
        192.0.2.1 a.b
        fallthrough
    }
}
"""
ZONE = "@ SOA a b 1 2 3 4 5\n* A 192.0.2.1\nc CNAME d\nd CNAME c\nbig TXT " + " ".join(["x" * 250] * 12) + "\n"


def packets(dice: random.Random) -> bytes:
    """A question that is wrong in one way or another, or in none."""
    labels = dice.choice([["c"], ["big"], ["x"], ["a", "b"], [], ["y" * dice.randint(1, 63)] * dice.randint(1, 4)])
    name = ".".join([*labels, dice.choice(["example", "old.example", "localhost", "b"])]) + "."
    type = dice.choice([*wire.TYPES, dice.randrange(65536)])
    try:
        data = wire.encode_query(
            dice.getrandbits(16),
            name,
            type,
            dice.choice([wire.RD, 0, dice.getrandbits(16)]),
            dice.choice([0, 0, 1232, dice.randrange(65536)]),
            dice.random() < 0.3,
            dice.choice([1, 1, 1, dice.randrange(65536)]),
            tuple((dice.randrange(20), dice.randbytes(dice.randrange(40))) for _ in range(dice.randrange(4))),
        )
    except wire.WireError:
        data = dice.randbytes(30)
    kind = dice.randrange(8)
    if kind == 0:
        data = data[: dice.randrange(len(data) + 1)]
    elif kind == 1:
        place = dice.randrange(len(data))
        data = data[:place] + dice.randbytes(1) + data[place + 1 :]
    elif kind == 2:
        data = dice.randbytes(dice.randrange(200))
    elif kind == 3:
        data += dice.randbytes(dice.randrange(1400))
    elif kind == 4:
        data = data[:12] + b"\xc0\x0c" + data[12:]  # a name that points to itself
    return data


def allowed(data: bytes) -> int:
    """Bytes that an answer to this may have: what a client without EDNS takes, or says it does (its OPT record is the last thing read)."""
    try:
        return wire.decode_query(data).size
    except wire.WireError:
        return 12  # a header


async def received_or_again(client: socket.socket, marker: bytes) -> bytes:
    """The next datagram; the marker is sent again where it may have been lost on a busy machine."""
    loop = asyncio.get_running_loop()
    for _ in range(60):
        try:
            async with asyncio.timeout(1):
                return await loop.sock_recv(client, 65535)
        except TimeoutError:
            await loop.sock_sendall(client, marker)
    raise AssertionError("the server does not answer any more")


def test_strange_packets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "db").write_text(ZONE)
    corefile = COREFILE.replace(":1053", ":0").replace("DB", str(tmp_path / "db"))

    async def scenario(app: App, port: int, _: object) -> None:
        dice = random.Random(SEED)
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(("127.0.0.1", port))
            received = 0
            most: dict[bytes, int] = {}  # by number; those of one batch may be answered in the next
            for _ in range(PACKETS // AT_ONCE):
                sent = [packets(dice) for _ in range(AT_ONCE)]
                for data in sent:
                    most[data[:2]] = max(most.get(data[:2], 0), allowed(data))
                    await loop.sock_sendall(client, data)
                marker = wire.encode_query(1, "marker.example.", wire.A)
                await loop.sock_sendall(client, marker)
                while True:
                    reply = await received_or_again(client, marker)
                    if b"marker" in reply:
                        break
                    received += 1
                    assert reply[2] & 0x80, "an answer"
                    assert len(reply) <= most[reply[:2]], "no larger than that client may be sent"
            assert received > PACKETS / 3
        assert (await ask(port, "x.example.")).answer.answer[0].data == bytes([192, 0, 2, 1])

    serving(tmp_path, corefile, scenario)
    assert [r.message for r in caplog.records if r.exc_info] == [], "faults of the program"


def test_answers_to_answers_are_none(tmp_path: Path) -> None:
    async def scenario(app: App, port: int, _: object) -> None:
        reply = wire.encode_query(9, "x.example.", wire.A, wire.QR)
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(("127.0.0.1", port))
            for data in (reply, reply[:12], b"", b"x" * 11):
                await loop.sock_sendall(client, data)
            await loop.sock_sendall(client, wire.encode_query(8, "x.example.", wire.A))
            async with asyncio.timeout(60):
                assert (await loop.sock_recv(client, 512))[:2] == b"\0\x08"

    serving(tmp_path, ".:0 {\n bind 127.0.0.1\n whoami\n}", scenario)


@pytest.mark.parametrize(
    "corefile",
    [
        '.:0 {\n bind 127.0.0.1\n template IN A {\n answer "{{ .Name }} 1 IN CNAME x{{ .Name }}"\n }\n}',
        '.:0 {\n bind 127.0.0.1\n template IN A {\n answer "{{ .Name }} 1 IN CNAME {{ .Name }}"\n }\n}',
        ".:0 {\n bind 127.0.0.1\n rewrite cname suffix example example\n"
        ' template IN A {\n answer "{{ .Name }} 1 IN CNAME a.example."\n }\n}',
    ],
)
def test_lookups_that_lead_in_a_circle_end(tmp_path: Path, corefile: str) -> None:
    async def scenario(app: App, port: int, _: object) -> None:
        reply = await ask(port, "a.example.")
        assert len(reply.answer.answer) <= 10

    serving(tmp_path, corefile, scenario)


async def tcp(port: int, *messages: bytes) -> list[Reply | None]:
    """The answers to what is sent over one connection; None: it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    replies: list[Reply | None] = []
    try:
        for message in messages:
            writer.write(len(message).to_bytes(2, "big") + message)
            try:
                async with asyncio.timeout(60):
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    replies.append(wire.decode_reply(await reader.readexactly(length)))
            except (asyncio.IncompleteReadError, ConnectionError):
                replies.append(None)
                break
    finally:
        writer.close()
    return replies


def test_long_answers_are_cut_off_and_come_whole_over_tcp(tmp_path: Path) -> None:
    (tmp_path / "db").write_text(ZONE)

    async def scenario(app: App, port: int, _: object) -> None:
        for size, cut in ((0, True), (1232, True), (4096, False), (65535, False)):
            reply = await ask(port, "big.example.", wire.TXT, size=size)
            assert bool(reply.flags & wire.TC) == cut
        (whole,) = await tcp(port, wire.encode_query(1, "big.example.", wire.TXT))
        assert whole is not None
        assert len(whole.answer.answer[0].data) == 12 * 251

    serving(tmp_path, f"example:0 {{\n bind 127.0.0.1\n file {tmp_path}/db\n}}", scenario)


def test_connections_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 1)
    message = wire.encode_query(1, "a.example.", wire.A)

    async def scenario(app: App, port: int, _: object) -> None:
        replies = await tcp(port, *[message] * 3)
        assert [reply is None for reply in replies] == [False, False, True], "maxtcpqueries"
        _, first = await asyncio.open_connection("127.0.0.1", port)
        try:
            await eventually(lambda: answered(port, message, None))
        finally:
            first.close()
        await eventually(lambda: answered(port, message, 1))

    text = ".:0 {\n bind 127.0.0.1\n timeouts {\n maxtcpqueries 2\n }\n whoami\n}"
    serving(tmp_path, text, scenario)


async def answered(port: int, message: bytes, id: int | None) -> bool:
    (reply,) = await tcp(port, message)
    return (None if reply is None else reply.id) == id


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.005)


def test_queries_that_wait_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_PENDING", 3)

    async def scenario(app: App, port: int, elsewhere: object) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(("127.0.0.1", port))
            for number in range(10):
                await loop.sock_sendall(client, wire.encode_query(number, f"silent{number}.example.", wire.A))
            (listener,) = app.listeners.values()
            async with asyncio.timeout(60):
                while len(listener._tasks) < 3:
                    await asyncio.sleep(0.001)
            assert len(listener._tasks) == 3

    serving(tmp_path, ".:0 {\n bind 127.0.0.1\n forward . UPSTREAM\n}", scenario)


def test_what_waits_for_nothing_needs_no_task() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        steps: list[str] = []

        async def at_once() -> None:
            steps.append("at once")

        async def later() -> None:
            await asyncio.sleep(0)
            assert asyncio.current_task() is not None
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                steps.append("cancelled")
                await asyncio.sleep(0)
                raise

        assert begin(at_once(), loop) is None
        task = begin(later(), loop)
        assert task is not None
        await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert steps == ["at once", "cancelled"]

    asyncio.run(run())


@pytest.mark.parametrize("data", [b"\0\x0a\0\x10x", b"\0\x0a\0", struct.pack("!HH", 3, 1)])
def test_options_that_are_cut_off(data: bytes) -> None:
    with pytest.raises(wire.WireError, match="an option is cut off"):
        wire.read_options(data)


def test_options_are_bounded() -> None:
    assert len(wire.read_options(struct.pack("!HH", 10, 0) * 5000)) == wire.MAX_OPTIONS
