"""Durations as Go writes and reads them (time.ParseDuration, time.Duration.String); here they are seconds."""

from __future__ import annotations

import re

_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")  # both signs for micro, as Go has them
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
LIMIT_SECONDS = 2**63 / 1e9  # of int64 nanoseconds


def parse_duration(text: str) -> float:
    """Seconds of 300ms, 1m30s, -2h. ValueError with Go's text."""
    body = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    if body == "0":
        return 0.0
    seconds, place = 0.0, 0
    while part := _PART.match(body, place):  # from where the last ended: a search would begin again at each digit
        seconds += float(part[1]) * _UNITS[part[2]]
        place = part.end()
    if not body or place < len(body) or seconds >= LIMIT_SECONDS:
        raise ValueError(f"time: invalid duration {_quoted(text)}")
    return -seconds if text.startswith("-") else seconds


def format_duration(seconds: float) -> str:
    """10s, 1m20s, 2h0m0s, 1m0.5s, 300ms."""
    nanoseconds = round(abs(seconds) * 1e9)
    sign = "-" if seconds < 0 and nanoseconds else ""
    if nanoseconds == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if nanoseconds < size * 1000 and nanoseconds < 10**9:
            return f"{sign}{_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    hours, minutes_left = divmod(minutes, 60)
    text = f"{_decimal(rest, 10**9)}s"
    if minutes:
        text = f"{minutes_left}m{text}"
    return sign + (f"{hours}h{text}" if hours else text)


def short_human_duration(seconds: float) -> str:
    """59s, 3m, 23h, 364d, 9y: one unit, cut off; <invalid> for what is over (apimachinery's duration.ShortHumanDuration)."""
    whole = int(seconds)
    if whole < -1:  # clocks may differ by a moment
        return "<invalid>"
    for unit, size, limit in (("s", 1, 60), ("m", 60, 3600), ("h", 3600, 86400), ("d", 86400, 365 * 86400)):
        if whole < limit:
            return f"{max(whole, 0) // size}{unit}"
    return f"{whole // (365 * 86400)}y"


def _decimal(amount: int, unit: int) -> str:
    """amount/unit without trailing zeros, exactly."""
    whole, rest = divmod(amount, unit)
    digits = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
