"""Writes Kubernetes' protobuf form of built-in objects, byte for byte as Go's generated marshallers do.

Fields go out in the order of their numbers and map entries in the order of their keys; values that are no pointers in Go are
written also when zero.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from .gojson import escaped
from .protobuf import CUSTOM_JSON, MAGIC, MAX_DEPTH, META, SLICE, fields_of, message_of
from .protowire import ProtobufError, chunk, chunk_head, varint
from .quantity import Quantity

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EMPTY: dict[str, Any] = {}


def encode(value: dict[str, Any], into: str = "") -> bytes:
    """The bytes of an object, by its apiVersion and kind; `into` is the kind of one that names none (WatchEvent)."""
    api_version, kind = value.get("apiVersion", ""), value.get("kind", "")
    return wrapped(api_version, kind, message(value, api_version, kind or into))


def message(value: dict[str, Any], api_version: str, kind: str) -> bytes:
    """An object's fields as a message of the kind, which itself does not say what it is."""
    return _message(value, message_of(api_version, kind), 0)


def wrapped(api_version: str, kind: str, raw: bytes) -> bytes:
    """A message of the kind as an object on its own: runtime.Unknown says what it is."""
    before, after = wrapping(api_version, kind, len(raw))
    return before + raw + after


def wrapping(api_version: str, kind: str, size: int) -> tuple[bytes, bytes]:
    """What stands before and after the message, of which only the size need be known."""
    type_meta = chunk(1, str(api_version).encode()) + chunk(2, str(kind).encode())
    return MAGIC + chunk(1, type_meta) + chunk_head(2, size), chunk(3, b"") + chunk(4, b"")


@functools.cache
def _plan(name: str) -> tuple[tuple[int, str, str, str], ...]:
    """(number, JSON name, type, mark) in the order of the numbers."""
    found = fields_of(name)
    return tuple((number, *_three(found[str(number)])) for number in sorted(map(int, found)))


def _three(known: list[str]) -> tuple[str, str, str]:
    field, kind, mark = known
    return field, kind, mark


def _message(value: Any, name: str, depth: int) -> bytes:
    if depth > MAX_DEPTH:
        raise ProtobufError(f"messages are nested deeper than {MAX_DEPTH}")
    if not isinstance(value, dict):
        raise ProtobufError(f"{value!r} is no object, as {name} is one")
    out = []
    for number, field, kind, mark in _plan(name):
        if mark == "i":
            out.append(chunk(number, _message(value, kind, depth + 1)))
            continue
        one = value.get(field)
        if mark == "r":
            out.extend(_field(number, kind, each, depth) for each in _checked(one or [], list, field))
        elif mark == "m":
            entries = sorted(_checked(one or _EMPTY, dict, field).items())
            out.extend(chunk(number, _entry(key, kind, each, depth)) for key, each in entries)
        elif one is not None or (mark != "p" and kind != "bytes"):
            out.append(_field(number, kind, one, depth))
    return b"".join(out)


def _checked(value: Any, kind: type, field: str) -> Any:
    if not isinstance(value, kind):
        raise ProtobufError(f"{field}: {value!r} is no {kind.__name__}")
    return value


def _entry(key: str, kind: str, value: Any, depth: int) -> bytes:
    head = chunk(1, key.encode())
    return head if kind == "bytes" and value is None else head + _field(2, kind, value, depth)


def _field(number: int, kind: str, value: Any, depth: int) -> bytes:
    """A tag and a value; None is the zero value."""
    match kind:
        case "int32" | "int64" | "uint32" | "uint64":
            return varint(number << 3) + varint(_number(value, int))
        case "bool":
            return varint(number << 3) + bytes([bool(_checked(value or False, bool, kind))])
        case "double":
            return varint(number << 3 | 1) + struct.pack("<d", _number(value, float))
        case "string":
            return chunk(number, _checked(value or "", str, kind).encode())
        case "bytes":
            return chunk(number, _base64(value))
    return chunk(number, _special(value, kind, depth + 1))


def _number(value: Any, kind: Callable[[Any], Any]) -> Any:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or kind(value) != value:
        raise ProtobufError(f"{value!r} is no number of this type")
    return kind(value)


def _base64(value: Any) -> bytes:
    try:
        return base64.b64decode(_checked(value or "", str, "bytes"), validate=True)
    except binascii.Error as error:
        raise ProtobufError(f"illegal base64 data: {error}") from None


def _special(value: Any, kind: str, depth: int) -> bytes:
    """Messages whose JSON is no object, then all others."""
    short = kind.rsplit(".", 1)[-1]
    if kind.startswith("apimachinery.pkg."):
        match short:
            case "Quantity":
                return chunk(1, _quantity(value).encode())
            case "IntOrString":
                text = value if isinstance(value, str) else ""
                number = 0 if isinstance(value, str) else _number(value, int)
                return b"\x08" + bytes([isinstance(value, str)]) + b"\x10" + varint(number) + chunk(3, text.encode())
            case "RawExtension":  # upstream's controllers compare the bytes of revisions with what Go writes
                return b"" if value is None else chunk(1, escaped(_raw(value)))
            case "FieldsV1":
                return b"" if value is None else chunk(1, _raw(value))
    if kind in (f"{META}Time", f"{META}MicroTime"):
        return _time(value, short == "MicroTime")
    if short in CUSTOM_JSON and "apiextensions" in kind:
        return _custom(value, kind, short, depth)
    if fields_of(kind) == SLICE:
        return b"".join(_field(1, "string", each, depth) for each in _checked(value or [], list, kind))
    return _message(_EMPTY if value is None else value, kind, depth)


def _quantity(value: Any) -> str:
    if value is None:
        return "0"
    try:
        return str(Quantity.parse(str(value)))
    except ValueError as error:
        raise ProtobufError(str(error)) from None


def _raw(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _time(value: Any, micro: bool) -> bytes:
    """Timestamp{seconds, nanos}; nothing for Go's zero time."""
    if value is None:
        return b""
    try:
        moment = datetime.fromisoformat(_checked(value, str, "time"))
        passed = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    except ValueError as error:
        raise ProtobufError(str(error)) from None
    if moment.year == 1 and moment.replace(tzinfo=None) == datetime.min:
        return b""
    seconds, rest = divmod(passed, timedelta(seconds=1))
    return b"\x08" + varint(seconds) + b"\x10" + varint(rest.microseconds * 1000 if micro else 0)


def _custom(value: Any, kind: str, short: str, depth: int) -> bytes:
    """The types of CustomResourceDefinitions that are one thing or another in JSON."""
    schema = kind[: -len(short)] + "JSONSchemaProps"
    if short == "JSON":
        return chunk(1, _raw(value))
    if isinstance(value, dict):
        head = b"\x08\x01" if short == "JSONSchemaPropsOrBool" else b""
        number = 2 if short == "JSONSchemaPropsOrBool" else 1
        return head + chunk(number, _message(value, schema, depth))
    if short == "JSONSchemaPropsOrBool":
        return b"\x08" + bytes([bool(value)])
    item = schema if short == "JSONSchemaPropsOrArray" else "string"
    return b"".join(_field(2, item, each, depth) for each in _checked(value or [], list, kind))
