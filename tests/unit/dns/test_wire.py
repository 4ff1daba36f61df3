"""Messages as bytes: questions, compressed replies, cut replies, and what is no message."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.dns import wire
from pybernetes.dns.wire import Answer, Query, Record, WireError

NAME = "Web.default.svc.cluster.local."


def asked(name: str = NAME, type: int = wire.A, size: int = 0) -> Query:
    return wire.decode_query(wire.encode_query(7, name, type, size=size), ("10.244.0.9", 40000))


def test_a_question_keeps_its_case_and_has_a_key() -> None:
    query = asked()
    assert (query.id, query.name, query.key) == (7, NAME, NAME.lower())
    assert (query.type, query.cls, query.size, query.edns) == (wire.A, wire.IN, 512, False)


def test_edns_says_how_much_the_client_takes() -> None:
    assert asked(size=1232).size == 1232
    assert asked(size=100).size == 512
    assert asked(size=65000).size == wire.MAX_UDP_BYTES
    data = wire.encode_query(7, NAME, wire.A, size=1232, dnssec=True)
    assert wire.decode_query(data).dnssec
    assert wire.decode_query(data, protocol="tcp").size == wire.MAX_TCP_BYTES


def test_a_reply_reads_back_as_it_was_meant() -> None:
    answer = Answer(
        0,
        [
            wire.name_record(NAME, wire.CNAME, "db.other.svc.cluster.local.", 30),
            wire.address_record("db.other.svc.cluster.local.", "10.96.0.7", 30),
        ],
        [wire.soa_record("cluster.local.", 5, 30)],
        [wire.address_record("fd.example.", "fd00::1", 9)],
        wire.AA,
    )
    data = wire.encode_answer(asked(size=1232), answer)
    reply = wire.decode_reply(data)
    assert (reply.id, reply.name, reply.type) == (7, NAME, wire.A)
    assert reply.answer.answer == answer.answer
    assert reply.answer.authority == answer.authority
    assert reply.answer.additional == answer.additional
    assert reply.answer.flags == wire.AA
    assert data.count(b"\x07cluster") == 3  # the question's, and two in the SOA's data, which stay whole


def test_owner_names_point_to_what_is_there() -> None:
    records = [wire.address_record(NAME.lower(), f"10.0.0.{n}", 5) for n in range(10)]
    data = wire.encode_answer(asked(), Answer(0, records))
    assert len(data) == 12 + len(wire.name_bytes(NAME)) + 4 + 10 * 16


def test_too_much_is_cut_and_said() -> None:
    many = [wire.address_record(NAME, f"10.0.{n // 256}.{n % 256}", 5) for n in range(300)]
    for size, edns in ((512, 0), (1232, 1232)):
        data = wire.encode_answer(asked(size=edns), Answer(0, many))
        reply = wire.decode_reply(data)
        assert len(data) <= size
        assert reply.answer.flags & wire.TC
        assert size - len(data) < 16 + 11
    whole = wire.decode_query(wire.encode_query(7, NAME, wire.A), protocol="tcp")
    assert len(wire.decode_reply(wire.encode_answer(whole, Answer(0, many))).answer.answer) == 300


def test_additional_records_go_without_a_word() -> None:
    many = [wire.address_record(NAME, f"10.0.0.{n}", 5) for n in range(100)]
    reply = wire.decode_reply(wire.encode_answer(asked(), Answer(0, many[:2], [], many)))
    assert not reply.answer.flags & wire.TC
    assert 0 < len(reply.answer.additional) < 100


def test_one_ttl_for_all() -> None:
    reply = wire.decode_reply(
        wire.encode_answer(asked(), Answer(0, [wire.address_record(NAME, "10.0.0.1", 500)], ttl=7))
    )
    assert reply.answer.answer[0].ttl == 7


def test_extended_codes_need_edns() -> None:
    reply = wire.decode_reply(wire.encode_answer(asked(size=1232), Answer(wire.BADVERS)))
    assert reply.answer.rcode == wire.BADVERS


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 12,
        wire.encode_query(1, NAME, wire.A)[:-3],
        wire.encode_query(1, NAME, wire.A, flags=wire.QR),
        wire.encode_query(1, NAME, wire.A)[:12] + b"\xc0\x0c\0\1\0\1",  # a pointer to itself
        wire.encode_query(1, NAME, wire.A)[:12] + b"\x40abc\0\0\1\0\1",
        wire.encode_query(1, NAME, wire.A)[:12] + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1",
        b"\0\1\0\0\0\2\0\0\0\0\0\0" + wire.encode_query(1, NAME, wire.A)[12:],
    ],
)
def test_what_is_no_question(data: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode_query(data)


@given(st.binary(max_size=120))
def test_any_bytes_are_a_message_or_an_error(data: bytes) -> None:
    for decode in (wire.decode_query, wire.decode_reply):
        with contextlib.suppress(WireError):
            decode(data)


LABEL = st.binary(min_size=1, max_size=20)


@given(st.lists(LABEL, min_size=1, max_size=6))
def test_any_name_survives(labels: list[bytes]) -> None:
    raw = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    name, end = wire.read_name(raw, 0)
    assert end == len(raw)
    assert wire.name_bytes(name) == raw


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("1.0.96.10.in-addr.arpa.", "10.96.0.1"),
        ("0.96.10.in-addr.arpa.", ""),
        ("1.0.0.256.in-addr.arpa.", ""),
        ("1." + "0." * 27 + "0.0.d.f.ip6.arpa.", "fd00::1"),
        ("g." + "0." * 27 + "0.0.d.f.ip6.arpa.", ""),
        ("web.default.svc.cluster.local.", ""),
    ],
)
def test_reverse_names(name: str, address: str) -> None:
    assert wire.address_of_reverse(name) == address


def test_compressed_names_in_the_data_of_a_reply_are_made_whole() -> None:
    question = wire.name_bytes("a.example.") + b"\0\5\0\1"
    head = b"\0\1\x81\x80\0\1\0\1\0\0\0\0"
    record = b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1b\xc0\x0e"
    reply = wire.decode_reply(head + question + record)
    assert reply.answer.answer == [Record("a.example.", wire.CNAME, 60, wire.name_bytes("b.example."))]


@pytest.mark.parametrize("raw", [b"\3www\7Example\0", b"\0", b"\3a\0b\1c\0", b"\4a.b\\\0", b"\1\xc3\0"])
def test_a_name_is_the_same_from_memory(raw: bytes) -> None:
    data = b"\0\1\1\0\0\1\0\0\0\0\0\0" + raw + b"\0\1\0\1"
    first, second = wire.decode_query(data), wire.decode_query(data)
    assert (first.name, first.key, first.question) == (second.name, second.key, second.question)
    assert first.question == raw + b"\0\1\0\1"
    assert wire.encode_answer(first, wire.Answer())[12:] == first.question


def test_a_question_that_points_into_the_header_is_written_anew() -> None:
    data = (
        b"\1a\1\0\0\1\0\0\0\0\0\0" + b"\1x\xc0\x02" + b"\0\1\0\1"
    )  # its pointer leads to flags, which a reply changes
    asked = wire.decode_query(data)
    assert (asked.name, asked.question) == ("x.\\000.", b"")
    assert wire.decode_query(wire.encode_query(1, asked.name, 1)).name == asked.name


def test_names_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_NAMES", 10)
    for number in range(100):
        wire.decode_query(wire.encode_query(1, f"{number}.bounded.example.", wire.A))
        assert len(wire._names) <= 10


def test_one_place_for_the_name_of_many_records() -> None:
    """A reply whose 5,000 records point to one long name is read as fast as any other."""
    head = b"\0\1\x81\x80\0\1\x13\x88\0\0\0\0" + b"\1a" * 120 + b"\0\0\1\0\1"
    reply = wire.decode_reply(head + (b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4" + bytes(4)) * 5000)
    assert {record.name for record in reply.answer.answer} == {"a." * 120}
