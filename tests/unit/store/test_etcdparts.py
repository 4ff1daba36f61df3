"""The parts of the store in etcd that need no etcd: addresses, versions, what is no HTTP/2."""

from __future__ import annotations

import asyncio

import pytest

from pybernetes.store.backends import LocationError
from pybernetes.store.etcd.channel import Endpoint
from pybernetes.store.etcd.http2 import UNAVAILABLE, Connection, RPCError
from pybernetes.store.etcd.watch import reliable_progress


@pytest.mark.parametrize(
    ("release", "reliable"),
    [
        ((3, 4, 23), False),
        ((3, 4, 25), True),
        ((3, 5, 0), False),
        ((3, 5, 7), False),
        ((3, 5, 8), True),
        ((3, 6, 0), True),
        ((4, 0, 0), True),
        ((), False),
    ],
)
def test_whose_progress_is_relied_on(release: tuple[int, ...], reliable: bool) -> None:
    assert reliable_progress(release) is reliable


@pytest.mark.parametrize("url", ["http://", "http://a:x", "ftp://a", "http://a/path", "http://a?x=1", "https://:2379"])
def test_what_is_no_endpoint(url: str) -> None:
    with pytest.raises(LocationError, match="http"):
        Endpoint(url)


@pytest.mark.parametrize(
    "noise",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0" * 100,
        b"\xff" * 100,
        b"\0\0\1\1\4\0\0\0\1\xff",
        b"\0\0\0\x09\4\0\0\0\1",
    ],
)
def test_what_is_no_http2_ends_the_connection(noise: bytes) -> None:
    async def scenario() -> None:
        connection = Connection("a", tls=False)
        writes: list[bytes] = []

        class Transport(asyncio.Transport):
            closing = False

            def write(self, data: object) -> None:
                writes.append(bytes(data))  # type: ignore[call-overload]

            def is_closing(self) -> bool:
                return self.closing

            def abort(self) -> None:
                self.closing = True

        connection.connection_made(Transport())
        stream = connection.call("/x")
        stream.send(b"", last=True)
        connection.data_received(noise)
        if connection.usable:
            connection.connection_lost(None)
        with pytest.raises(RPCError) as failed:
            await stream.receive()
        assert failed.value.status == UNAVAILABLE
        assert not connection.usable

    asyncio.run(scenario())
