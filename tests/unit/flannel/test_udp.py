"""What the udp backend decides of packets, and where they go."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.flannel import packets
from pybernetes.flannel.backends.tunnel import Table

OWN = bytes((10, 244, 1, 0))
POD, OTHER = bytes((10, 244, 1, 10)), bytes((10, 244, 77, 10))


def packet(ttl: int = 64, protocol: int = 17, fragment: int = 0, identification: int = 7, words: int = 5) -> bytearray:
    """From POD to OTHER, with 12 bytes of data."""
    head = bytearray((0x40 | words, 0)) + (words * 4 + 12).to_bytes(2) + identification.to_bytes(2)
    head += fragment.to_bytes(2) + bytes((ttl, protocol, 0, 0)) + POD + OTHER + bytes(words * 4 - 20)
    head[10:12] = packets.checksum(bytes(head)).to_bytes(2)
    return head + b"twelve bytes"


def header_is_right(data: bytes) -> bool:
    header = data[: (data[0] & 15) * 4]
    return packets.checksum(header) == 0


@given(ttl=st.integers(2, 255), identification=st.integers(0, 65535), protocol=st.integers(0, 255))
def test_one_hop_less_and_the_checksum_holds(ttl: int, identification: int, protocol: int) -> None:
    data = packet(ttl, protocol, identification=identification)
    assert packets.decrement_ttl(data)
    assert data[8] == ttl - 1 and header_is_right(bytes(data))


@pytest.mark.parametrize("ttl", [0, 1])
def test_the_last_hop(ttl: int) -> None:
    assert not packets.decrement_ttl(packet(ttl))


def test_net_unreachable() -> None:
    offender = bytes(packet())
    answer = packets.net_unreachable(offender, OWN)
    assert answer is not None and header_is_right(answer)
    assert answer[:4] == b"\x45\0\0\x38" and answer[8:10] == b"\x08\x01" and answer[12:20] == OWN + POD
    assert answer[20:22] == b"\x03\0" and packets.checksum(answer[20:]) == 0
    assert answer[28:] == offender[:28]


@pytest.mark.parametrize(
    "offender",
    [packet(protocol=1), packet(fragment=5), packet(fragment=0x2005), packet(words=15), packet()[:10], b"\x41" * 20],
    ids=["icmp", "fragment", "later fragment", "options", "short", "no header"],
)
def test_what_must_not_be_answered(offender: bytes) -> None:
    assert packets.net_unreachable(bytes(offender), OWN) is None


def test_a_first_fragment_and_a_packet_without_data_are_answered() -> None:
    assert packets.net_unreachable(bytes(packet(fragment=0x2000)), OWN) is not None
    answer = packets.net_unreachable(bytes(packet()[:20]), OWN)
    assert answer is not None and len(answer) == 56


@given(st.binary(max_size=80))
def test_whatever_comes_is_looked_at(data: bytes) -> None:
    buffer = bytearray(data.ljust(80, b"\0"))
    if packets.is_whole(buffer, len(data)):
        packets.net_unreachable(data, OWN)
        packets.decrement_ttl(buffer)


def test_where_packets_go() -> None:
    table = Table()
    wide, narrow = IPv4Network("10.244.0.0/16"), IPv4Network("10.244.77.0/24")
    assert table.find(OTHER) is None
    table.set(wide, "192.0.2.1")
    table.set(narrow, "192.0.2.2")
    assert table.find(OTHER) == "192.0.2.2" and table.find(POD) == "192.0.2.1"
    table.remove(narrow, "192.0.2.1")  # another's
    assert (narrow, "192.0.2.2") in table
    version = table.version
    table.remove(narrow, "192.0.2.2")
    assert table.find(OTHER) == "192.0.2.1" and table.version > version
    table.set(wide, "192.0.2.3")
    assert table.find(OTHER) == "192.0.2.3"
    table.remove(wide, "192.0.2.3")
    assert table.find(POD) is None
