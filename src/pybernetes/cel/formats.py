"""Dates, times and durations as OpenAPI's formats have them, looser than CEL's own (upstream: kube-openapi/pkg/validation/strfmt)."""

from __future__ import annotations

import re
from datetime import date

from .convert import parse_duration, parse_timestamp
from .values import INT64, Duration, Timestamp

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)([zZ]|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_PART = re.compile(r"([0-9]+)\s*([A-Za-zµ]+)")
_SECOND = 10**9
_SIZES = (
    (1, "ns", "nano"), (10**3, "us", "µs", "micro"), (10**6, "ms", "milli"), (_SECOND, "s", "sec"),
    (60 * _SECOND, "m", "min"), (3600 * _SECOND, "h", "hr", "hour"), (86400 * _SECOND, "d", "day"),
    (7 * 86400 * _SECOND, "w", "wk", "week"),
)  # fmt: skip
_UNITS = {name: int(size) for size, *names in _SIZES for name in names if isinstance(name, str)}


def parse_date(text: str) -> date:
    """2006-01-02. ValueError."""
    if not _DATE.fullmatch(text):
        raise ValueError(f'parsing time "{text}" as "2006-01-02"')
    return date.fromisoformat(text)


def parse_date_time(text: str) -> Timestamp:
    """RFC 3339, with or without its seconds, zone and time. ValueError."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError(f'parsing time "{text}"')
    day, time, zone = match[1], match[2] or "00:00:00", (match[3] or "Z").upper()
    if len(time) == 5:
        time += ":00"
    if zone != "Z" and ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    return parse_timestamp(f"{day}T{time}{zone}")


def parse_openapi_duration(text: str) -> Duration:
    """As Go's, and also in days and weeks and with spelt units: "2 days". ValueError."""
    try:
        return parse_duration(text)
    except ValueError:
        pass
    total, parts = 0, _PART.findall(text)
    for amount, unit in parts:
        size = _UNITS.get(unit, _UNITS.get(unit.lower().removesuffix("s"), 0))
        if not size or len(amount) > 19:
            raise ValueError(f"unable to parse {text} as duration")
        total += int(amount) * size
    if not parts or total not in INT64:
        raise ValueError(f"unable to parse {text} as duration")
    return Duration(total)
