"""Exact resource quantities, after upstream's ``apimachinery/pkg/api/resource``."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

NANO: Final = 10**9
MAX_INT64: Final = 2**63 - 1
# Values are held as whole integers, so exponents beyond this are refused rather than expanded.
MAX_EXPONENT: Final = 1024

ERR_FORMAT_WRONG: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
ERR_NUMERIC: Final = "unable to parse numeric part of quantity"
ERR_SUFFIX: Final = "unable to parse quantity's suffix"

_SHAPE: Final = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_EXPONENT: Final = re.compile(r"[eE]([+-]?[0-9]+)")

_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_NAMES: Final = {exponent: name for name, exponent in _DECIMAL.items()}
_BINARY_NAMES: Final = {exponent: name for name, exponent in _BINARY.items()}


class QuantityError(ValueError):
    """A string is not a quantity; the text is upstream's."""


class Format(StrEnum):
    """The notation a quantity was written in (``resource.Format``)."""

    DECIMAL_EXPONENT = "DecimalExponent"
    BINARY_SI = "BinarySI"
    DECIMAL_SI = "DecimalSI"


def _divide_away_from_zero(number: int, divisor: int) -> int:
    """Divide by a positive divisor, rounding any remainder away from zero."""
    magnitude = -(-abs(number) // divisor)
    return magnitude if number >= 0 else -magnitude


def _strip_factors(number: int, factor: int, limit: int | None = None) -> tuple[int, int]:
    """Take whole factors out of a nonzero number; return what is left and how many were taken."""
    count = 0
    while number % factor == 0 and (limit is None or count < limit):
        number //= factor
        count += 1
    return number, count


def _interpret_suffix(suffix: str) -> tuple[int, int, Format]:
    """Return base, exponent and format for a suffix."""
    if suffix in _DECIMAL:
        return 10, _DECIMAL[suffix], Format.DECIMAL_SI
    if suffix in _BINARY:
        return 2, _BINARY[suffix], Format.BINARY_SI
    match = _EXPONENT.fullmatch(suffix)
    # The length guard keeps the conversion cheap for absurd inputs.
    if match is None or len(match[1]) > 20:
        raise QuantityError(ERR_SUFFIX)
    exponent = int(match[1])
    if exponent > MAX_EXPONENT:
        raise QuantityError(ERR_SUFFIX)
    return 10, exponent, Format.DECIMAL_EXPONENT


def _to_nanos(digits: int, exponent: int) -> int:
    """Scale an unsigned ``digits * 10**exponent`` to nanos, rounding up."""
    shift = exponent + 9
    if shift >= 0:
        return digits * int(10**shift)
    if -shift > 2 * MAX_EXPONENT:
        return 1 if digits else 0
    return -(-digits // int(10**-shift))


class Quantity:
    """A fixed-point number with nano precision (``resource.Quantity``). Immutable.

    Equality and ordering are by amount; the format only decides how it prints. A plain class, not a dataclass:
    msgspec would take that for a JSON object instead of asking the decoding hook.
    """

    __slots__ = ("format", "nanos")

    def __init__(self, nanos: int = 0, format: Format = Format.DECIMAL_SI) -> None:
        self.nanos = nanos
        self.format = format

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nanos == other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"

    @classmethod
    def parse(cls, text: str) -> Quantity:
        """Parse a quantity, raising ``QuantityError`` as ``resource.ParseQuantity`` words it."""
        match = _SHAPE.fullmatch(text) if text else None
        if match is None:
            raise QuantityError(ERR_FORMAT_WRONG)
        sign, whole, fraction, suffix = match[1], match[2], match[3] or "", match[4]
        base, exponent, fmt = _interpret_suffix(suffix)
        if len(whole) + len(fraction) > MAX_EXPONENT:
            raise QuantityError(ERR_NUMERIC)
        digits = int((whole + fraction) or "0")
        if base == 2:
            nanos = _to_nanos(digits << exponent, -len(fraction))
            nanos = min(nanos, MAX_INT64 * NANO)
            if 0 < nanos < NANO:
                fmt = Format.DECIMAL_SI
        else:
            nanos = _to_nanos(digits, exponent - len(fraction))
        return cls(-nanos if sign == "-" else nanos, fmt)

    @classmethod
    def from_int(cls, value: int, fmt: Format = Format.DECIMAL_SI) -> Quantity:
        """Build a whole-number quantity (``resource.NewQuantity``)."""
        return cls(value * NANO, fmt)

    @classmethod
    def from_milli(cls, value: int, fmt: Format = Format.DECIMAL_SI) -> Quantity:
        """Build a quantity from thousandths (``resource.NewMilliQuantity``)."""
        return cls(value * 10**6, fmt)

    def value(self) -> int:
        """Return the amount in whole units, fractions rounded up (away from zero)."""
        return _divide_away_from_zero(self.nanos, NANO)

    def milli_value(self) -> int:
        """Return the amount in thousandths, fractions rounded up (away from zero)."""
        return _divide_away_from_zero(self.nanos, 10**6)

    def is_zero(self) -> bool:
        """Report whether the amount is zero."""
        return self.nanos == 0

    def sign(self) -> int:
        """Return -1, 0 or 1."""
        return (self.nanos > 0) - (self.nanos < 0)

    def cmp(self, other: Quantity) -> int:
        """Compare amounts: -1, 0 or 1."""
        return (self.nanos > other.nanos) - (self.nanos < other.nanos)

    def __lt__(self, other: Quantity) -> bool:
        return self.nanos < other.nanos

    def __le__(self, other: Quantity) -> bool:
        return self.nanos <= other.nanos

    def __gt__(self, other: Quantity) -> bool:
        return self.nanos > other.nanos

    def __ge__(self, other: Quantity) -> bool:
        return self.nanos >= other.nanos

    def __add__(self, other: Quantity) -> Quantity:
        """Add; a zero left side takes the format of the right, as upstream does."""
        return Quantity(self.nanos + other.nanos, self.format if self.nanos else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        """Subtract; a zero left side takes the format of the right, as upstream does."""
        return Quantity(self.nanos - other.nanos, self.format if self.nanos else other.format)

    def __neg__(self) -> Quantity:
        return Quantity(-self.nanos, self.format)

    def __str__(self) -> str:
        """Return the canonical form: no fraction, the largest suffix that stays exact."""
        if self.nanos == 0:
            return "0"
        if self.format is Format.BINARY_SI and abs(self.nanos) >= 1024 * NANO and self.nanos % NANO == 0:
            number, powers = _strip_factors(self.nanos // NANO, 1024, limit=6)
            return f"{number}{_BINARY_NAMES.get(powers * 10, '')}"
        if self.format is Format.DECIMAL_EXPONENT:
            number, powers = _strip_factors(self.nanos, 1000)
            exponent = powers * 3 - 9
            return f"{number}e{exponent}" if exponent else str(number)
        # The largest decimal suffix is E, nine thousands above nano.
        number, powers = _strip_factors(self.nanos, 1000, limit=9)
        return f"{number}{_DECIMAL_NAMES[powers * 3 - 9]}"


def parse_quantity(text: str) -> Quantity:
    """Parse a quantity (``resource.ParseQuantity``)."""
    return Quantity.parse(text)
