"""The HTTP client against the project's own server."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from pybernetes.client.http import ConnectFailed, Duplex, HTTPClient, _Connection
from pybernetes.wire.http import BodyWriter, Request, Response, Server, StreamingResponse, serve


async def answer(request: Request) -> Response | StreamingResponse:
    """Echoes, streams, or closes, as the path says."""
    if request.raw_path == b"/stream":

        async def produce(writer: BodyWriter) -> None:
            for number in range(3):
                await writer.write(b"%d\n" % number)

        return StreamingResponse(produce)
    if request.raw_path == b"/close":
        return Response(200, [("Connection", "close")], b"bye")
    return Response(201, [("X-Method", request.method)], request.body or b"empty")


def run(body: Callable[[HTTPClient, Server], Awaitable[None]]) -> None:
    async def main() -> None:
        server = await serve(answer)
        client = HTTPClient(f"http://127.0.0.1:{server.port}")
        try:
            await body(client, server)
        finally:
            await client.close()
            await server.stop(0)

    asyncio.run(main())


def test_requests_share_a_connection() -> None:
    async def body(client: HTTPClient, server: Server) -> None:
        for payload in (b"a", b"b"):
            got = await client.request("POST", "/x", body=payload)
            assert (got.status, got.body, got.headers["x-method"]) == (201, payload, "POST")
        assert len(server.connections) == 1

    run(body)


def test_parallel_requests() -> None:
    async def body(client: HTTPClient, server: Server) -> None:
        answers = await asyncio.gather(*(client.request("POST", "/", body=b"%d" % n) for n in range(20)))
        assert [a.body for a in answers] == [b"%d" % n for n in range(20)]

    run(body)


def test_open_connection_is_used_again() -> None:
    async def body(client: HTTPClient, server: Server) -> None:
        for method in ("GET", "POST", "HEAD", "GET"):
            await client.request(method, "/", timeout=60)
        assert len(server.connections) == 1

    run(body)


def test_closed_connection_is_not_reused() -> None:
    async def body(client: HTTPClient, server: Server) -> None:
        assert (await client.request("GET", "/close")).body == b"bye"
        assert (await client.request("GET", "/")).body == b"empty"

    run(body)


def test_stream() -> None:
    async def body(client: HTTPClient, server: Server) -> None:
        async with client.stream("GET", "/stream") as stream:
            assert stream.status == 200
            assert b"".join([piece async for piece in stream]) == b"0\n1\n2\n"

    run(body)


def test_restarted_server_is_found_again() -> None:
    async def body(client: HTTPClient, server: Server) -> None:
        await client.request("GET", "/")
        await server.stop(0)
        again = await serve(answer, port=server.port)
        try:
            assert (await client.request("GET", "/")).status == 201
        finally:
            await again.stop(0)

    run(body)


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("PUT", 1), ("DELETE", 1), ("POST", 1), ("PATCH", 1)])
@pytest.mark.parametrize("gone", [False, True], ids=["the server is back", "the server is gone"])
def test_what_may_have_been_done_is_not_done_again(method: str, times: int, gone: bool) -> None:
    """The kind: a server that is killed before its answer. What was sent is never said not to have been."""

    async def main() -> None:
        received: list[bytes] = []

        async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            received.append(await reader.readuntil(b"\r\n\r\n"))
            if gone:
                server.close()
            writer.close()

        server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
        client = HTTPClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await client.request("GET", "/")
        if method == "GET" and not gone:
            assert (await client.request(method, "/")).status == 200
            times_sent = len(received) + 1
        else:
            with pytest.raises(ConnectionError) as error:
                await client.request(method, "/")
            assert not isinstance(error.value, ConnectFailed)
            times_sent = len(received)
        assert times_sent == (1 if gone else times)
        await client.close()
        server.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_no_server() -> None:
    async def main() -> None:
        server = await serve(answer)
        await server.stop(0)
        with pytest.raises(ConnectFailed, match="cannot connect"):
            await HTTPClient(f"http://127.0.0.1:{server.port}").request("GET", "/")

    asyncio.run(main())


@pytest.mark.parametrize("host", ["a" * 64, "a..b", f"x.{'ü' * 60}"])
def test_what_is_no_name_of_dns_is_nowhere(host: str) -> None:
    """The kind: addresses come from objects (nodes, webhooks), where nobody has looked at them as names."""

    async def main() -> None:
        client = HTTPClient(f"http://{host}:1")
        with pytest.raises(ConnectFailed, match="cannot connect") as refused:
            await client.request("GET", "/", timeout=5)
        assert isinstance(refused.value.__cause__, socket.gaierror)
        await client.close()

    asyncio.run(main())


def test_injected_line_break_is_refused() -> None:
    async def body(client: HTTPClient, server: Server) -> None:
        with pytest.raises(ValueError, match="line break"):
            await client.request("GET", "/", [("X", "a\r\nEvil: 1")])

    run(body)


class OnceClosed(asyncio.Transport):
    """Refuses a second close."""

    closing = False

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        assert not self.closing, "after this, Python 3.11.2 fails to abort a TLS transport"
        self.closing = True


def test_an_upgraded_connection_may_be_closed_twice() -> None:
    async def body() -> bool:
        connection = _Connection()
        connection.connection_made(OnceClosed())
        stream = Duplex(connection)
        stream.close()
        stream.close()
        return connection.transport.is_closing()

    assert asyncio.run(body())
