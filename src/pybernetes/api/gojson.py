"""JSON text as Go's encoding/json has it, where somebody compares bytes."""

from __future__ import annotations

# Go writes JSON that could stand in a page of HTML, or in JavaScript. In JSON these characters stand nowhere but in strings.
_ESCAPES = [(b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026")]
_ESCAPES += [("\u2028".encode(), b"\\u2028"), ("\u2029".encode(), b"\\u2029")]


def escaped(text: bytes) -> bytes:
    """JSON with the characters escaped that Go escapes."""
    for character, escape in _ESCAPES:
        if character in text:
            text = text.replace(character, escape)
    return text
