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
from typing import Any, NamedTuple

import msgspec

from .gojson import escaped
from .protobuf import CUSTOM_JSON, MAGIC, MAX_DEPTH, META, SLICE, fields_of, message_of
from .protowire import ProtobufError, chunk, chunk_head, varint
from .quantity import Quantity

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Quantities: a cluster has few, in many objects. Times: what is made in one second has the same one. Sets of fields, as well.
REMEMBERED = 1024
_EMPTY: dict[str, Any] = {}
_fields_v1 = msgspec.json.Encoder().encode  # of names and empty objects alone, in which it writes what Go does


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


Write = Callable[
    [Any, int], bytes
]  # of a value that is there, and the depth of who holds it, what stands for it with its tag


class _Member(NamedTuple):
    """A field of a message. `whole`: it is made of the same JSON object, whose fields it holds."""

    name: str
    write: Write
    zero: bytes  # what is written where there is no value
    whole: bool


@functools.cache
def _members(name: str) -> tuple[_Member, ...]:
    """In the order of the numbers. Made once for each message: objects are many, their types few."""
    fields = fields_of(name)
    return tuple(_member(number, *fields[str(number)]) for number in sorted(map(int, fields)))


@functools.lru_cache(REMEMBERED)
def _steps(name: str, fields: tuple[str, ...]) -> tuple[tuple[tuple[bytes, _Member], ...], bytes]:
    """How an object with these fields is written: what stands before each of its members, and after the last.

    Most objects have few of many fields, and the same as others of their kind.
    """
    steps, zeros = [], b""
    for member in _members(name):
        if member.whole or member.name in fields:
            steps.append((zeros, member))
            zeros = b""
        else:
            zeros += member.zero
    return tuple(steps), zeros


def _member(number: int, field: str, kind: str, mark: str) -> _Member:
    match mark:
        case "i":
            return _Member("", _writer(number, kind), b"", whole=True)
        case "r":
            return _Member(field, _repeated(field, _writer(number, kind)), b"", whole=False)
        case "m":
            return _Member(field, _map(field, number, kind), b"", whole=False)
    write = _writer(number, kind)
    return _Member(field, write, b"" if mark == "p" or kind == "bytes" else write(None, 0), whole=False)


def _message(value: Any, name: str, depth: int) -> bytes:
    if depth > MAX_DEPTH:
        raise ProtobufError(f"messages are nested deeper than {MAX_DEPTH}")
    if not isinstance(value, dict):
        raise ProtobufError(f"{value!r} is no object, as {name} is one")
    out = []
    get = value.get
    steps, zeros = _steps(name, tuple(value))
    for before, (field, write, zero, whole) in steps:
        one = value if whole else get(field)
        out.append(before)
        out.append(zero if one is None else write(one, depth))
    out.append(zeros)
    return b"".join(out)


def _repeated(field: str, write: Write) -> Write:
    def written(value: Any, depth: int) -> bytes:
        return b"".join([write(each, depth) for each in _checked(value or [], list, field)])

    return written


def _map(field: str, number: int, kind: str) -> Write:
    write = _writer(2, kind)

    name = _writer(1, "string")

    def entry(key: str, value: Any, depth: int) -> bytes:
        head = name(key, depth)
        return head if kind == "bytes" and value is None else head + write(value, depth)

    whole = _chunks(number)

    def written(value: Any, depth: int) -> bytes:
        entries = sorted(_checked(value or _EMPTY, dict, field).items())
        return b"".join([whole(entry(key, each, depth)) for key, each in entries])

    return written


def _checked(value: Any, kind: type, field: str) -> Any:
    if not isinstance(value, kind):
        raise ProtobufError(f"{field}: {value!r} is no {kind.__name__}")
    return value


@functools.cache
def _writer(number: int, kind: str) -> Write:
    """Of a field that holds one value of the kind; None is the zero value."""
    match kind:
        case "int32" | "int64" | "uint32" | "uint64":
            tag = varint(number << 3)
            return lambda value, depth: tag + varint(_number(value, int))
        case "bool":
            off, on = varint(number << 3) + b"\0", varint(number << 3) + b"\1"
            return lambda value, depth: on if _checked(value or False, bool, kind) else off
        case "double":
            tag = varint(number << 3 | 1)
            return lambda value, depth: tag + struct.pack("<d", _number(value, float))
        case "string":
            whole = _chunks(number)
            return lambda value, depth: whole(
                (value if type(value) is str else _checked(value or "", str, kind)).encode()
            )
        case "bytes":
            return _delimited(number, lambda value, depth: _base64(value))
    return _delimited(number, _content(kind))


def _delimited(number: int, content: Write) -> Write:
    whole = _chunks(number)
    return lambda value, depth: whole(content(value, depth))


@functools.cache
def _chunks(number: int) -> Callable[[bytes], bytes]:
    """`protowire.chunk` of fields with the number."""
    tag = varint(number << 3 | 2)
    short = tuple(tag + bytes([size]) for size in range(128))  # of nearly all

    def written(data: bytes) -> bytes:
        size = len(data)
        return (short[size] if size < 128 else tag + varint(size)) + data

    return written


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


def _content(kind: str) -> Write:
    """The bytes of messages whose JSON is no object, then of all others."""
    short = kind.rsplit(".", 1)[-1]
    if kind.startswith("apimachinery.pkg."):
        match short:
            case "Quantity":
                return lambda value, depth: chunk(1, _quantity(str(value)) if value is not None else b"0")
            case "IntOrString":
                return lambda value, depth: _int_or_string(value)
            case "RawExtension":  # upstream's controllers compare the bytes of revisions with what Go writes
                return lambda value, depth: b"" if value is None else chunk(1, escaped(_raw(value)))
            case "FieldsV1":
                return lambda value, depth: b"" if value is None else chunk(1, _fields_v1(value))
    if kind in (f"{META}Time", f"{META}MicroTime"):
        return lambda value, depth: _time(value, short == "MicroTime")
    if short in CUSTOM_JSON and "apiextensions" in kind:
        return lambda value, depth: _custom(value, kind, short, depth + 1)
    if fields_of(kind) == SLICE:
        item = _writer(1, "string")
        return lambda value, depth: b"".join([item(each, depth) for each in _checked(value or [], list, kind)])
    return lambda value, depth: _message(_EMPTY if value is None else value, kind, depth + 1)


def _int_or_string(value: Any) -> bytes:
    text = value if isinstance(value, str) else ""
    number = 0 if isinstance(value, str) else _number(value, int)
    return b"\x08" + bytes([isinstance(value, str)]) + b"\x10" + varint(number) + chunk(3, text.encode())


@functools.lru_cache(REMEMBERED)
def _quantity(text: str) -> bytes:
    try:
        return str(Quantity.parse(text)).encode()
    except ValueError as error:
        raise ProtobufError(str(error)) from None


def _raw(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _time(value: Any, micro: bool) -> bytes:
    """Timestamp{seconds, nanos}; nothing for Go's zero time."""
    return b"" if value is None else _timestamp(_checked(value, str, "time"), micro)


@functools.lru_cache(REMEMBERED)
def _timestamp(text: str, micro: bool) -> bytes:
    try:
        moment = datetime.fromisoformat(text)
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
    item = _writer(2, schema if short == "JSONSchemaPropsOrArray" else "string")
    return b"".join([item(each, depth) for each in _checked(value or [], list, kind)])
