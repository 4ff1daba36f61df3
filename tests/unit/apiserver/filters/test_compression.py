"""Large answers are compressed where that is wanted."""

import asyncio
import gzip
import zlib

import pytest

from pybernetes.apiserver.filters.compression import Compression
from pybernetes.wire.http import BodyWriter, Response, StreamingResponse

from .links import OK, PODS, Next, exchange, request, run

JSON = ("Content-Type", "application/json")


@pytest.mark.parametrize(
    ("accepts", "size", "compressed"),
    [
        ("gzip, deflate", 200_000, True),
        ("deflate,gzip", (128 << 10) + 1, True),
        ("gzip", 128 << 10, False),
        ("br", 200_000, False),
        ("gzip;q=0", 200_000, False),
        ("gzip;q=1.0, x-gzip", 200_000, False),  # upstream compares whole tokens
    ],
)
def test_by_size_and_by_what_the_client_takes(accepts: str, size: int, compressed: bool) -> None:
    large = Response(200, [JSON], b"x" * size)
    answered = run(Compression(), exchange(request("GET", PODS, accept_encoding=accepts)), Next(large))
    assert isinstance(answered, Response)
    assert (("Content-Encoding", "gzip") in answered.headers) is compressed
    assert (gzip.decompress(answered.body) if compressed else answered.body) == b"x" * size


def test_what_is_encoded_stays() -> None:
    encoded = Response(200, [JSON, ("content-encoding", "x")], b"x" * 200_000)
    assert run(Compression(), exchange(request("GET", PODS, accept_encoding="gzip")), Next(encoded)) is encoded


def test_long_running_requests_pass() -> None:
    rest = Next(OK)
    asked = exchange(request("GET", PODS, "watch=1"))
    assert run(Compression(), asked, rest) is OK
    assert rest.seen == [asked]


def test_large_lists_are_compressed_as_they_are_written() -> None:
    pieces = [b"x" * 100_000, b"y" * 300_000, b"z"]
    written: list[bytes] = []

    class Writer:
        async def write(self, data: bytes) -> None:
            written.append(data)

    async def produce(writer: BodyWriter) -> None:
        for piece in pieces:
            await writer.write(piece)

    asked = exchange(request("GET", PODS, accept_encoding="gzip"))
    answered = run(Compression(), asked, Next(StreamingResponse(produce, 200, [JSON])))
    assert isinstance(answered, StreamingResponse)
    assert ("Content-Encoding", "gzip") in answered.headers
    asyncio.run(answered.producer(Writer()))  # type: ignore[arg-type]
    assert gzip.decompress(b"".join(written)) == b"".join(pieces)


WATCH = "watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"


@pytest.mark.parametrize(
    ("query", "accepts", "compressed"),
    [
        (WATCH, "gzip", True),
        (WATCH, "", False),
        (WATCH.replace("sendInitialEvents=true", "sendInitialEvents=false"), "gzip", False),
        ("watch=1&allowWatchBookmarks=true", "gzip", False),
        ("watch=1&sendInitialEvents=true", "gzip", False),
    ],
)
def test_watches_that_begin_with_a_list_are_compressed(query: str, accepts: str, compressed: bool) -> None:
    """Each piece can be read as it comes, and no piece is held back: there is one member, for readers such as Go's give the end of one only
    with the beginning of the next."""
    pieces = [b"", b"a" * 10, b"b" * 100_000, b"", b"c"]
    written: list[bytes] = []

    class Writer:
        async def write(self, data: bytes) -> None:
            written.append(data)

    async def produce(writer: BodyWriter) -> None:
        for piece in pieces:
            await writer.write(piece)

    asked = exchange(request("GET", PODS, query, accept_encoding=accepts))
    answered = run(Compression(), asked, Next(StreamingResponse(produce, 200, [JSON])))
    assert isinstance(answered, StreamingResponse)
    assert (("Content-Encoding", "gzip") in answered.headers) is compressed
    asyncio.run(answered.producer(Writer()))  # type: ignore[arg-type]
    if compressed:
        reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
        assert [reader.decompress(piece) for piece in written[:-1]] == pieces and not reader.eof
        assert reader.decompress(written[-1]) == b"" and reader.eof and not reader.unused_data
    assert (gzip.decompress(b"".join(written)) if compressed else b"".join(written)) == b"".join(pieces)
