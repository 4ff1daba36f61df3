"""Protobuf's wire format: numbered fields that are numbers or bytes (protobuf.dev, encoding). What they mean is others' business."""

from __future__ import annotations

from collections.abc import Iterator

MASK = (1 << 64) - 1
MAX_SHIFT = 63  # of the last byte of a number


class ProtobufError(ValueError):
    """Bytes that are no message, or data that cannot be one."""


def varint(value: int) -> bytes:
    """A number; a negative one as its 64-bit complement."""
    value &= MASK
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def chunk_head(number: int, size: int) -> bytes:
    """What stands before the bytes of a field."""
    return varint(number << 3 | 2) + varint(size)


def chunk(number: int, data: bytes) -> bytes:
    """A field that is bytes, text or a message; also when empty: an empty message is not the same as none."""
    return chunk_head(number, len(data)) + data


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, varint or bytes; fixed-width numbers as their bytes). ProtobufError."""
    place, size = 0, len(data)
    while place < size:
        tag, place = read_varint(data, place)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, place = read_varint(data, place)
            yield number, value
            continue
        if kind == 2:
            length, place = read_varint(data, place)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ProtobufError(f"wire type {kind} is not used by Kubernetes")
        if place + length > size:
            raise ProtobufError("unexpected EOF")
        yield number, data[place : place + length]
        place += length


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    """The number, and the place behind it. ProtobufError."""
    value = shift = 0
    while True:
        if place >= len(data):
            raise ProtobufError("unexpected EOF")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > MAX_SHIFT:
            raise ProtobufError("a number has more than 64 bits")
