"""What literals mean (upstream: cel-go parser/unescape.go, parser.go)."""

from __future__ import annotations

import math
import re

from .values import INT64, UINT64, Uint

_ESCAPE = re.compile(r"\\([0-3][0-7]{2}|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_SINGLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class LiteralError(ValueError):
    """A literal that stands for no value, in cel-go's words."""


def integer(text: str, negative: bool) -> int:
    """An int; LiteralError outside of 64 bits."""
    value = int(text, 16) if text.startswith("0x") else int(text)
    value = -value if negative else value
    if value not in INT64:
        raise LiteralError("invalid int literal")
    return value


def unsigned(text: str) -> Uint:
    """A uint; LiteralError outside of 64 bits."""
    digits = text[:-1]
    value = int(digits, 16) if digits.startswith("0x") else int(digits)
    if value not in UINT64:
        raise LiteralError("invalid uint literal")
    return Uint(value)


def double(text: str, negative: bool) -> float:
    """A double; LiteralError for one that is too large."""
    value = float(text)
    if math.isinf(value):
        raise LiteralError("invalid double literal")
    return -value if negative else value


def string(text: str) -> str:
    """A string's value; LiteralError for an escape of no character."""
    body, raw = _body(text)
    if raw or "\\" not in body:
        return body
    return _ESCAPE.sub(lambda match: _character(match[1]), body)


def octets(text: str) -> bytes:
    """A bytes literal's value: hexadecimal and octal escapes are bytes, everything else is UTF-8."""
    body, raw = _body(text[1:])
    if raw or "\\" not in body:
        return body.encode()
    parts, at = [], 0
    for match in _ESCAPE.finditer(body):
        parts += [body[at : match.start()].encode(), _octet(match[1])]
        at = match.end()
    return b"".join((*parts, body[at:].encode()))


def _body(text: str) -> tuple[str, bool]:
    raw = text[0] in "rR"
    text = text[1:] if raw else text
    width = 3 if len(text) >= 6 and text[:3] in ('"""', "'''") else 1
    return text[width:-width].replace("\r\n", "\n").replace("\r", "\n"), raw


def _character(escape: str) -> str:
    if len(escape) == 1:
        return _SINGLE.get(escape, escape)
    code = int(escape, 8) if escape[0] in "0123" else int(escape[1:], 16)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise LiteralError("invalid unicode code point")
    return chr(code)


def _octet(escape: str) -> bytes:
    if len(escape) == 1:
        return _SINGLE.get(escape, escape).encode()
    if escape[0] in "uU":
        raise LiteralError("unable to unescape string")
    return bytes((int(escape, 8) if escape[0] in "0123" else int(escape[1:], 16),))
