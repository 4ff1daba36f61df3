"""A client of the same process sees what one with a connection does."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pybernetes.client.http import Answer, HTTPClient
from pybernetes.client.inprocess import InProcessClient
from pybernetes.wire.http import BodyError, BodyWriter, Dropped, Request, Response, Server, StreamingResponse, serve

Ways = Callable[[Server], HTTPClient]
WAYS: dict[str, Ways] = {
    "connection": lambda server: HTTPClient(f"http://127.0.0.1:{server.port}"),
    "call": lambda server: InProcessClient(lambda: server, b"der"),
}


class Handler:
    """Answers as the path says; remembers what it was asked and how that ended."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.cancelled: list[str] = []
        self.waiting = asyncio.Event()
        self.written = 0

    async def __call__(self, request: Request) -> Response | StreamingResponse:
        self.requests.append(request)
        path = request.raw_path.decode()
        try:
            return await self._answer(path, request)
        except asyncio.CancelledError:
            self.cancelled.append(path)
            raise

    async def _answer(self, path: str, request: Request) -> Response | StreamingResponse:
        if path == "/waits":
            self.waiting.set()
            await asyncio.Event().wait()
        if path == "/fails":
            raise RuntimeError("a mistake")
        if path == "/dropped":
            raise Dropped
        if path in ("/stream", "/cut", "/much", "/endless"):
            return StreamingResponse(lambda writer: self._produce(path, writer), 200, [("X-Way", path)])
        try:
            body = (await request.whole()).body
        except BodyError as error:
            return Response(error.status)
        return Response(201, [("X-Way", path), ("X-Twice", "1"), ("X-Twice", "2")], body or request.query)

    async def _produce(self, path: str, writer: BodyWriter) -> None:
        await writer.write(b"")
        try:
            if path == "/much":
                for _ in range(100):
                    await writer.write(b"x" * 16_384)
                    self.written += 1
                return
            for number in range(3):
                await writer.write(b"%d\n" % number)
            if path == "/cut":
                raise RuntimeError("a mistake")
            if path == "/endless":
                self.waiting.set()
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append(path)
            raise


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Ways:
    return WAYS[request.param]


def run(way: Ways, body: Callable[[HTTPClient, Handler, Server], Awaitable[None]]) -> None:
    async def main() -> None:
        handler = Handler()
        server = await serve(handler, asks_for_bodies=True)
        client = way(server)
        try:
            async with asyncio.timeout(60):
                await body(client, handler, server)
        finally:
            await client.close()
            await server.stop(0)
        assert not server.connections and not server.tasks

    asyncio.run(main())


def test_requests_and_answers(way: Ways) -> None:
    async def body(client: HTTPClient, handler: Handler, server: Server) -> None:
        for method, sent in (("GET", b""), ("POST", b"a"), ("PUT", b"b"), ("PATCH", b"c"), ("DELETE", b"d")):
            got = await client.request(method, "/a%20b?q=%2F&r=1", [("X-Name", " two words ")], sent)
            assert (got.status, got.body) == (201, sent or b"q=%2F&r=1")
            assert (got.headers["x-way"], got.headers["x-twice"]) == ("/a%20b", "2")
            asked = handler.requests[-1]
            assert (asked.method, asked.raw_path, asked.query) == (method, b"/a%20b", b"q=%2F&r=1")
            assert asked.header("x-name") == "two words " and asked.header("host") and asked.peer == "127.0.0.1"
        head = await client.request("HEAD", "/x")
        assert (head.status, head.body) == (201, b"")

    run(way, body)


def test_the_certificate_is_shown() -> None:
    async def body(client: HTTPClient, handler: Handler, server: Server) -> None:
        for method in ("GET", "HEAD"):  # by a call, by a connection
            await client.request(method, "/")
            assert handler.requests[-1].peer_certificate == b"der"

    run(WAYS["call"], body)


def test_the_limit_of_bodies_is_kept(way: Ways) -> None:
    async def body(client: HTTPClient, handler: Handler, server: Server) -> None:
        large = b"x" * 200_000
        assert (await client.request("POST", "/", body=large)).body == large
        assert (await client.request("POST", "/", body=large * 16)).status == 413

    run(way, body)


