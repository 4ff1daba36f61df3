"""The HTTP/1.1 server, over loopback sockets with raw bytes."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pybernetes.client.http import HTTPClient
from pybernetes.wire.http import (
    BodyError,
    BodyWriter,
    Handler,
    Limits,
    Request,
    Response,
    Server,
    StreamingResponse,
    serve,
)
from pybernetes.wire.unwritten import Unwritten

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
            async with asyncio.timeout(60):
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

    patience = 0.05 if expected == 408 else 60.0
    answer = exchange(handler, raw, Limits(header_bytes=256, body_bytes=10, read_seconds=patience))
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
    assert len([r for r in caplog.records if r.name == "pybernetes.wire.connection"]) == 1


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
    assert len([r for r in caplog.records if r.name == "pybernetes.wire.connection"]) == 1


@pytest.mark.parametrize("abort", [False, True])
def test_stream_is_cancelled_on_disconnect_under_back_pressure(abort: bool) -> None:
    written = 0
    events: list[str] = []

    async def script(_: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        before = -1
        while not written or before != written:  # the producer stands still once the buffers are full
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


def test_a_handler_that_asks_for_bodies_refuses_without_reading() -> None:
    """Of who may not send nothing is read but what came along, and the connection ends with the answer."""
    held: list[int] = []

    async def handler(request: Request) -> Response:
        await asyncio.sleep(0.2)  # somebody asks who it is, while the peer goes on sending
        assert request.incoming is not None
        held.append(len(request.incoming))
        return Response(401)

    async def main() -> bytes:
        server = await serve(handler, asks_for_bodies=True)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (3 << 20) + b"a" * (3 << 20))
        answer = await reader.read(-1)
        writer.close()
        await server.stop(0.2)
        return answer

    answer = asyncio.run(main())
    assert status(answer) == 401
    assert b"Connection: close\r\n" in answer
    assert held[0] <= 512 << 10


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_asked_for_is_read_to_its_end_or_limit(chunked: bool) -> None:
    async def handler(request: Request) -> Response:
        try:
            return Response(200, body=b"%d" % len((await request.whole()).body))
        except BodyError as error:
            return Response(error.status, body=b"%d" % error.limit)

    def raw(size: int) -> bytes:
        if not chunked:
            return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"a" * size
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"a" * size)

    async def main() -> tuple[bytes, bytes, bytes]:
        server = await serve(handler, limits=Limits(body_bytes=1 << 20), asks_for_bodies=True)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(raw(10))
        small = (await read_response(reader))[1]
        writer.write(raw(1 << 20))
        large = (await read_response(reader))[1]  # on the same connection
        writer.write(raw((1 << 20) + 1))
        refused = b"".join(await read_response(reader))
        writer.close()
        await server.stop(0.2)
        return small, large, refused

    small, large, refused = asyncio.run(main())
    assert (small, large) == (b"10", b"%d" % (1 << 20))
    assert status(refused) == 413
    assert refused.endswith(b"%d" % (1 << 20))


def test_the_client_is_told_to_go_on_only_when_its_body_is_wanted() -> None:
    async def handler(request: Request) -> Response:
        return Response(403) if request.raw_path == b"/no" else Response(body=(await request.whole()).body)

    async def ask(path: bytes) -> bytes:
        server = await serve(handler, asks_for_bodies=True)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST %b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n" % path)
        first = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"ok")
        writer.close()
        await server.stop(0.2)
        return first

    assert status(asyncio.run(ask(b"/no"))) == 403
    assert asyncio.run(ask(b"/yes")) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_body_that_stops_in_its_middle_fails_its_reader() -> None:
    errors: list[int] = []

    async def handler(request: Request) -> Response:
        try:
            await request.whole()
        except BodyError as error:
            errors.append(error.status)
        return Response(400)

    async def main() -> bytes:
        server = await serve(handler, limits=Limits(read_seconds=0.1), asks_for_bodies=True)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        answer = await reader.read(-1)
        writer.close()
        await server.stop(0.2)
        return answer

    assert status(asyncio.run(main())) == 400
    assert errors == [408]


def test_pipelined_requests_are_not_read_ahead_without_bound() -> None:
    """One connection sends 20 MB of requests while the first is answered: what is held is a pipeline's worth and a read."""
    go_on = asyncio.Event()
    size = 200_000

    async def handler(request: Request) -> Response:
        await go_on.wait()
        return Response(200, body=b"%d" % len(request.body))

    async def main() -> tuple[int, int]:
        server = await serve(handler)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write((b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"a" * size) * 100)
        while not server.connections:
            await asyncio.sleep(0.01)
        (connection,) = server.connections
        held = -1
        while held != connection._queued_bytes:  # until it reads no more
            held = connection._queued_bytes
            await asyncio.sleep(0.1)
        go_on.set()
        answers = [await read_response(reader) for _ in range(100)]
        writer.close()
        await server.stop(0.2)
        return held, sum(body == b"%d" % size for _, body in answers)

    held, answered = asyncio.run(main())
    assert held < 1 << 20
    assert answered == 100


def test_who_reads_nothing_holds_a_piece_of_a_shared_answer() -> None:
    """Streams and large bodies are handed over by pieces: counted are the bytes that each connection's transport keeps."""
    body = b"x" * (8 << 20)

    async def stream(writer: BodyWriter) -> None:
        await writer.write(body)

    async def handler(request: Request) -> Response | StreamingResponse:
        return StreamingResponse(stream) if request.raw_path == b"/s" else Response(body=body)

    async def main() -> tuple[list[int], int, int]:
        server = await serve(handler)
        sockets = []
        for path in (b"/s", b"/b") * 5:
            one = socket.create_connection(("127.0.0.1", server.port))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.sendall(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            sockets.append(one)
        while len(server.connections) < 10 or not server.unwritten.total:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)  # more would come, if it were taken
        held = [connection._transport.get_write_buffer_size() for connection in server.connections]
        counted = server.unwritten.total
        for one in sockets:
            one.close()
        while server.connections:
            await asyncio.sleep(0.02)
        left = server.unwritten.total
        await server.stop(0.2)
        return held, counted, left

    held, counted, left = asyncio.run(main())
    assert len(held) == 10
    assert max(held) <= 256 << 10
    assert (
        0 < counted <= 5 * len(body)
    )  # the five whole answers are counted, streams hold no more than the transport does
    assert left == 0


class Cut:
    """A reader that notes whether it was cut off."""

    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def test_stalled_readers_make_room_for_others() -> None:
    now = 0.0
    unwritten = Unwritten(100, lambda: now)
    first, second, third, fourth = Cut(), Cut(), Cut(), Cut()
    assert unwritten.enter(first, 60)
    now = 0.5
    assert unwritten.enter(second, 30)
    assert not unwritten.enter(third, 50)  # nobody has stalled yet
    assert (first.aborted, second.aborted, unwritten.total) == (False, False, 90)
    now = 1.2
    assert unwritten.enter(third, 50)
    assert (first.aborted, second.aborted, unwritten.total) == (True, False, 80)
    unwritten.left(second, 5)
    unwritten.leave(third)
    assert unwritten.total == 5
    unwritten.leave(second)
    assert unwritten.enter(fourth, 1000)  # alone, anything
