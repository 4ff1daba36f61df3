"""IPv4 packets, as far as who passes them on looks at them (RFC 791, 792, 1624; upstream: pkg/backend/udp/proxy_amd64.c)."""

from __future__ import annotations

HEADER = 20  # bytes without options
ICMP = 1
FRAGMENT_OFFSET = 0x1FFF
NET_UNREACHABLE_TTL = 8
MOST_OPTIONS = 40


def is_whole(packet: bytearray, length: int) -> bool:
    """Whether the first `length` bytes can be an IPv4 packet."""
    return length >= HEADER and packet[0] >> 4 == 4


def decrement_ttl(packet: bytearray) -> bool:
    """One hop less, the checksum set right; False where it was the last: the packet is to be dropped, as upstream does without a word."""
    if packet[8] <= 1:
        return False
    packet[8] -= 1
    high = (
        packet[10] + 1
    )  # of the checksum, a sum of ones' complements: what is carried out comes in again at the low end
    if high <= 0xFF and not (high == 0xFF and packet[11] == 0xFF):
        packet[10] = high
        return True
    total = (packet[10] << 8 | packet[11]) + 0x100
    total = (total & 0xFFFF) + (total >> 16) if total > 0xFFFF else 0
    packet[10], packet[11] = total >> 8, total & 0xFF
    return True


def net_unreachable(packet: bytes, source: bytes) -> bytes | None:
    """ICMP's answer to who sent a packet there is no route for, from an address (4 bytes); None for what must not be answered.

    Those are ICMP itself, fragments but the first, and what has no sensible header.
    """
    header = (packet[0] & 0x0F) * 4
    if not HEADER <= header < HEADER + MOST_OPTIONS or len(packet) < header:
        return None
    if packet[9] == ICMP or int.from_bytes(packet[6:8]) & FRAGMENT_OFFSET:
        return None
    offender = packet[: header + 8].ljust(header + 8, b"\0")
    message = b"\x03\0\0\0\0\0\0\0" + offender  # destination unreachable, the net
    message = message[:2] + checksum(message).to_bytes(2) + message[4:]
    total = HEADER + len(message)
    ip = b"\x45\0" + total.to_bytes(2) + bytes(4) + bytes((NET_UNREACHABLE_TTL, ICMP, 0, 0)) + source + packet[12:16]
    return ip[:10] + checksum(ip).to_bytes(2) + ip[12:] + message


def checksum(data: bytes) -> int:
    """The Internet's (RFC 1071) of an even number of bytes, in which its own field is zero."""
    total = sum(int.from_bytes(data[place : place + 2]) for place in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
