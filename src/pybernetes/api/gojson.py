"""JSON text as Go's encoding/json has it, where somebody compares bytes."""

from __future__ import annotations

# Go writes JSON that could stand in a page of HTML, or in JavaScript. In JSON these characters stand nowhere but in strings.
_HTML = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
_SCRIPT = (("\u2028".encode(), b"\\u2028"), ("\u2029".encode(), b"\\u2029"))


def escaped(text: bytes) -> bytes:
    """JSON with the characters escaped that Go escapes. Where there are none it costs a look, in C."""
    for character, escape in _HTML if text.isascii() else _HTML + _SCRIPT:
        if character in text:
            text = text.replace(character, escape)
    return text
