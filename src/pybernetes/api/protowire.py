"""Protobuf's wire format: numbered fields that are numbers or bytes (protobuf.dev, encoding). What they mean is others' business."""

from __future__ import annotations

from collections.abc import Iterator

MASK = (1 << 64) - 1
MAX_SHIFT = 63  # of the last byte of a number


class ProtobufError(ValueError):
    """Bytes that are no message, or data that cannot be one."""


_ONE_BYTE = tuple(bytes((value,)) for value in range(0x80))  # varints of nearly all tags and sizes


def varint(value: int) -> bytes:
    """A number; a negative one as its 64-bit complement."""
    if 0 <= value < 0x80:
        return _ONE_BYTE[value]
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
    tag, size = number << 3 | 2, len(data)
    if tag < 0x80 and size < 0x80:
        return _ONE_BYTE[tag] + _ONE_BYTE[size] + data
    return varint(tag) + varint(size) + data


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, varint or bytes; fixed-width numbers as their bytes). ProtobufError.

    Nearly all tags and lengths are numbers of one byte: those are read here, without a call.
    """
    place, size = 0, len(data)
    while place < size:
        tag = data[place]
        if tag < 0x80:
            place += 1
        else:
            tag, place = read_varint(data, place)
        kind = tag & 7
        if kind == 2 and place < size and (length := data[place]) < 0x80:
            place += 1
        elif kind == 2:
            length, place = read_varint(data, place)
        elif kind == 0:
            value, place = read_varint(data, place)
            yield tag >> 3, value
            continue
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ProtobufError(f"wire type {kind} is not used by Kubernetes")
        if place + length > size:
            raise ProtobufError("unexpected EOF")
        yield tag >> 3, data[place : place + length]
        place += length


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    """The number, and the place behind it. ProtobufError."""
    value = shift = 0
    try:
        while (byte := data[place]) >= 0x80:
            value |= (byte & 0x7F) << shift
            place += 1
            shift += 7
            if shift > MAX_SHIFT:
                raise ProtobufError("a number has more than 64 bits")
    except IndexError:
        raise ProtobufError("unexpected EOF") from None
    return value | byte << shift, place + 1
