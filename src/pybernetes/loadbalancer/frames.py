"""ARP (RFC 826) and neighbour discovery (RFC 4861) as bytes."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

BROADCAST = b"\xff" * 6
ETHERTYPE_ARP = 0x0806
REQUEST, REPLY = 1, 2
SOLICITATION, ADVERTISEMENT = 135, 136  # ICMPv6's types
HOP_LIMIT = 255  # of all neighbour discovery: what has come through a router has less
ALL_NODES = "ff02::1"
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET_HEADER = 14
_TARGET_LINK_ADDRESS = 2  # the option that names the hardware address
_OVERRIDE, _SOLICITED = 0x2000_0000, 0x4000_0000


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for which address."""

    target: str
    sender: str
    sender_mac: bytes


def arp_request(frame: bytes) -> Asked | None:
    """None for what is no question for an IPv4 address."""
    if len(frame) < _ETHERNET_HEADER + _ARP.size:
        return None
    kind, protocol, hardware, length, operation, mac, sender, _, target = _ARP.unpack_from(frame, _ETHERNET_HEADER)
    if (kind, protocol, hardware, length, operation) != (1, 0x0800, 6, 4, REQUEST):
        return None
    return Asked(str(ipaddress.IPv4Address(target)), str(ipaddress.IPv4Address(sender)), mac)


def arp_reply(mac: bytes, address: str, asked: Asked) -> bytes:
    """That the address is at this hardware address."""
    return _arp(REPLY, mac, address, asked.sender_mac, asked.sender_mac, asked.sender)


def gratuitous_arp(mac: bytes, address: str) -> tuple[bytes, bytes]:
    """For all on the link, in both forms: some take notice of the one, some of the other (RFC 5227)."""
    request = _arp(REQUEST, mac, address, BROADCAST, b"\x00" * 6, address)
    return request, _arp(REPLY, mac, address, BROADCAST, BROADCAST, address)


def _arp(operation: int, mac: bytes, address: str, to: bytes, target_mac: bytes, target: str) -> bytes:
    own, other = ipaddress.IPv4Address(address).packed, ipaddress.IPv4Address(target).packed
    body = _ARP.pack(1, 0x0800, 6, 4, operation, mac, own, target_mac, other)
    return to + mac + struct.pack("!H", ETHERTYPE_ARP) + body


def solicited(message: bytes) -> str | None:
    """The address that an ICMPv6 message asks for; None for another message."""
    if len(message) < 24 or message[0] != SOLICITATION or message[1] != 0:
        return None
    return str(ipaddress.IPv6Address(message[8:24]))


def advertisement(mac: bytes, address: str, is_answer: bool) -> bytes:
    """An ICMPv6 message without its checksum, which the kernel adds."""
    flags = _OVERRIDE | (_SOLICITED if is_answer else 0)
    head = struct.pack("!BBHI", ADVERTISEMENT, 0, 0, flags)
    return head + ipaddress.IPv6Address(address).packed + struct.pack("!BB6s", _TARGET_LINK_ADDRESS, 1, mac)


def solicited_node_group(address: str) -> str:
    """The multicast group in which the address is asked for."""
    return str(
        ipaddress.IPv6Address(
            int(ipaddress.IPv6Address("ff02::1:ff00:0")) | int(ipaddress.IPv6Address(address)) & 0xFFFFFF
        )
    )
