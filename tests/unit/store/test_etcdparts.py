"""The parts of the store in etcd that need no etcd: addresses, versions, what is no HTTP/2."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.store.backends import LocationError
from pybernetes.store.etcd import channel
from pybernetes.store.etcd.channel import Channel, Endpoint
from pybernetes.store.etcd.http2 import UNAVAILABLE, Connection, RPCError, Stream
from pybernetes.store.etcd.messages import (
    DeleteRange,
    ModRevisionIs,
    Put,
    Range,
    Txn,
    WatchCreate,
    WatchEvent,
    WatchResponse,
    prefix_end,
)
from pybernetes.store.etcd.store import page_size
from pybernetes.store.etcd.watch import Landmark, Watch, reliable_progress
from pybernetes.store.etcd.wire import ProtobufError, chunk, fields, number
from pybernetes.store.types import Event as StoreEvent
from pybernetes.store.types import KeyValue


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


class Written(asyncio.Transport):
    """Keeps what is written, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closing = False

    def write(self, data: object) -> None:
        self.writes.append(bytes(data))  # type: ignore[call-overload]

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True


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
        connection.connection_made(Written())
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


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def message(data: bytes) -> bytes:
    return b"\0" + len(data).to_bytes(4, "big") + data


def trailers(status: bytes) -> bytes:
    return b"\0\x0bgrpc-status" + bytes((len(status),)) + status


