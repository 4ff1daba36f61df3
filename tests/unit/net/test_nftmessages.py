"""Netlink messages of nftables, byte by byte; `tests/netns` asks a kernel what it makes of them."""

from __future__ import annotations

import struct

import pytest

from pybernetes.net.nftables import parse_generation
from pybernetes.net.nftmessages import (
    DELRULE,
    NEWCHAIN,
    NEWRULE,
    NEWSET,
    NEWSETELEM,
    Message,
    batch,
    messages,
    results,
)

TABLE = "ip kube-proxy"


def encoded(command: str, table: str = TABLE) -> list[Message]:
    return [message for _, message in messages([command], table)]


def attributes(data: bytes) -> dict[int, bytes]:
    found, position = {}, 0
    while position < len(data):
        length, kind = struct.unpack_from("=HH", data, position)
        found[kind & 0x3FFF] = data[position + 4 : position + length]
        position += (length + 3) & ~3
    return found


def expressions(message: Message) -> list[tuple[str, dict[int, bytes]]]:
    """Names and attributes of a rule's expressions."""
    result, data, position = [], attributes(message[2])[4], 0
    while position < len(data):
        length = struct.unpack_from("=H", data, position)[0]
        one = attributes(data[position + 4 : position + length])
        result.append((one[1].rstrip(b"\0").decode(), attributes(one[2])))
        position += (length + 3) & ~3
    return result


def test_chains() -> None:
    kind, flags, body = encoded("add chain ip kube-proxy service-A-a/b/tcp/")[0]
    assert (kind, flags) == (NEWCHAIN, 0x400)
    assert body[:16] == b"\x0f\0\x01\0kube-proxy\0\0"  # length, kind, text, padding
    assert attributes(body) == {1: b"kube-proxy\0", 3: b"service-A-a/b/tcp/\0"}
    assert encoded("flush chain ip kube-proxy x")[0][0] == DELRULE


def test_a_rule_is_its_expressions_in_order() -> None:
    (message,) = encoded(
        "add rule ip kube-proxy s ip daddr 10.96.0.1 ip saddr != 10.244.0.0/16 jump mark-for-masquerade"
    )
    assert message[0] == NEWRULE
    found = expressions(message)
    assert [name for name, _ in found] == ["payload", "cmp", "payload", "bitwise", "cmp", "immediate"]
    assert found[0][1][3] == struct.pack(">I", 16) and found[2][1][3] == struct.pack(">I", 12)
    assert found[1][1][2] == bytes(4) and found[4][1][2] == bytes((0, 0, 0, 1))  # eq, neq
    assert attributes(found[3][1][4])[1] == bytes((255, 255, 0, 0))
    assert attributes(found[4][1][3])[1] == bytes((10, 244, 0, 0))
    verdict = attributes(attributes(found[5][1][2])[2])
    assert verdict == {1: struct.pack(">i", -3), 2: b"mark-for-masquerade\0"}


def test_a_choice_is_a_set_that_lives_with_its_rule() -> None:
    command = "add rule ip kube-proxy s numgen random mod 2 vmap { 0 : goto a, 1 : goto b }"
    of_set, of_elements, of_rule = encoded(command)
    assert [m[0] for m in (of_set, of_elements, of_rule)] == [NEWSET, NEWSETELEM, NEWRULE]
    number = attributes(of_set[2])[10]
    assert attributes(of_elements[2])[4] == number
    (name, chance), (_, lookup) = expressions(of_rule)
    assert name == "numgen" and chance[2] == bytes((0, 0, 0, 2))
    assert lookup[1] == b"__map%d\0" and lookup[4] == number


def test_elements_of_maps_fill_whole_words() -> None:
    command = 'add element ip kube-proxy m { 10.96.0.1 . tcp . 80 comment "a/b" : goto x, 10.96.0.2 . udp . 53 : drop }'
    (message,) = encoded(command)
    data = attributes(message[2])[3]
    first = attributes(data[4 : struct.unpack_from("=H", data)[0]])
    assert attributes(first[1])[1] == bytes((10, 96, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0))
    assert first[6] == b"\0\x04a/b\0"


def test_ipv6() -> None:
    (message,) = encoded("add rule ip6 kube-proxy e meta l4proto udp dnat to [fd00::1]:53", "ip6 kube-proxy")
    found = dict(expressions(message)[2:3])
    assert attributes(found["immediate"][2])[1] == bytes.fromhex("fd00" + "00" * 13 + "01")


@pytest.mark.parametrize(
    "command",
    [
        "add rule ip kube-proxy x masquerade fully-random",
        "add map ip kube-proxy m { type inet_service : verdict ; }",
        "add chain ip kube-proxy x { type nat hook output priority 0 ; }",
        "add chain ip other x",
    ],
)
def test_what_is_not_known_is_said(command: str) -> None:
    with pytest.raises(ValueError, match="no message for"):
        encoded(command)


def test_the_last_of_a_batch_is_acknowledged() -> None:
    data = batch([message for c in ("a", "b") for message in encoded(f"add chain ip kube-proxy {c}")], TABLE)
    headers, position = [], 0
    while position < len(data):
        length, kind, flags, sequence = struct.unpack_from("=IHHI", data, position)
        headers.append((kind, flags, sequence))
        position += length
    assert headers == [(16, 1, 0), (0xA03, 0x401, 1), (0xA03, 0x405, 2), (17, 1, 3)]


def test_answers() -> None:
    refusal = struct.pack("=IHHIIi", 36, 2, 0, 7, 0, -2) + bytes(16)
    assert list(results(refusal)) == [(7, 2)]
    assert list(results(b"\0" * 10)) == [] and list(results(bytes(20))) == []
    generation = struct.pack("=IHHII", 28, 0xA0F, 0, 1, 0) + bytes(4) + struct.pack("=HH", 8, 1) + struct.pack(">I", 42)
    assert parse_generation(generation) == 42
    with pytest.raises(OSError, match="Operation not permitted"):
        parse_generation(struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -1) + bytes(16))
    with pytest.raises(OSError, match="no number"):
        parse_generation(generation[:20] + struct.pack("=HHI", 8, 2, 0))
