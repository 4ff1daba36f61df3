"""Numbers in text as Go's strconv reads them, with its words.

Python's `int()` takes digits of every script, underscores and blanks, and raises for what has more than 4300 digits; `isdigit()` takes `²`.
"""

from __future__ import annotations

import re
from typing import Final

_SIGNED: Final = re.compile(r"[+-]?[0-9]+")
_MAX_DIGITS: Final = 20  # of 64 bits; leading zeros do not count


class NumberError(ValueError):
    """Text that is no number, or too large a one: `strconv.ParseInt: parsing "x": invalid syntax`."""

    def __init__(self, function: str, text: str, reason: str) -> None:
        from .field import quote  # which knows Go's %q

        super().__init__(f"strconv.{function}: parsing {quote(text)}: {reason}")
        self.reason = reason


def is_digits(text: str) -> bool:
    """Whether there are ASCII digits and nothing else."""
    return text.isascii() and text.isdigit()


def is_number(text: str) -> bool:
    """Whether it is written as a number, of whatever size."""
    return _SIGNED.fullmatch(text) is not None


def parse_int(text: str, bits: int = 64, function: str = "ParseInt") -> int:
    """A signed number of so many bits, in base 10; NumberError."""
    if not _SIGNED.fullmatch(text):
        raise NumberError(function, text, "invalid syntax")
    digits = text.lstrip("+-").lstrip("0") or "0"
    number = int(digits) if len(digits) <= _MAX_DIGITS else 1 << 64
    number = -number if text.startswith("-") else number
    if not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
        raise NumberError(function, text, "value out of range")
    return number


def parse_uint(text: str, bits: int = 64) -> int:
    """A number of so many bits without a sign; NumberError."""
    if not is_digits(text):
        raise NumberError("ParseUint", text, "invalid syntax")
    digits = text.lstrip("0") or "0"
    number = int(digits) if len(digits) <= _MAX_DIGITS else 1 << 64
    if number >= 1 << bits:
        raise NumberError("ParseUint", text, "value out of range")
    return number


def atoi(text: str) -> int:
    """As `parse_int`, in the words of Atoi."""
    return parse_int(text, function="Atoi")
