"""Upgrades: raw streams, WebSocket, SPDY, and the commands and port-forwards on top of them."""

import asyncio
import json
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pybernetes.client.http import Answer, Duplex, HTTPClient
from pybernetes.wire import channels, remotecommand, spdy, websocket
from pybernetes.wire.duplex import Buffered, Pipe
from pybernetes.wire.http import Request, Response, StreamingResponse, Upgraded, UpgradeResponse, serve
from pybernetes.wire.remotecommand import CommandStreams, Wanted

SOCKET_HEADERS = [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]


async def echo(streams: CommandStreams) -> dict[str, Any]:
    """A command: repeats its input on stdout, complains on stderr, ends with 3."""
    while data := await streams.read_stdin():
        await streams.write_stdout(data.upper())
    await streams.write_stderr(b"done")
    return remotecommand.exit_status(3)


class Peer:
    """A connection to a port: answers what it gets, twice."""

    def __init__(self) -> None:
        self.pipe = Pipe()

    async def read(self) -> bytes:
        return await self.pipe.read()

    async def write(self, data: bytes) -> None:
        await self.pipe.feed(data * 2)

    def close(self) -> None:
        pass


async def connect(port: int) -> Peer:
    if port != 80:
        raise ConnectionRefusedError("nobody listens")
    return Peer()


async def handle(request: Request) -> Response | StreamingResponse | UpgradeResponse:
    if request.raw_path == b"/exec":
        return remotecommand.accept_command(request, Wanted(stdin=True, stdout=True, stderr=True), echo)
    if request.raw_path == b"/forward":
        return remotecommand.accept_port_forward(request, [80, 81], connect)

    async def raw(stream: Upgraded) -> None:
        while data := await stream.read():
            await stream.write(data[::-1])

    return UpgradeResponse("raw", raw) if request.header("upgrade") else Response(200, (), b"plain")


def run(body: Callable[[HTTPClient], Awaitable[None]]) -> None:
    async def main() -> None:
        server = await serve(handle)
        client = HTTPClient(f"http://127.0.0.1:{server.port}")
        try:
            async with asyncio.timeout(60):
                await body(client)
        finally:
            await client.close()
            await server.stop(0)

    asyncio.run(main())


async def opened(client: HTTPClient, path: str, headers: list[tuple[str, str]], protocol: str) -> Duplex:
    stream = await client.upgrade("POST", path, headers, protocol)
    assert not isinstance(stream, Answer), stream.body
    return stream


def test_raw_upgrade() -> None:
    async def body(client: HTTPClient) -> None:
        stream = await opened(client, "/raw", [], "raw")
        await stream.write(b"abc")
        assert await stream.read() == b"cba"
        stream.close()

    run(body)