def test_calls_of_one_turn_go_out_together_and_answers_come_in_any_pieces() -> None:
    async def scenario() -> None:
        connection, transport = Connection("a", tls=False), Written()
        connection.connection_made(transport)
        await asyncio.sleep(0)
        transport.writes.clear()
        streams = [connection.call("/x") for _ in range(3)]
        answers = [asyncio.ensure_future(stream.answer(60)) for stream in streams]
        for stream in streams:
            stream.send(b"asked", last=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        [written] = transport.writes
        assert written.count(frame(0, 1, 3, message(b"asked"))) == 1 and written.count(b"/x") == 3
        told = frame(1, 4, 1, b"\x88") + frame(0, 0, 1, message(b"one")) + frame(1, 5, 1, trailers(b"0"))
        told += frame(0, 0, 3, message(b"two")[:-2]) + frame(0, 0, 3, b"wo") + frame(1, 5, 3, trailers(b"5"))
        told += frame(0, 0, 5, message(b"")) + frame(1, 5, 5, trailers(b"0"))
        for place in range(0, len(told), 7):
            connection.data_received(told[place : place + 7])
        one, two, three = await asyncio.gather(*answers, return_exceptions=True)
        assert (one, three) == (b"one", b"")
        assert isinstance(two, RPCError) and two.status == 5
        assert not connection.busy

    asyncio.run(scenario())


def test_the_server_begins_while_more_is_to_be_sent() -> None:
    async def scenario() -> None:
        connection, transport = Connection("a", tls=False), Written()
        connection.connection_made(transport)
        await asyncio.sleep(0)
        transport.writes.clear()
        for _ in range(5):
            connection.call("/x").send(b"", last=True)
        [early] = transport.writes
        await asyncio.sleep(0)
        assert [write.count(b"/x") for write in transport.writes] == [4, 1] and transport.writes[0] is early

    asyncio.run(scenario())


def test_who_waits_no_longer_tells_the_server() -> None:
    async def scenario() -> None:
        connection, transport = Connection("a", tls=False), Written()
        connection.connection_made(transport)
        with pytest.raises(TimeoutError):
            await connection.call("/x").answer(0.0)
        await asyncio.sleep(0)
        assert transport.writes[-1] == frame(3, 0, 1, (8).to_bytes(4, "big"))  # RST_STREAM, CANCEL
        assert not connection.busy

    asyncio.run(scenario())


def test_what_was_sent_may_have_been_done_though_others_could_not_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first endpoint refuses the connection, the second never answers."""

    async def scenario() -> None:
        calls = Channel([Endpoint("http://a"), Endpoint("http://b")], None)
        connection = Connection("b", tls=False)
        connection.connection_made(Written())

        async def connect(endpoint: Endpoint) -> Connection:
            if endpoint.host == "a":
                raise ConnectionRefusedError("refused")
            return connection

        monkeypatch.setattr(calls, "_connect", connect)
        with pytest.raises(RPCError, match="timed out") as failed:
            await calls.call("/x", b"", seconds=0.05)
        assert not failed.value.unsent
        await calls.close()

    asyncio.run(scenario())


def test_what_a_member_says_counts_more_than_that_others_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two members of three are lost: the third knows of no leader."""

    async def scenario() -> None:
        calls = Channel([Endpoint("http://a"), Endpoint("http://b"), Endpoint("http://c")], None)
        tried = list[str]()

        class Leaderless(Connection):
            def call(self, path: str) -> Stream:
                stream = super().call(path)
                self._finish(stream.number, RPCError(UNAVAILABLE, "etcdserver: no leader"))
                return stream

        async def connect(endpoint: Endpoint) -> Connection:
            tried.append(endpoint.host)
            if endpoint.host == "a":
                connection = Leaderless("a", tls=False)
                connection.connection_made(Written())
                return connection
            raise ConnectionRefusedError("refused")

        monkeypatch.setattr(calls, "_connect", connect)
        monkeypatch.setattr(channel, "RETRY_SECONDS", 0.2)
        with pytest.raises(RPCError, match="etcdserver: no leader"):
            await calls.call("/x", b"", repeat=True, seconds=0.1)
        assert tried[:3] == ["a", "b", "c"]
        await calls.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("answers", [True, False])
def test_a_member_that_lets_a_call_wait_is_left_where_it_shows_no_sign_of_life(
    monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """One that is frozen or cut off, not one that has passed the call on to a leader that is gone."""
    for name in ("DOUBT_SECONDS", "PING_SECONDS"):
        monkeypatch.setattr(channel, name, 0.01)

    class Doubted(Connection):
        def ping(self) -> asyncio.Future[None]:
            pong = asyncio.get_running_loop().create_future()
            if answers:
                pong.set_result(None)
            return pong

    async def scenario() -> None:
        calls = Channel([Endpoint("http://a"), Endpoint("http://b")], None)
        connection = Doubted("a", tls=False)
        connection.connection_made(Written())
        calls._connection = connection
        with pytest.raises(RPCError, match="timed out" if answers else "it does not answer"):
            await calls.call("/x", b"", seconds=0.2, attempt_seconds=0.1)
        await calls.close()

    asyncio.run(scenario())


def event(revision: int, key: str, *, deleted: bool = False) -> WatchEvent:
    return WatchEvent(KeyValue(key, b"v", revision, revision), deleted)


def test_a_revision_is_told_whole_and_nothing_twice() -> None:
    """Fragments may divide a transaction of several keys, and a new connection may tell again what was told."""

    async def scenario() -> None:
        watch = Watch(Channel([Endpoint("http://a")], None), "/a/", 4, lambda: 0, asyncio.Event(), Landmark())

        def told(*events: WatchEvent, fragment: bool = False, revision: int = 0) -> list[tuple[str, int]]:
            response = WatchResponse(revision, fragment=fragment, events=list(events))
            found = watch._understood(response)
            for one in found:
                watch._after = one.revision
            return [(one.key if isinstance(one, StoreEvent) else "", one.revision) for one in found]

        assert told(event(3, "/a/old"), event(4, "/a/old")) == []
        assert told(event(5, "/a/1"), event(6, "/a/2"), fragment=True) == [("/a/1", 5)]
        assert told(event(6, "/a/3"), fragment=True) == []
        assert told(event(6, "/b/3"), event(7, "/a/4", deleted=True)) == [
            ("/a/2", 6),
            ("/a/3", 6),
            ("", 6),
            ("/a/4", 7),
        ]
        assert told(revision=7) == []
        assert told(revision=9) == [("", 9)]
        assert told(event(8, "/a/late")) == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("sizes", "page"), [([0], 1000), ([1000] * 100, 1000), ([100_000] * 10, 83), ([1_500_000] * 10, 10)]
)
def test_pages_are_about_as_large_as_each_other(sizes: list[int], page: int) -> None:
    assert page_size([KeyValue("k", b"x" * size, 1, 1) for size in sizes]) == page


@pytest.mark.parametrize(
    "request_",
    [
        Range(b"a", b"b", 3, 4, keys_only=True, count_only=True).encode(),
        Txn((ModRevisionIs(b"k", 0),), (Put(b"k", b"v" * 300, -5), Range(b"k")), (DeleteRange(b"k"),)).encode(),
        WatchCreate(b"k", b"\0", 1 << 40).encode(),
    ],
)
def test_what_is_cut_off_is_refused_or_says_less(request_: bytes) -> None:
    whole = list(fields(request_))
    refused = 0
    for end in range(len(request_)):
        try:
            found = list(fields(request_[:end]))
        except ProtobufError:
            refused += 1
        else:
            assert found == whole[: len(found)] and len(found) < len(whole)
    assert refused > len(request_) // 2


@given(st.integers(0, (1 << 64) - 1), st.binary(max_size=300))
def test_fields_come_back(value: int, data: bytes) -> None:
    message = number(1, value) + chunk(2, data) + number(30, 7)
    found = [(field, count, raw) for field, count, raw in fields(message)]
    assert found == ([(1, value, b"")] if value else []) + [(2, 0, data), (30, 7, b"")]


@pytest.mark.parametrize(("prefix", "end"), [(b"/a/", b"/a0"), (b"a\xff", b"b"), (b"\xff\xff", b"\0"), (b"", b"\0")])
def test_where_a_prefix_ends(prefix: bytes, end: bytes) -> None:
    assert prefix_end(prefix) == end


@pytest.mark.parametrize(("alive", "connected"), [(True, True), (False, True), (False, False)])
def test_a_member_that_gives_no_sign_of_life_is_left_at_once(
    monkeypatch: pytest.MonkeyPatch, alive: bool, connected: bool
) -> None:
    """What is under way at one that does is waited for: it may only lack a majority. One whose connection is lost is not asked."""
    monkeypatch.setattr(channel, "PING_SECONDS", 0.01)
    monkeypatch.setattr(channel, "ATTEMPT_SECONDS", 1000.0)

    class Silent(Connection):
        closed_with: list[str]
        usable = connected  # type: ignore[assignment]

        def ping(self) -> asyncio.Future[None]:
            assert connected
            answered = asyncio.get_running_loop().create_future()
            if alive:
                answered.set_result(None)
            return answered

        def close(self, why: str = "closed") -> None:
            self.closed_with.append(why)

    async def scenario() -> None:
        calls = Channel([Endpoint("http://a"), Endpoint("http://b")], None)
        connection = Silent("a", tls=False)
        connection.closed_with = []
        calls._connection = connection
        calls.leave(connection)
        [ending] = calls._ending
        await asyncio.wait((ending,), timeout=0.5 if alive else 60)
        assert bool(connection.closed_with) is not alive
        await calls.close()
        assert connection.closed_with == ["left for another endpoint"]

    asyncio.run(scenario())
