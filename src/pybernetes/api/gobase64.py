"""Base64 as Go's encoding/base64 (StdEncoding) reads it: ends of lines stand anywhere and count for nothing."""

from __future__ import annotations

import binascii
import re

_DIGITS = re.compile(rb"[A-Za-z0-9+/\r\n]*")
_LINE_ENDS = b"\r\n"


class IllegalBase64(ValueError):
    """The text is no base64; says where, in Go's words."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"illegal base64 data at input byte {offset}")
        self.offset = offset


def decode(text: str) -> bytes:
    """The bytes; IllegalBase64 with the offset (in UTF-8) that Go names. In linear time, and in C."""
    source = text.encode()
    offset = _illegal(source)
    if offset is not None:
        raise IllegalBase64(offset)
    return binascii.a2b_base64(source.translate(None, _LINE_ENDS))


def encode(data: bytes) -> str:
    """In the one form that is stored and answered."""
    return binascii.b2a_base64(data, newline=False).decode()


def _illegal(source: bytes) -> int | None:
    """Where it stops being base64. Four digits make three bytes; the last four may end in one or two signs of padding."""
    match = _DIGITS.match(source)
    end = match.end() if match else 0
    digits = (end - source.count(b"\r", 0, end) - source.count(b"\n", 0, end)) % 4  # of the last, unfinished four
    if end == len(source):
        return end - digits if digits else None
    if source[end] != ord("=") or digits < 2:
        return end
    after = end + 1
    if digits == 2:
        after = _past_line_ends(source, after)
        if after == len(source):
            return after
        if source[after] != ord("="):
            return after - 1
        after += 1
    after = _past_line_ends(source, after)
    return after if after < len(source) else None


def _past_line_ends(source: bytes, place: int) -> int:
    while place < len(source) and source[place] in _LINE_ENDS:
        place += 1
    return place