def test_dictionary_is_the_drafts() -> None:
    assert (len(spdy.DICTIONARY), zlib.adler32(spdy.DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_handshake_of_the_rfc() -> None:
    request = Request("GET", b"/", b"", tuple((k.lower(), v) for k, v in SOCKET_HEADERS))
    assert websocket.handshake_headers(request, "") == [("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 70_000])
def test_websocket_messages(size: int) -> None:
    async def main() -> None:
        there, back = Pipe(1 << 20), Pipe(1 << 20)

        class End:
            def __init__(self, source: Pipe, target: Pipe) -> None:
                self.source, self.target = source, target

            async def read(self) -> bytes:
                return await self.source.read()

            async def write(self, data: bytes) -> None:
                await self.target.feed(data)

            def close(self) -> None:
                pass

        client, server = websocket.WebSocket(End(back, there), client=True), websocket.WebSocket(End(there, back))
        payload = bytes(range(256)) * (size // 256 + 1)
        await client.send(payload[:size])
        assert await server.receive() == payload[:size]
        await server.send(payload[:size])
        assert await client.receive() == payload[:size]
        await client.close()
        assert await server.receive() is None

    asyncio.run(main())


def test_command_over_websocket() -> None:
    async def body(client: HTTPClient) -> None:
        headers = [*SOCKET_HEADERS, ("Sec-WebSocket-Protocol", "v5.channel.k8s.io, v4.channel.k8s.io")]
        stream = await opened(client, "/exec", headers, "websocket")
        assert stream.headers["sec-websocket-protocol"] == "v5.channel.k8s.io"
        socket = websocket.WebSocket(stream, client=True)
        await socket.send(b"\x00hello")
        await socket.send(b"\xff\x00")  # v5: close stdin
        received: dict[int, bytes] = {}
        while (message := await socket.receive()) is not None:
            received[message[0]] = received.get(message[0], b"") + message[1:]
        assert (received[1], received[2]) == (b"HELLO", b"done")
        assert json.loads(received[3])["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]

    run(body)


ENDS = {0: remotecommand.SUCCESS, 3: remotecommand.exit_status(3), 500: remotecommand.failure_status("no such thing")}
TEXTS = {0: "", 3: "command terminated with non-zero exit code: exit status 3", 500: "no such thing"}


@pytest.mark.parametrize("code", list(ENDS))
@pytest.mark.parametrize(
    ("protocol", "status"),
    [
        ("v5.channel.k8s.io", True),
        ("v4.channel.k8s.io", True),
        ("v4.base64.channel.k8s.io", True),
        ("channel.k8s.io", False),
        ("base64.channel.k8s.io", False),
        ("", False),
    ],
)
def test_how_a_command_ends_over_websocket(protocol: str, status: bool, code: int) -> None:
    """Before v4 there is no Status: nothing is said of success, and a text of failure. The first channel is opened, no other."""

    async def command(streams: CommandStreams) -> dict[str, Any]:
        await streams.write_stdout(await streams.read_stdin())
        return ENDS[code]

    async def handler(request: Request) -> UpgradeResponse:
        return remotecommand.accept_command(request, Wanted(stdin=True, stdout=True, stderr=True), command)

    async def main() -> None:
        server = await serve(handler)
        client = HTTPClient(f"http://127.0.0.1:{server.port}")
        named = [("Sec-WebSocket-Protocol", protocol)] if protocol else []
        stream = await opened(client, "/exec", [*SOCKET_HEADERS, *named], "websocket")
        assert stream.headers.get("sec-websocket-protocol", "") == protocol
        socket = websocket.WebSocket(stream, client=True)
        await socket.send(*channels.pack(protocol, 0, b"hello"))
        received = []
        while (message := await socket.receive()) is not None:
            received.append(channels.unpack(protocol, message))
        assert received[:2] == [(1, b""), (1, b"hello")]
        if status:
            assert [(channel, json.loads(data)) for channel, data in received[2:]] == [(3, ENDS[code])]
        else:
            assert received[2:] == ([(3, TEXTS[code].encode())] if TEXTS[code] else [])
        await client.close()
        await server.stop(0)

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v4.base64.channel.k8s.io", ""])
def test_port_forward_over_websocket(protocol: str) -> None:
    async def body(client: HTTPClient) -> None:
        named = [("Sec-WebSocket-Protocol", protocol)] if protocol else []
        socket = websocket.WebSocket(
            await opened(client, "/forward", [*SOCKET_HEADERS, *named], "websocket"), client=True
        )
        received: list[tuple[int, bytes]] = []
        while len(received) < 5:
            received.append(channels.unpack(protocol, await socket.receive() or b""))
        assert received[:2] == [(0, b"P\0"), (1, b"P\0")]
        assert received[4] == (3, b"an error occurred forwarding 81: nobody listens")
        await socket.send(*channels.pack(protocol, 0, b"ab"))
        assert channels.unpack(protocol, await socket.receive() or b"") == (0, b"abab")
        await socket.close()

    run(body)


@pytest.mark.parametrize("message", [b"0***", b"0a", b"1===="])
def test_what_is_no_base64_ends_the_connection(message: bytes) -> None:
    with pytest.raises(websocket.ProtocolError, match="illegal base64 data"):
        channels.unpack("base64.channel.k8s.io", message)


class SPDYClient:
    """Just enough of the other end."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.input = stream, Buffered(stream)
        self.deflate = zlib.compressobj(zdict=spdy.DICTIONARY)
        self.data: dict[int, bytes] = {}
        self.finished: set[int] = set()

    async def open(self, number: int, **headers: str) -> None:
        block = struct.pack("!I", len(headers))
        for name, value in headers.items():
            block += struct.pack("!I", len(name)) + name.encode() + struct.pack("!I", len(value)) + value.encode()
        packed = self.deflate.compress(block) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        payload = struct.pack("!IIH", number, 0, 0) + packed
        await self.stream.write(struct.pack("!II", 0x80030001, len(payload)) + payload)

    async def send(self, number: int, data: bytes, fin: bool = False) -> None:
        await self.stream.write(struct.pack("!II", number, (int(fin) << 24) | len(data)) + data)

    async def until_finished(self, *numbers: int) -> None:
        while not self.finished >= set(numbers):
            word, size = struct.unpack("!II", await self.input.exactly(8))
            payload = await self.input.exactly(size & 0xFFFFFF)
            if not word & 0x80000000:
                self.data[word] = self.data.get(word, b"") + payload
                if size >> 24:
                    self.finished.add(word)


def test_command_over_spdy() -> None:
    async def body(client: HTTPClient) -> None:
        stream = await opened(client, "/exec", [("X-Stream-Protocol-Version", "v4.channel.k8s.io")], "SPDY/3.1")
        assert stream.headers["x-stream-protocol-version"] == "v4.channel.k8s.io"
        peer = SPDYClient(stream)
        for number, name in ((1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr")):
            await peer.open(number, streamtype=name)
        await peer.send(3, b"hello", fin=True)
        await peer.until_finished(1, 5, 7)
        assert (peer.data[5], peer.data[7]) == (b"HELLO", b"done")
        assert json.loads(peer.data[1])["reason"] == "NonZeroExitCode"
        stream.close()

    run(body)


@pytest.mark.parametrize("version", ["v3.channel.k8s.io", "v2.channel.k8s.io"])
def test_older_spdy_ends_with_a_text(version: str) -> None:
    async def body(client: HTTPClient) -> None:
        stream = await opened(client, "/exec", [("X-Stream-Protocol-Version", version)], "SPDY/3.1")
        peer = SPDYClient(stream)
        for number, name in ((1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr")):
            await peer.open(number, streamtype=name)
        await peer.send(3, b"", fin=True)
        await peer.until_finished(1, 5, 7)
        assert peer.data[1] == b"command terminated with non-zero exit code: exit status 3"
        stream.close()

    run(body)


@pytest.mark.parametrize("tunnelled", [False, True])
def test_port_forward(tunnelled: bool) -> None:
    async def body(client: HTTPClient) -> None:
        if tunnelled:
            headers = [*SOCKET_HEADERS, ("Sec-WebSocket-Protocol", "SPDY/3.1+portforward.k8s.io")]
            stream = await opened(client, "/forward", headers, "websocket")
            peer = SPDYClient(websocket.MessageDuplex(websocket.WebSocket(stream, client=True), stream))
        else:
            stream = await opened(client, "/forward", [("X-Stream-Protocol-Version", "portforward.k8s.io")], "SPDY/3.1")
            peer = SPDYClient(stream)
        await peer.open(1, streamtype="error", port="80", requestid="0")
        await peer.open(3, streamtype="data", port="80", requestid="0")
        await peer.send(3, b"ab")
        while peer.data.get(3) != b"abab":
            word, size = struct.unpack("!II", await peer.input.exactly(8))
            payload = await peer.input.exactly(size & 0xFFFFFF)
            if not word & 0x80000000:
                peer.data[word] = peer.data.get(word, b"") + payload
        await peer.open(5, streamtype="error", port="81", requestid="1")
        await peer.open(7, streamtype="data", port="81", requestid="1")
        await peer.until_finished(5)
        assert peer.data[5] == b"an error occurred forwarding 81: nobody listens"
        stream.close()

    run(body)
