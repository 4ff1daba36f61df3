"""Record data as master files write it (RFC 1035 section 5, and each type's own document), into bytes. Pure.

Types without a syntax here are taken in the general form of RFC 3597: `\\# LENGTH HEX`.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import wire
from .wire import AAAA, CNAME, DNAME, DS, HINFO, HTTPS, MX, NAPTR, NS, PTR, SOA, SRV, SVCB, TXT, A, WireError

SSHFP, DNSKEY, TLSA, SPF, URI, CAA = 44, 48, 52, 99, 256, 257
MAX_DATA_BYTES = 65535
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"([0-9]{1,10})([smhdw]?)", re.IGNORECASE)
_ESCAPE = re.compile(r"\\([0-9]{3}|[^0-9])", re.DOTALL)


class RdataError(ValueError):
    """Record data that cannot be; the text says why."""


@dataclass(frozen=True, slots=True)
class Word:
    """One piece of a line; a quoted one may be empty and is never a number's or a directive's."""

    text: str
    quoted: bool = False


Words = Sequence[Word]


def type_number(text: str) -> int | None:
    """Of A, mx, TYPE1234; None for a word that is no type."""
    number = wire.TYPE_NUMBERS.get(text.upper())
    if number is None and text[:4].upper() == "TYPE" and text[4:].isdecimal() and len(text) < 10:
        return int(text[4:]) if int(text[4:]) < 65536 else None
    return number


def seconds(text: str) -> int | None:
    """Of 3600, 1h, 1d12h; None for a word that is no TTL."""
    total, place = 0, 0
    while place < len(text):
        part = _DURATION.match(text, place)
        if part is None:
            return None
        total += int(part[1]) * _UNITS[part[2].lower() or "s"]
        place = part.end()
    return total if text and total < 1 << 32 else None


def absolute_name(text: str, origin: str) -> str:
    """A name as it stands in a file: @ is the origin, and names without a dot at the end are below it. RdataError."""
    if text == "@":
        return origin
    name = text if _ends_with_dot(text) else wire.joined(text, origin)
    try:
        return wire.read_name(wire.name_bytes(name), 0)[0]  # escapes in the one form that queries have, too
    except (WireError, ValueError) as error:
        raise RdataError(f"bad name {text!r}: {error}") from None


def _ends_with_dot(text: str) -> bool:
    """An escaped dot is part of a label."""
    escapes = len(text) - 1 - len(text[:-1].rstrip("\\"))
    return text.endswith(".") and escapes % 2 == 0


def encode(type: int, words: Words, origin: str) -> bytes:
    """The data of a record. RdataError."""
    if words and words[0].text == "\\#" and not words[0].quoted:
        return _checked(type, _generic(words[1:]))
    function = ENCODERS.get(type)
    if function is None:
        raise RdataError(f"data of type {wire.type_name(type)} can only be written as \\# LENGTH HEX")
    try:
        data = function(words, origin)
    except (IndexError, struct.error, binascii.Error, UnicodeEncodeError, WireError) as error:
        raise RdataError(f"bad data of type {wire.type_name(type)}: {error}") from None
    if len(data) > MAX_DATA_BYTES:
        raise RdataError("data are too long")
    return data


def _checked(type: int, data: bytes) -> bytes:
    """Of a type that this server looks into. RdataError."""
    if type in (A, AAAA) and len(data) != (4 if type == A else 16):
        raise RdataError(f"{len(data)} bytes are no address of type {wire.type_name(type)}")
    offset, names = wire.NAMES_AT.get(type, (0, 0))
    try:
        for _ in range(names):
            name, offset = wire.read_name(data, offset)
            wire.name_bytes(name)
    except WireError as error:
        raise RdataError(f"bad data of type {wire.type_name(type)}: {error}") from None
    return data


def _generic(words: Words) -> bytes:
    try:
        data = bytes.fromhex("".join(word.text for word in words[1:]))
        length = int(words[0].text)
    except (ValueError, IndexError):
        raise RdataError("\\# is not followed by a length and hexadecimal digits") from None
    if len(data) != length or length > MAX_DATA_BYTES:
        raise RdataError(f"\\# {length} is followed by {len(data)} bytes")
    return data


def _address(version: int) -> Callable[[Words, str], bytes]:
    def encode_address(words: Words, origin: str) -> bytes:
        (text,) = _only(words, 1)
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise RdataError(str(error)) from None
        if address.version != version:
            raise RdataError(f"{text!r} is no IPv{version} address")
        return address.packed

    return encode_address


def _only(words: Words, count: int) -> list[str]:
    if len(words) != count:
        raise RdataError(f"{count} words are expected, there are {len(words)}")
    return [word.text for word in words]


def _name(text: str, origin: str) -> bytes:
    return wire.name_bytes(absolute_name(text, origin))


def _one_name(words: Words, origin: str) -> bytes:
    return _name(_only(words, 1)[0], origin)


def _number(text: str, limit: int) -> int:
    if not text.isdecimal() or len(text) > 10 or int(text) > limit:
        raise RdataError(f"{text!r} is no number up to {limit}")
    return int(text)


def _numbers(*sizes: int) -> Callable[[Sequence[str]], bytes]:
    """Whole numbers of so many bytes each."""

    def pack(texts: Sequence[str]) -> bytes:
        return b"".join(
            _number(text, (1 << 8 * size) - 1).to_bytes(size, "big") for text, size in zip(texts, sizes, strict=True)
        )

    return pack


def _preferred(*sizes: int) -> Callable[[Words, str], bytes]:
    """Numbers, then a name: MX, SRV."""
    pack = _numbers(*sizes)

    def encode_preferred(words: Words, origin: str) -> bytes:
        texts = _only(words, len(sizes) + 1)
        return pack(texts[:-1]) + _name(texts[-1], origin)

    return encode_preferred


def unescaped(text: str) -> bytes:
    """\\DDD and \\X as the bytes that they stand for. RdataError."""

    def byte(match: re.Match[str]) -> str:
        if len(match[1]) == 1:
            return match[1]
        if int(match[1]) > 255:
            raise RdataError(f"{match[0]!r} is no byte")
        return chr(int(match[1]) | 0x100000)  # apart from what is UTF-8

    return b"".join(bytes((ord(c) & 0xFF,)) if ord(c) >= 0x100000 else c.encode() for c in _ESCAPE.sub(byte, text))


def _string(text: str) -> bytes:
    data = unescaped(text)
    if len(data) > 255:
        raise RdataError("a string is longer than 255 bytes")
    return bytes((len(data),)) + data


def _texts(words: Words, origin: str) -> bytes:
    if not words:
        raise RdataError("no text")
    parts = []
    for word in words:
        data = unescaped(word.text)
        pieces = [data[at : at + 255] for at in range(0, len(data), 255)] or [b""]
        parts += [bytes((len(piece),)) + piece for piece in pieces]
    return b"".join(parts)


def _soa(words: Words, origin: str) -> bytes:
    texts = _only(words, 7)
    numbers = [_number(texts[2], (1 << 32) - 1)]
    for text in texts[3:]:
        value = seconds(text)
        if value is None:
            raise RdataError(f"{text!r} is no number of seconds")
        numbers.append(value)
    return _name(texts[0], origin) + _name(texts[1], origin) + struct.pack("!5I", *numbers)


def _hinfo(words: Words, origin: str) -> bytes:
    return b"".join(_string(text) for text in _only(words, 2))


def _naptr(words: Words, origin: str) -> bytes:
    texts = _only(words, 6)
    return _numbers(2, 2)(texts[:2]) + b"".join(_string(text) for text in texts[2:5]) + _name(texts[5], origin)


def _caa(words: Words, origin: str) -> bytes:
    flags, tag, value = _only(words, 3)
    if not tag.isalnum() or not tag.isascii():
        raise RdataError(f"{tag!r} is no tag")
    return _numbers(1)([flags]) + _string(tag.lower()) + unescaped(value)


def _uri(words: Words, origin: str) -> bytes:
    texts = _only(words, 3)
    return _numbers(2, 2)(texts[:2]) + unescaped(texts[2])


def _numbers_and(sizes: Sequence[int], decode: Callable[[str], bytes]) -> Callable[[Words, str], bytes]:
    """Numbers, then bytes that may be in several pieces: DS, TLSA, DNSKEY."""
    pack = _numbers(*sizes)

    def encode_numbers_and(words: Words, origin: str) -> bytes:
        texts = [word.text for word in words]
        rest = "".join(texts[len(sizes) :])
        if not rest:
            raise RdataError("the data end early")
        try:
            return pack(texts[: len(sizes)]) + decode(rest)
        except ValueError as error:
            raise RdataError(str(error)) from None

    return encode_numbers_and


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


_SVCB_KEYS = {
    **{"mandatory": 0, "alpn": 1, "no-default-alpn": 2, "port": 3, "ipv4hint": 4, "ech": 5, "ipv6hint": 6},
    **{"dohpath": 7, "ohttp": 8},
}


def _svcb(words: Words, origin: str) -> bytes:
    """RFC 9460: priority, target, key=value; keys go out in the order of their numbers."""
    if len(words) < 2:
        raise RdataError("priority and target are expected")
    parameters: dict[int, bytes] = {}
    for word in words[2:]:
        name, _, value = word.text.partition("=")
        value = value.removeprefix('"').removesuffix('"')
        key = _svcb_key(name)
        if key in parameters:
            raise RdataError(f"{name!r} stands there twice")
        parameters[key] = _svcb_value(key, name, value)
    head = _numbers(2)([words[0].text]) + _name(words[1].text, origin)
    return head + b"".join(struct.pack("!HH", key, len(data)) + data for key, data in sorted(parameters.items()))


def _svcb_key(name: str) -> int:
    key = _SVCB_KEYS.get(name.lower())
    if key is None and name[:3].lower() == "key" and name[3:].isdecimal() and len(name) < 9:
        key = int(name[3:])
    if key is None or key > 65534:
        raise RdataError(f"{name!r} is no parameter of a service binding")
    return key


def _svcb_value(key: int, name: str, value: str) -> bytes:
    if key == 0:
        return b"".join(struct.pack("!H", number) for number in sorted(_svcb_key(each) for each in value.split(",")))
    if key == 1:
        return b"".join(_string(each) for each in value.split(","))
    if key in (2, 8):
        if value:
            raise RdataError(f"{name} takes no value")
        return b""
    if key == 3:
        return _numbers(2)([value])
    if key in (4, 6):
        return b"".join(_address(key)([Word(each)], "") for each in value.split(","))
    if key == 5:
        return _base64(value)
    return unescaped(value)


ENCODERS: dict[int, Callable[[Words, str], bytes]] = {
    A: _address(4),
    AAAA: _address(6),
    **dict.fromkeys((NS, CNAME, PTR, DNAME), _one_name),
    MX: _preferred(2),
    SRV: _preferred(2, 2, 2),
    SOA: _soa,
    **dict.fromkeys((TXT, SPF), _texts),
    HINFO: _hinfo,
    NAPTR: _naptr,
    CAA: _caa,
    URI: _uri,
    DS: _numbers_and((2, 1, 1), bytes.fromhex),
    SSHFP: _numbers_and((1, 1), bytes.fromhex),
    TLSA: _numbers_and((1, 1, 1), bytes.fromhex),
    DNSKEY: _numbers_and((2, 1, 1), _base64),
    **dict.fromkeys((SVCB, HTTPS), _svcb),
}
