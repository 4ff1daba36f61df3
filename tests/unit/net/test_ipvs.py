"""Netlink messages of IPVS and of the interface, byte by byte; `tests/guest` asks a kernel what it makes of them."""

from __future__ import annotations

import struct

import pytest

from pybernetes.net import dummy
from pybernetes.net import ipvsmessages as ipvs
from pybernetes.net.ipvsmessages import PERSISTENT, Command, RealServer, Service, Use, VirtualServer
from pybernetes.net.netlinkmessages import answers, attribute, attributes, message, nested

FOUR, SIX = VirtualServer("10.96.0.1", 443, "tcp"), VirtualServer("fd00:96::1", 53, "udp")
POD, POD6 = RealServer("10.244.0.5", 6443), RealServer("fd00:244::5", 5353)
# AF_INET, TCP, the address in a union of 16 bytes, the port in network order.
FOUR_IS = "06000100020000000600020006000000140003000a600001" + "00" * 12 + "0600040001bb0000"
SIX_IS = "060001000a000000060002001100000014000300fd000096" + "00" * 11 + "01" + "0600040000350000"
POD_IS = "140001000af40005" + "00" * 12 + "06000200192b0000"
WEIGHED = "080003000000000008000400{:02x}00000008000500000000000800060000000000"


def nest(kind: int, content: str) -> str:
    return struct.pack("=HH", 4 + len(content) // 2, kind | 0x8000).hex() + content


@pytest.mark.parametrize(
    ("command", "number", "body"),
    [
        (
            ipvs.new_service(FOUR, Service("rr")),
            1,
            nest(1, FOUR_IS + "07000600727200000c00070000000000ffffffff080008000000000008000900ffffffff"),
        ),
        (
            ipvs.set_service(SIX, Service("mh", PERSISTENT | ipvs.MH_PORT, 10800)),
            2,
            nest(1, SIX_IS + "070006006d6800000c00070011000000ffffffff08000800302a00000800090080000000"),
        ),
        (ipvs.del_service(SIX), 3, nest(1, SIX_IS)),
        (ipvs.new_dest(FOUR, POD), 5, nest(1, FOUR_IS) + nest(2, POD_IS + WEIGHED.format(1))),
        (ipvs.set_dest(FOUR, POD, 0), 6, nest(1, FOUR_IS) + nest(2, POD_IS + WEIGHED.format(0))),
        (ipvs.del_dest(FOUR, POD), 7, nest(1, FOUR_IS) + nest(2, POD_IS)),
        (ipvs.set_timeouts(900, 120, 0), 12, "080004008403000008000500780000000800060000000000"),
    ],
)
def test_commands(command: Command, number: int, body: str) -> None:
    assert (command.number, command.body.hex()) == (number, body)


@pytest.mark.parametrize(
    ("server", "service"),
    [
        (FOUR, Service("rr")),
        (FOUR, Service("lblcr", PERSISTENT, 60)),
        (SIX, Service("mh", ipvs.MH_PORT)),
        (VirtualServer("192.0.2.1", 65535, "sctp"), Service("sh")),
    ],
)
def test_a_service_is_read_as_it_was_written(server: VirtualServer, service: Service) -> None:
    assert ipvs.parse_service(ipvs.new_service(server, service).body) == (server, service)


def test_the_kernels_own_flag_and_time_out_are_not_the_services() -> None:
    written = ipvs.new_service(FOUR, Service("rr", ipvs.HASHED, 300))
    assert ipvs.parse_service(written.body) == (FOUR, Service("rr"))


@pytest.mark.parametrize("server", [FOUR, SIX])
def test_a_real_server_is_read_with_its_connections(server: VirtualServer) -> None:
    real = POD if server == FOUR else POD6
    attribute_of_dest = attributes(ipvs.set_dest(server, real, 7).body)[2]
    counted = attribute_of_dest + attribute(7, struct.pack("=I", 3)) + attribute(8, struct.pack("=I", 2))
    assert ipvs.parse_dest(nested(2, counted), server) == (real, Use(7, 3, 2))


@pytest.mark.parametrize(
    "body", [b"", nested(1), nested(1, attribute(5, bytes(4))), b"\xff" * 40, nested(1, b"\x05\0\3\0x")]
)
def test_what_is_no_service_of_an_address_is_none(body: bytes) -> None:
    assert ipvs.parse_service(body) is None
    assert ipvs.parse_dest(body, FOUR) is None


def test_answers() -> None:
    error = message(2, 0, 7, struct.pack("=i", -17) + bytes(16))
    done = message(3, 2, 8, struct.pack("=i", 0))
    data = message(31, 2, 8, b"abcde") + bytes(3)
    assert [(a.sequence, a.error, a.body) for a in answers(error + data + done)] == [
        (7, 17, b""),
        (8, None, b"abcde"),
        (8, 0, b""),
    ]
    assert list(answers(data[:10])) == list(answers(data[:17])) == []


def test_requests_for_the_interface_and_its_addresses() -> None:
    kind, _, body = dummy.link_request(dummy._NEWLINK, "kube-ipvs0")
    values = attributes(body[16:])
    assert (kind, values[3], attributes(values[18])[1]) == (16, b"kube-ipvs0\0", b"dummy\0")
    kind, _, body = dummy.address_request(dummy._NEWADDR, 5, "10.96.0.1")
    assert (kind, body.hex()) == (20, "0220000005000000080002000a600001080001000a600001")
    assert dummy.parse_address(body) == (5, "10.96.0.1")
    kind, _, body = dummy.address_request(dummy._DELADDR, 5, "fd00::1")
    assert (kind, body[:2].hex(), dummy.parse_address(body)) == (21, "0a80", (5, "fd00::1"))
    assert dummy.parse_address(b"\2\x20") is None