@pytest.mark.parametrize("target", ["/a b", "no/slash"])
def test_what_is_no_target_is_for_the_parser_to_refuse(way: Ways, target: str) -> None:
    async def body(client: HTTPClient, handler: Handler, server: Server) -> None:
        assert (await client.request("GET", target)).status == 400
        assert handler.requests == []

    run(way, body)


def test_a_header_of_two_lines_is_an_error(way: Ways) -> None:
    async def body(client: HTTPClient, handler: Handler, server: Server) -> None:
        with pytest.raises(ValueError, match="line break"):
            await client.request("GET", "/", [("X-A", "b\r\nX-C: d")])

    run(way, body)


def test_streams(way: Ways) -> None:
    async def body(client: HTTPClient, handler: Handler, server: Server) -> None:
        async with client.stream("GET", "/stream") as stream:
            assert (stream.status, stream.headers["x-way"]) == (200, "/stream")
            assert b"".join([piece async for piece in stream]) == b"0\n1\n2\n"
        assert (await client.request("GET", "/stream")).body == b"0\n1\n2\n"

    run(way, body)


def test_a_reader_that_is_slow_holds_the_writer_up(way: Ways) -> None:
    async def body(client: HTTPClient, handler: Handler, server: Server) -> None:
        async with client.stream("GET", "/much") as stream:
            for _ in range(1000):
                await asyncio.sleep(0)
            assert handler.written < 100
            assert len(await stream.read()) == 100 * 16_384
            assert handler.written == 100

    run(WAYS["call"], body)  # a socket's buffers take more


@pytest.mark.parametrize("path", ["/waits", "/endless"])
def test_who_leaves_ends_the_handler(way: Ways, path: str) -> None:
    async def body(client: HTTPClient, handler: Handler, server: Server) -> None:
        async def ask() -> None:
            async with client.stream("GET", path) as stream:
                await stream.read()

        asking = asyncio.ensure_future(ask())
        await handler.waiting.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        while handler.cancelled != [path]:
            await asyncio.sleep(0.001)

    run(way, body)


@pytest.mark.parametrize("path", ["/waits", "/endless"])
@pytest.mark.parametrize("who", ["server", "client"])
def test_an_end_of_either_side_is_an_error_for_who_waits(way: Ways, path: str, who: str) -> None:
    async def body(client: HTTPClient, handler: Handler, server: Server) -> None:
        asking = asyncio.ensure_future(client.request("GET", path))
        await handler.waiting.wait()
        await (server.stop(0) if who == "server" else client.close())
        with pytest.raises(ConnectionResetError):
            await asking
        while handler.cancelled != [path]:
            await asyncio.sleep(0.001)

    run(way, body)


def test_a_server_that_has_ended_answers_nobody(way: Ways) -> None:
    async def body(client: HTTPClient, handler: Handler, server: Server) -> None:
        await client.request("GET", "/")
        await server.stop(0)
        with pytest.raises(ConnectionError):
            await client.request("POST", "/")

    run(way, body)


def test_a_handler_that_fails(way: Ways) -> None:
    """Before its answer has begun that is a 500, later the answer is cut off."""

    async def body(client: HTTPClient, handler: Handler, server: Server) -> None:
        assert (await client.request("GET", "/fails")).status == 500
        with pytest.raises(ConnectionError):
            await client.request("POST", "/dropped")
        async with client.stream("GET", "/cut") as stream:
            with pytest.raises(ConnectionError):
                await stream.read()

    run(way, body)


def test_times(way: Ways) -> None:
    async def body(client: HTTPClient, handler: Handler, server: Server) -> None:
        with pytest.raises(TimeoutError):
            await client.request("GET", "/waits", answer_timeout=0.01)
        with pytest.raises(TimeoutError):
            async with client.stream("GET", "/waits", head_timeout=0.01):
                raise AssertionError("its head never comes")
        async with client.stream("GET", "/endless") as stream:
            assert await stream.piece()
            stream.expire_in(0.01)
            with pytest.raises(TimeoutError, match=r"after 0\.01 s"):
                await stream.read()

    run(way, body)


def test_many_at_once(way: Ways) -> None:
    async def body(client: HTTPClient, handler: Handler, server: Server) -> None:
        answers: list[Answer] = await asyncio.gather(
            *(client.request("POST", "/", body=b"%d" % number) for number in range(200))
        )
        assert [answer.body for answer in answers] == [b"%d" % number for number in range(200)]

    run(way, body)
