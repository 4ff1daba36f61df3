"""Large bodies are read, and large objects written, by pieces.

A call into C is not divided: decoding a pod of eighty thousand containers at once holds the interpreter, and with it the event loop,
for a tenth of a second, and needs a second copy of all of it as structs. Here no call has much more than PIECE bytes or PIECE_NODES objects
to do, so that a thread that works on them (`aio.apart`) lets the loop go on in between.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

LARGE: Final = 128 << 10  # bytes of a body from which on it is cut: some milliseconds
PIECE: Final = 32 << 10  # bytes that are read at a time: about a millisecond
PIECE_NODES: Final = 2_000  # members and items that are written at a time
ITEMS: Final = 100_000  # commas in a list, up to which its items are told apart in one call
DIVIDED_LEVELS: Final = 50  # of objects that are written: what is deep is not wide as well
SPACE: Final = 1_000  # bytes before a value that are looked beyond
TRIES: Final = 32  # commas of a list that are tried as the end of a piece
SPACED: Final = re.compile(rb'"[ \t\r\n]+:')

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def has_duplicates(body: bytes) -> bool:
    """Whether a JSON body, which must be readable, sets a field twice.

    Decoding keeps the last and does not tell. So the body is decoded and encoded again in C: where that has as many colons
    after quotes as the body, nothing was there twice. Only else the slow way is gone. (That costs 1 µs for a small object;
    to decode once, untyped, and convert that was tried, and is slower.) True also where spaces stand before colons, which
    are not counted.
    """
    return _members_of(body) != body.count(b'":') or _has_spaces(body)


def _members_of(body: bytes | msgspec.Raw) -> int:
    return _encode(_decode(body)).count(b'":')


def _has_spaces(body: bytes) -> bool:
    # The pattern stops at each quote; few bodies have a space before a colon at all.
    spaces = b" :" in body or b"\t:" in body or b"\n:" in body or b"\r:" in body
    return spaces and SPACED.search(body) is not None


def untyped(body: bytes) -> tuple[Any, bool]:
    """A JSON body, and whether it sets a field twice; errors as `Reader.read`."""
    if len(body) < LARGE:
        value = _decode(body)
        return value, has_duplicates(body)
    reader = Reader(None, None)
    value = reader.read(body, Any)
    return value, reader.has_duplicates(body)


class Reader:
    """Reads JSON as a msgspec type says, and gives it as dicts, lists and scalars.

    As `to_builtins(decode(body))` would, with the same errors but for the place that they name.
    """

    def __init__(self, dec_hook: Callable[[type, Any], Any] | None, enc_hook: Callable[[Any], Any] | None) -> None:
        self._dec_hook, self._enc_hook = dec_hook, enc_hook
        self._twice = False
        self._members = 0  # of what was read, counted as `has_duplicates` does

    def read(self, body: bytes | msgspec.Raw, kind: Any) -> Any:
        """msgspec.DecodeError, UnicodeDecodeError, RecursionError for what cannot be read."""
        kind = _without_none(kind)
        if len(memoryview(body)) > PIECE:
            if _is_object(kind):
                return self._object(body, {f.encode_name: f.type for f in msgspec.structs.fields(kind)}, kind)
            origin, arguments = typing.get_origin(kind), typing.get_args(kind)
            if origin is list and arguments:
                return self._list(body, arguments[0])
            if origin is dict and arguments:
                return self._map(body, arguments[1])
            if kind is Any:
                return self._anything(body)
        return self._piece(body, kind)

    def has_duplicates(self, body: bytes) -> bool:
        """Of what was read, as the function of that name."""
        return self._twice or self._members != body.count(b'":') or _has_spaces(body)

    def _piece(self, body: bytes | msgspec.Raw, kind: Any) -> Any:
        self._members += _members_of(body)
        value = _decode(body, type=kind, dec_hook=self._dec_hook)
        return value if kind is Any else msgspec.to_builtins(value, enc_hook=self._enc_hook)

    def _anything(self, body: bytes | msgspec.Raw) -> Any:
        first = bytes(memoryview(body)[:SPACE]).lstrip()[:1]
        if first == b"{":
            return self._map(body, Any)
        return self._list(body, Any) if first == b"[" else self._piece(body, Any)

    def _map(self, body: bytes | msgspec.Raw, kind: Any) -> dict[str, Any]:
        values: dict[str, Any] = {}
        rest: dict[str, msgspec.Raw] = {}
        size = told = 0
        for name, raw in _each_member(bytes(memoryview(body))):
            values[name] = None  # so that they stay in their order
            told += 1
            length = len(memoryview(raw))
            if length > PIECE:
                self._members += _encode({name: 0}).count(b'":')
                values[name] = self.read(raw, kind)
                continue
            rest[name] = raw
            size += length + len(name)
            if size > PIECE:
                values.update(self._piece(_encode(rest), dict[str, kind]))
                rest, size = {}, 0
        values.update(self._piece(_encode(rest), dict[str, kind]))
        if told != len(values):  # a name in two pieces
            self._twice = True
        return values

    def _object(self, body: bytes | msgspec.Raw, fields: dict[str, Any], kind: Any) -> dict[str, Any]:
        rest, apart = {}, {}
        for name, raw in _members(body).items():
            if len(memoryview(raw)) <= PIECE or name not in fields:
                rest[name] = raw
                continue
            value = self.read(raw, fields[name])
            if value in ([], {}):  # it was space: whether that is written is the type's to say
                rest[name] = msgspec.Raw(_encode(value))
            else:
                self._members += _encode({name: 0}).count(b'":')
                apart[name] = value
        plain: dict[str, Any] = {**self._piece(_encode(rest), kind), **apart}
        return {name: plain[name] for name in fields if name in plain}

    def _list(self, body: bytes | msgspec.Raw, kind: Any) -> list[Any]:
        values: list[Any] = []
        for piece, single in _cut(bytes(memoryview(body))):
            if single:
                values.append(self.read(piece, kind))
            else:
                values.extend(self._piece(piece, list[kind]))
        return values


def _without_none(kind: Any) -> Any:
    """The other one of a type and None."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        others = [one for one in typing.get_args(kind) if one is not types.NoneType]
        return others[0] if len(others) == 1 else kind
    return kind


