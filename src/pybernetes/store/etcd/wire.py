"""The fields of etcd's messages: numbers and bytes (`api.protowire`), of which what is missing is 0 or empty."""

from __future__ import annotations

from pybernetes.api import protowire
from pybernetes.api.protowire import ProtobufError, chunk, read_varint, varint

__all__ = ["ProtobufError", "chunk", "fields", "number", "read_varint", "signed", "text", "varint"]


def number(field: int, value: int) -> bytes:
    """A field with a number (or bool); nothing for 0."""
    return varint(field << 3) + varint(value) if value else b""


def text(field: int, data: bytes) -> bytes:
    """A field with bytes; nothing for none."""
    return chunk(field, data) if data else b""


def fields(data: bytes) -> list[tuple[int, int, bytes]]:
    """(field, its number, its bytes): one of the two, by the field's type. ProtobufError."""
    return [
        (field, value, b"") if isinstance(value, int) else (field, 0, value) for field, value in protowire.fields(data)
    ]


def signed(value: int) -> int:
    """An int64 that was read as unsigned."""
    return value - (1 << 64) if value >> 63 else value
