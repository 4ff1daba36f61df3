"""Doubles as texts."""

from __future__ import annotations

import math
from decimal import Decimal


def double_text(value: float) -> str:
    """The shortest that reads back as the same, as Go's %g."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    shown = "".join(map(str, digits))
    point = len(shown) + int(exponent)
    minus = "-" if sign or (value == 0 and math.copysign(1, value) < 0) else ""
    if value == 0:
        return f"{minus}0"
    if not -4 <= point - 1 < 6:
        return _exponential(minus, shown, point)
    return minus + _positional(shown, point)


def _exponential(minus: str, shown: str, point: int) -> str:
    exponent = point - 1
    fraction = f".{shown[1:]}" if len(shown) > 1 else ""
    return f"{minus}{shown[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _positional(shown: str, point: int) -> str:
    if point <= 0:
        return f"0.{'0' * -point}{shown}"
    return shown.ljust(point, "0") if point >= len(shown) else f"{shown[:point]}.{shown[point:]}"
