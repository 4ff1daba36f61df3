"""Protobuf's wire format, as far as etcd's messages need it: numbers and bytes in numbered fields."""

from __future__ import annotations

from collections.abc import Iterator

MAX_SHIFT = 63
MASK = (1 << 64) - 1


class WireError(ValueError):
    """Bytes that are no message."""


def varint(value: int) -> bytes:
    """A number; a negative one as its 64-bit complement."""
    value &= MASK
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """A field with a number (or bool); nothing for 0, which is what a field that is missing means."""
    return varint(field << 3) + varint(value) if value else b""


def chunk(field: int, data: bytes) -> bytes:
    """A field with bytes or a message, written also when empty: an empty message is not the same as none."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def text(field: int, data: bytes) -> bytes:
    """A field with bytes; nothing for none."""
    return chunk(field, data) if data else b""


def fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(field, its number, its bytes): one of the two, by the field's type. WireError."""
    place, size = 0, len(data)
    while place < size:
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield tag >> 3, value, b""
            continue
        if kind == 2:
            length, place = _varint(data, place)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise WireError(f"wire type {kind}")
        if place + length > size:
            raise WireError("the message is cut off")
        yield tag >> 3, 0, data[place : place + length]
        place += length


def signed(value: int) -> int:
    """An int64 that was read as unsigned."""
    return value - (1 << 64) if value >> 63 else value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    try:
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, place
            shift += 7
            if shift > MAX_SHIFT:
                raise WireError("a number has more than 64 bits")
    except IndexError:
        raise WireError("the message is cut off") from None
