"""The HTTP/1.1 server, over loopback sockets with raw bytes."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pybernetes.client.http import HTTPClient
from pybernetes.wire.http import BodyWriter, Handler, Limits, Request, Response, Server, StreamingResponse, serve

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HOST = b"Host: x\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
GET_CLOSE = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def echo(request: Request) -> Response:
    return Response(200, [("X-Path", request.raw_path.decode())], request.method.encode() + b" " + request.body)


def run(
    handler: Handler,
    script: Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    limits: Limits | None = None,
) -> None:
    async def main() -> None:
        server = await serve(handler, "127.0.0.1", 0, None, limits)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            async with asyncio.timeout(10):
                await script(server, reader, writer)
        finally:
            writer.close()
            await server.stop(0.2)

    asyncio.run(main())


def exchange(handler: Handler, raw: bytes, limits: Limits | None = None) -> bytes:
    """Send bytes and return everything until the server closes."""
    answer = b""

    async def script(_: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answer
        writer.write(raw)
        answer = await reader.read(-1)

    run(handler, script, limits)
    return answer


async def read_response(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    size = next((int(x[15:]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length:")), 0)
    return head, await reader.readexactly(size)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_request_fields() -> None:
    seen: list[Request] = []

    async def handler(request: Request) -> Response:
        seen.append(request)
        return Response()

    raw = (
        b"POST /a%2Fb?x=%20&y HTTP/1.1\r\nHost: x\r\nX-Group: A\r\nx-group: b\r\n"
        b"Connection: close\r\nContent-Length: 3\r\n\r\nabc"
    )
    assert exchange(handler, raw).startswith(b"HTTP/1.1 200 OK\r\n")
    (request,) = seen
    assert (request.method, request.raw_path, request.query, request.body) == ("POST", b"/a%2Fb", b"x=%20&y", b"abc")
    assert request.header_values("X-Group") == ["A", "b"]
    assert request.header("HOST") == "x"
    assert request.header("absent") is None
    assert request.peer_certificate is None


def test_absolute_target() -> None:
    answer = exchange(echo, b"GET http://x/p?q HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"X-Path: /p\r\n" in answer


def test_keep_alive_byte_by_byte() -> None:
    async def script(_: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _i in range(2):
            for byte in b"PUT /k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n":
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
            head, body = await read_response(reader)
            assert b"connection" not in head.lower()
            assert body == b"PUT hi"

    run(echo, script)


def test_pipelining_is_ordered_beyond_the_depth() -> None:
    running = 0

    async def handler(request: Request) -> Response:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        running -= 1
        return Response(body=request.raw_path)

    raw = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % i for i in range(100)) + GET_CLOSE
    answer = exchange(handler, raw, Limits(pipeline_depth=2))
    bodies = [part.split(b"\r\n\r\n")[1] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"/%d" % i for i in range(100)] + [b"/last"]


def test_error_follows_earlier_responses() -> None:
    answer = exchange(echo, GET + b"nonsense\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 400 Bad Request" in answer


def test_expect_continue() -> None:
    async def script(_: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GET + b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        head = (await read_response(reader))[0]
        assert status(head) == 200
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        assert (await read_response(reader))[1] == b"POST ok"

    run(echo, script)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\x16\x03\x01 junk\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nExpect: magic\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 300 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 300, 431),
        (b"GET /" + b"a" * 300, 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" + b"a" * 20 + b"\r\n", 413),
        (b"GET / HTTP/1.1\r\nHo", 408),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", 408),
    ],
)
def test_rejections(raw: bytes, expected: int) -> None:
    async def handler(_: Request) -> Response:
        raise AssertionError("not reached")

    answer = exchange(handler, raw, Limits(header_bytes=256, body_bytes=10, read_seconds=0.05))
    assert status(answer) == expected
    assert b"Connection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1") == 1


def test_too_large_body_is_answered_while_the_client_sends() -> None:
    size = 8 << 20
    answer = exchange(echo, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"a" * size)
    assert status(answer) == 413


def test_body_at_the_default_limit() -> None:
    size = 3 << 20
    raw = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size + b"a" * size
    assert exchange(echo, raw).endswith(b"POST " + b"a" * size)


def test_idle_connection_is_closed_silently() -> None:
    limits = Limits(idle_seconds=0.05)
    assert exchange(echo, b"", limits) == b""
    assert exchange(echo, GET, limits).count(b"HTTP/1.1") == 1


def test_head_and_bodyless_statuses() -> None:
    async def stream(writer: BodyWriter) -> None:
        raise AssertionError("not reached")

    async def handler(request: Request) -> Response | StreamingResponse:
        if request.raw_path == b"/s":
            return StreamingResponse(stream)
        return Response(204 if request.raw_path == b"/n" else 200, body=b"hello")

    heads = b"".join(b"HEAD /%b HTTP/1.1\r\n%b\r\n" % (p, HOST) for p in (b"s", b""))
    answer = exchange(handler, heads + b"GET /n HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in answer
    assert answer.count(b"Content-Length: 5\r\n") == 1
    assert b"hello" not in answer
    assert answer.endswith(b"\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 3


def test_http_1_0() -> None:
    async def stream(writer: BodyWriter) -> None:
        await writer.write(b"ab")
        await writer.write(b"c")

    async def handler(request: Request) -> Response | StreamingResponse:
        return StreamingResponse(stream) if request.raw_path == b"/s" else Response(body=b"x")

    answer = exchange(handler, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /s HTTP/1.0\r\n\r\n")
    assert b"Connection: keep-alive\r\n" in answer
    assert b"chunked" not in answer
    assert answer.endswith(b"\r\n\r\nabc")


def test_upgrade_is_answered_and_closed() -> None:
    raw = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nrest"
    answer = exchange(echo, raw)
    assert status(answer) == 200
    assert b"Connection: close" in answer


def test_data_after_close_is_ignored() -> None:
    assert exchange(echo, GET_CLOSE + GET).count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("kind", ["raise", "cancelled", "header"])
def test_handler_failure_is_logged_once(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(_: Request) -> Response:
        if kind == "raise":
            raise RuntimeError("secret")
        if kind == "cancelled":
            raise asyncio.CancelledError
        return Response(headers=[("X", "a\r\nEvil: 1")])

    with caplog.at_level(logging.INFO):
        answer = exchange(handler, GET)
    assert status(answer) == 500
    assert b"secret" not in answer
    assert b"Evil" not in answer
    assert len([r for r in caplog.records if r.name == "pybernetes.wire.http"]) == 1


def test_stream_chunks_then_keep_alive() -> None:
    async def stream(writer: BodyWriter) -> None:
        await writer.write(b"one")
        await writer.write(b"")
        await writer.write(b"x" * 17)

    async def handler(request: Request) -> Response | StreamingResponse:
        return Response(body=b"end") if request.raw_path == b"/last" else StreamingResponse(stream)

    answer = exchange(handler, GET + GET_CLOSE)
    assert b"\r\n\r\n3\r\none\r\n11\r\n" + b"x" * 17 + b"\r\n0\r\n\r\nHTTP/1.1 200 OK" in answer
    assert answer.endswith(b"end")


def test_stream_failure_truncates(caplog: pytest.LogCaptureFixture) -> None:
    async def stream(writer: BodyWriter) -> None:
        await writer.write(b"one")
        raise RuntimeError

    async def handler(_: Request) -> StreamingResponse:
        return StreamingResponse(stream)

    answer = exchange(handler, GET)
    assert answer.endswith(b"3\r\none\r\n")
    assert len([r for r in caplog.records if r.name == "pybernetes.wire.http"]) == 1


@pytest.mark.parametrize("abort", [False, True])
def test_stream_is_cancelled_on_disconnect_under_back_pressure(abort: bool) -> None:
    written = 0
    events: list[str] = []

    async def script(_: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        before = -1
        while before != written:  # the producer stands still once the buffers are full
            before = written
            await asyncio.sleep(0.02)
        assert 0 < written < 1 << 27
        if abort:
            writer.transport.abort()
        else:
            writer.close()
        await done.wait()

    async def stream(writer: BodyWriter) -> None:
        nonlocal written
        try:
            while True:
                await writer.write(b"a" * 65536)
                written += 65536
        except asyncio.CancelledError:
            events.append("cancelled")
            raise
        finally:
            done.set()

    async def handler(_: Request) -> StreamingResponse:
        return StreamingResponse(stream)

    done = asyncio.Event()
    run(handler, script)
    assert events == ["cancelled"]


def test_stop_drains_requests_and_closes_idle_connections() -> None:
    async def main() -> None:
        entered, release = asyncio.Event(), asyncio.Event()

        async def handler(_: Request) -> Response:
            entered.set()
            await release.wait()
            return Response(body=b"done")

        server = await serve(handler, "127.0.0.1", 0, None, Limits())
        idle: Client = await asyncio.open_connection("127.0.0.1", server.port)
        busy: Client = await asyncio.open_connection("127.0.0.1", server.port)
        busy[1].write(GET)
        await entered.wait()
        stopping = asyncio.create_task(server.stop())
        assert await idle[0].read() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)
        assert not stopping.done()
        release.set()
        answer = await busy[0].read()
        assert answer.endswith(b"done")
        assert b"Connection: close\r\n" in answer
        await stopping
        for _, writer in (idle, busy):
            writer.close()

    asyncio.run(main())


def test_stop_cancels_after_the_grace() -> None:
    async def main() -> None:
        cancelled = asyncio.Event()

        async def stream(_: BodyWriter) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        async def handler(_: Request) -> StreamingResponse:
            return StreamingResponse(stream)

        server = await serve(handler, "127.0.0.1", 0, None, Limits(drain_seconds=0.05))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        await server.stop()
        assert cancelled.is_set()
        writer.close()

    asyncio.run(main())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_peer_certificate(tmp_path: Path) -> None:
    pem, key = tmp_path / "peer.pem", tmp_path / "peer.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=peer"
    subprocess.run([*command.split(), "-keyout", key, "-out", pem], check=True, capture_output=True)
    der = ssl.PEM_cert_to_DER_cert(pem.read_text())

    def context(side: int) -> ssl.SSLContext:
        made = ssl.SSLContext(side)
        made.check_hostname = False
        made.load_cert_chain(pem, key)
        made.load_verify_locations(pem)
        made.verify_mode = ssl.CERT_REQUIRED
        return made

    async def handler(request: Request) -> Response:
        return Response(body=request.peer_certificate or b"none")

    async def main() -> None:
        server = await serve(handler, "127.0.0.1", 0, context(ssl.PROTOCOL_TLS_SERVER), Limits(linger_seconds=0.05))
        for raw, expected in ((GET_CLOSE, 200), (b"bad\r\n\r\n", 400)):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", server.port, ssl=context(ssl.PROTOCOL_TLS_CLIENT)
            )
            writer.write(raw)
            answer = await reader.read()
            assert status(answer) == expected
            if expected == 200:
                assert answer.endswith(der)
            writer.close()
            await writer.wait_closed()
        await server.stop()

    asyncio.run(main())


def test_a_client_of_the_same_process_needs_no_socket() -> None:
    async def main() -> None:
        async def handler(request: Request) -> Response:
            return Response(200, [("X-Who", str(request.peer_certificate))], request.body[::-1])

        server = await serve(handler)
        client = HTTPClient("http://in.process", dial=lambda protocol: server.connect(protocol, b"der"))
        first = await client.request("POST", "/", body=b"x" * 200_000 + b"end")
        second = await client.request("GET", "/")
        assert (first.status, first.body[:4], len(first.body)) == (200, b"dnex", 200_003)
        assert second.headers["x-who"] == "b'der'"
        assert len(server.connections) == 1, "it is kept for the next request"
        await client.close()
        await server.stop(0)

    asyncio.run(main())
