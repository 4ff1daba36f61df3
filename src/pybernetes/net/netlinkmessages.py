"""Netlink's messages and attributes (linux/netlink.h). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

REQUEST, ACK, DUMP, EXCLUSIVE, CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
_ERROR, _DONE, _OVERRUN = 2, 3, 4
_NESTED, _KIND_MASK = 0x8000, 0x3FFF

Request = tuple[int, int, bytes]  # type, flags beside REQUEST, body
Attributes = dict[int, bytes]


def attribute(kind: int, data: bytes) -> bytes:
    """Padded to whole words, as each is."""
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(parts))


def attributes(data: bytes) -> Attributes:
    """Kind -> data, the last one of a kind. What is cut off at the end is left out."""
    result, position = {}, 0
    while position + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, position)
        if length < 4 or position + length > len(data):
            break
        result[kind & _KIND_MASK] = data[position + 4 : position + length]
        position += (length + 3) & ~3
    return result


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body


@dataclass(frozen=True, slots=True)
class Answer:
    """What the kernel says to one request; `error` is an errno, 0 for "done", None where it is data."""

    sequence: int
    error: int | None
    body: bytes


def answers(data: bytes) -> Iterator[Answer]:
    """Those of one datagram."""
    position = 0
    while position + 16 <= len(data):
        length, kind, _, sequence = struct.unpack_from("=IHHI", data, position)
        if length < 16 or position + length > len(data):
            return
        body = data[position + 16 : position + length]
        if kind in (_ERROR, _DONE):
            yield Answer(sequence, -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0, b"")
        elif kind != _OVERRUN:
            yield Answer(sequence, None, body)
        position += (length + 3) & ~3