def _is_object(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _cut(body: bytes) -> Iterator[tuple[bytes | msgspec.Raw, bool]]:
    """A list as lists of some of its items, and of what is large single items (True)."""
    if body.count(b",") > ITEMS:
        ends = _ends(body, b"[]", _items)
        if ends:
            yield from ((b"[" + body[begin:end] + b"]", False) for begin, end in ends)
            return
    some: list[msgspec.Raw] = []
    size = 0
    for raw in _items(body):
        length = len(memoryview(raw))
        if length > PIECE:
            yield b"[" + b",".join(some) + b"]", False
            yield raw, True
            some, size = [], 0
            continue
        some.append(raw)
        size += length
        if size > PIECE:
            yield b"[" + b",".join(some) + b"]", False
            some, size = [], 0
    yield b"[" + b",".join(some) + b"]", False


def _each_member(body: bytes) -> Iterator[tuple[str, msgspec.Raw]]:
    """Of a map; a name that is there twice in one piece comes once."""
    ends = _ends(body, b"{}", _members) if body.count(b",") > ITEMS else []
    for begin, end in ends:
        yield from _members(b"{" + body[begin:end] + b"}").items()
    if not ends:
        yield from _members(body).items()


def _ends(body: bytes, brackets: bytes, read: Callable[[bytes], Any]) -> list[tuple[int, int]]:
    """Where a list, or map, of very many items can be cut, each piece from a place up to a comma; nothing where no such places were found.

    To tell a million items apart would be long by itself. A comma is one between the items just where what stands
    before it can be read as a whole: within a string or a deeper value the end is missing.
    """
    first, last = brackets[:1], brackets[1:]
    if not (body.startswith(first) and body.endswith(last)):
        return []
    places: list[tuple[int, int]] = []
    begin, end = 1, len(body) - 1
    between = {b"{": b"},", b"[": b"],"}.get(body[1:2], b",")
    while end - begin > 2 * PIECE:
        comma = _end(body, begin, between, lambda inner: read(first + inner + last))
        if not comma:
            return []
        places.append((begin, comma))
        begin = comma + 1
    return [*places, (begin, end)]


def _end(body: bytes, begin: int, between: bytes, read: Callable[[bytes], Any]) -> int:
    """The comma where a piece can end; 0 where none was found."""
    place = begin + PIECE
    for _ in range(TRIES):
        place = body.find(between, place)
        if place < 0:
            break
        place += len(between)
        try:
            read(body[begin : place - 1])
            return place - 1
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return 0


def encode(value: Any, levels: int = DIVIDED_LEVELS) -> Iterator[bytes]:
    """JSON in pieces, whose join is what msgspec writes of it. `levels` that are looked into."""
    if not levels or type(value) not in (dict, list) or nodes(value) <= PIECE_NODES:
        yield _encode(value)
        return
    is_map = type(value) is dict
    between = b"{" if is_map else b"["
    some: list[tuple[Any, Any]] = []
    count = 0
    for name, item in value.items() if is_map else enumerate(value):
        weight = nodes(item) if type(item) in (dict, list) else 1
        if count + weight > PIECE_NODES and some:
            yield between + _inner(some, is_map)
            some, count, between = [], 0, b","
        if weight > PIECE_NODES:
            yield between + (_encode({name: 0})[1:-2] if is_map else b"")
            yield from encode(item, levels - 1)
            between = b","
        else:
            some.append((name, item))
            count += weight
    if some:
        yield between + _inner(some, is_map)
    yield b"}" if is_map else b"]"


def _inner(some: list[tuple[Any, Any]], is_map: bool) -> bytes:
    return _encode(dict(some) if is_map else [item for _, item in some])[1:-1]


def nodes(value: Any, most: int = PIECE_NODES) -> int:
    """Members and items in and below a value; counted no further than just beyond `most`."""
    left = [value]
    count = 0
    while left and count <= most:
        value = left.pop()
        below = value.values() if type(value) is dict else value if type(value) is list else ()
        count += 1 + len(below)
        if count <= most:
            left += [item for item in below if type(item) in (dict, list)]
    return count
