"""JSON text as Go's encoding/json has it, where somebody compares bytes."""

from __future__ import annotations

import math
from typing import Any

WHOLE = 1e21  # from here on Go writes floats with an exponent

# Go writes JSON that could stand in a page of HTML, or in JavaScript. In JSON these characters stand nowhere but in strings.
_HTML = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
_SCRIPT = (("\u2028".encode(), b"\\u2028"), ("\u2029".encode(), b"\\u2029"))


def escaped(text: bytes) -> bytes:
    """JSON with the characters escaped that Go escapes. Where there are none it costs a look, in C."""
    for character, escape in _HTML if text.isascii() else _HTML + _SCRIPT:
        if character in text:
            text = text.replace(character, escape)
    return text


def numbers(value: Any) -> Any:
    """Numbers of YAML as Go writes them into JSON: 2.0 as 2, what is no 64-bit integer as a float. ValueError for .nan and .inf.

    The value is changed in place, where it can be.
    """
    if type(value) is dict:
        for key, item in value.items():
            if type(item) is not str:
                value[key] = numbers(item)
    elif type(value) is list:
        for index, item in enumerate(value):
            value[index] = numbers(item)
    elif type(value) is float:
        if not math.isfinite(value):
            text = "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
            raise ValueError(f"json: unsupported value: {text}")
        return int(value) if value.is_integer() and abs(value) < WHOLE else value
    elif type(value) is int and not -(2**63) <= value < 2**64:
        return float(value)
    return value
