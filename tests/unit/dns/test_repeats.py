"""Replies that are given again: the same as if each were worked out, counted alike, and never where somebody has to see the query."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pybernetes.dns import repeats, wire
from pybernetes.dns.app import App
from pybernetes.dns.repeats import Repeats
from pybernetes.dns.wire import Answer, Query

LOCAL, OTHER = b"\x7f\0\0\1", b"\x7f\0\0\2"


async def nobody(query: Query) -> Answer:
    raise AssertionError("nobody is asked")


async def another(query: Query) -> Answer:
    raise AssertionError("nobody is asked")


def kept(store: Repeats, data: bytes, until: float = 5.0, told: Callable[[int, int], None] | None = None) -> bytes:
    query = wire.decode_query(data)
    query.local = (LOCAL, 53)
    answer = Answer(0, [wire.address_record(query.name, "192.0.2.1", 9)], same_until=until)
    answer.again = (told,) if told is not None else ()
    reply = wire.encode_answer(query, answer)
    store.keep(data, query, answer, reply, nobody)
    return reply


def test_only_the_same_message_to_the_same_address_has_it_again() -> None:
    store, data = Repeats(), wire.encode_query(7, "web.example.", wire.A)
    reply = kept(store, data)
    assert store.again(data, LOCAL, nobody, 4.9) == reply
    assert store.again(b"\x12\x34" + data[2:], LOCAL, nobody, 4.9) == b"\x12\x34" + reply[2:]
    others = [
        (data, LOCAL, nobody, 5.0),  # its TTL is another one
        (data, OTHER, nobody, 4.9),
        (data, LOCAL, another, 4.9),  # the Corefile is another one
        (wire.encode_query(7, "WEB.example.", wire.A), LOCAL, nobody, 4.9),
        (wire.encode_query(7, "web.example.", wire.AAAA), LOCAL, nobody, 4.9),
        (wire.encode_query(7, "web.example.", wire.A, flags=0), LOCAL, nobody, 4.9),
        (wire.encode_query(7, "web.example.", wire.A, size=1232), LOCAL, nobody, 4.9),
        (data[:-1], LOCAL, nobody, 4.9),
        (b"", LOCAL, nobody, 4.9),
    ]
    assert [store.again(*each) for each in others] == [None] * len(others)


def test_what_seldom_comes_again_is_not_kept_and_there_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    store, told = Repeats(), list[tuple[int, int]]()
    cookie = wire.encode_query(7, "web.example.", wire.A, size=1232, options=((10, b"12345678"),))
    long = wire.encode_query(7, "web.example.", wire.A) + bytes(repeats.MAX_BYTES)
    for data in (cookie, long):
        kept(store, data)
        assert store.again(data, LOCAL, nobody, 1.0) is None
    monkeypatch.setattr(repeats, "MAX_REPLIES", 3)
    messages = [wire.encode_query(7, f"{n}.example.", wire.A) for n in range(4)]
    for data in messages[:3]:
        kept(store, data, told=lambda times, length: told.append((times, length)))
        store.again(data, LOCAL, nobody, 1.0)
    reply = kept(store, messages[3])
    assert [store.again(data, LOCAL, nobody, 1.0) for data in messages] == [None, None, None, reply]
    assert told == [(1, len(reply))] * 3  # what was given is counted before it is forgotten


COREFILE = """
.:0 {{
    bind 127.0.0.1
    {before}
    prometheus 127.0.0.1:0
    errors
    {cache}
    hosts {{
        192.0.2.1 one.example
        192.0.2.1 many.example
        192.0.2.2 many.example
        192.0.2.3 many.example
        2001:db8::1 one.example
    }}
}}
"""  # fmt: skip


async def asked(tmp_path: Path, before: str, cache: str, messages: list[bytes]) -> tuple[list[bytes], str]:
    """The replies, one after the other, and what metrics say then."""
    path = tmp_path / "Corefile"
    path.write_text(COREFILE.format(before=before, cache=cache))
    app = App(path, 53)
    await app.start()
    loop = asyncio.get_running_loop()
    replies = []
    try:
        (listener,) = app.listeners.values()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(("127.0.0.1", listener.port))
            for message in messages:
                await loop.sock_sendall(client, message)
                async with asyncio.timeout(10):
                    replies.append(await loop.sock_recv(client, 4096))
        return replies, app.metrics.text()
    finally:
        await app.stop()


def messages_of(*names: str) -> list[bytes]:
    kinds = itertools.product(names, (wire.A, wire.AAAA, wire.TXT), (0, 512, 1232), (False, True), (wire.RD, 0))
    return [
        wire.encode_query(number, name, type, flags, size, dnssec)
        for number, (name, type, size, dnssec, flags) in enumerate(kinds)
    ]


COUNTED = r"^(coredns_dns_(?:requests|responses|do_requests)_total\S* \S+|coredns_dns_re\w+_size_bytes\S+ \S+)$"


def test_replies_and_counts_are_those_of_a_server_that_works_each_out(tmp_path: Path) -> None:
    """Time aside: TTLs are of a cache that has held for less than a second."""
    messages = messages_of("one.example.", "oNe.ExAmPlE.", "none.example.") * 3
    given, metrics = asyncio.run(asked(tmp_path, "", "cache 3600", messages))
    plain, expected = asyncio.run(asked(tmp_path, "log", "cache 3600", messages))
    ttl = re.compile(rb"\0\0\x0e[\x00-\xff]")
    assert [ttl.sub(b"ttl", reply) for reply in given] == [ttl.sub(b"ttl", reply) for reply in plain]
    counted = [re.findall(COUNTED, text, re.M) for text in (metrics, expected)]
    assert counted[0] == counted[1] and len(counted[0]) > 20
    hits = [re.findall(r"^(coredns_cache_(?:requests|hits)_total\S* \S+)$", text, re.M) for text in (metrics, expected)]
    assert hits[0] == hits[1] and len(hits[0]) == 2


@pytest.mark.parametrize(
    ("before", "cache", "name", "given"),
    [
        ("", "cache 3600", "one.example.", True),
        ("loadbalance", "cache 3600", "one.example.", True),
        ("", "", "one.example.", False),  # nobody says how long it stays the same
        ("log", "cache 3600", "one.example.", False),  # has a line of each
        ("acl {\n allow net 127.0.0.1\n }", "cache 3600", "one.example.", False),  # looks at the client
        ("rewrite name one.example many.example", "cache 3600", "one.example.", False),
        ("loadbalance", "cache 3600", "many.example.", False),  # each time in another order
        ("", "cache 3600 {\n prefetch 2\n }", "one.example.", False),  # counts how often one asks
    ],
)
def test_only_what_nobody_has_to_see_is_given_again(
    before: str, cache: str, name: str, given: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO)
    times, again = 0, Repeats.again

    def counted(self: Repeats, *arguments: object) -> bytes | None:
        nonlocal times
        reply = again(self, *arguments)  # type: ignore[arg-type]
        times += reply is not None
        return reply

    monkeypatch.setattr(Repeats, "again", counted)
    message = wire.encode_query(1, name, wire.A)
    replies, metrics = asyncio.run(asked(tmp_path, before, cache, [message] * 20))
    assert bool(times) is given and times <= 18
    assert (
        'type="A",view="",zone="."} 20' in metrics or 'zone=".",view="",proto="udp",family="1",type="A"} 20' in metrics
    )
    if before == "log":
        assert caplog.text.count("one.example.") == 20
    if name == "many.example.":
        assert len(set(replies)) > 1
