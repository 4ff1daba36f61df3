"""Times, durations and numbers as text, and the conversions between types (upstream: cel-go common/types, in Go's own notations)."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from .doubletext import double_text
from .errors import EvaluationError
from .values import INT64, MAX_SECONDS, MIN_SECONDS, NANOSECONDS, UINT64, Duration, Timestamp, Uint, type_name

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.,]([0-9]+))?(Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_DURATION_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")  # both signs for micro, as Go has them
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": NANOSECONDS, "m": 60 * NANOSECONDS, "h": 3600 * NANOSECONDS}  # fmt: skip
_NUMBER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE)
MAX_DIGITS = 400  # characters of a number, time or duration: enough for any double, and each conversion costs but 1
BOOLEANS = {**dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
            **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False)}  # fmt: skip


def overflow(kind: str) -> EvaluationError:
    """What an operation that leaves its type's range says; `kind` is integer, unsigned integer, timestamp, duration."""
    return EvaluationError(f"{kind} overflow")


def integer(value: int) -> int:
    """Of 64 bits, or an overflow."""
    if -(2**63) <= value < 2**63:
        return value
    raise overflow("integer")


def unsigned(value: int) -> Uint:
    """Of 64 bits, or an overflow."""
    if 0 <= value < 2**64:
        return Uint(value)
    raise overflow("unsigned integer")


def duration(nanoseconds: int) -> Duration:
    """Of 64 bits of nanoseconds, or an overflow."""
    if -(2**63) <= nanoseconds < 2**63:
        return Duration(nanoseconds)
    raise overflow("integer")


def timestamp(nanoseconds: int, offset: int = 0) -> Timestamp:
    """Within the years 1 to 9999, or an overflow."""
    if MIN_SECONDS <= nanoseconds // NANOSECONDS <= MAX_SECONDS:
        return Timestamp(nanoseconds, offset)
    raise overflow("timestamp")


# --- text --------------------------------------------------------------------------------------


def parse_timestamp(text: str) -> Timestamp:
    """RFC 3339, to the nanosecond. ValueError; EvaluationError outside of the range."""
    match = _RFC3339.fullmatch(text) if len(text) <= MAX_DIGITS else None
    if match is None:
        raise ValueError(text)
    try:
        moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError:
        if match[1].startswith("0000") or "T24" in match[1]:
            raise overflow("timestamp") if match[1].startswith("0000") else ValueError(text) from None
        raise
    offset = 0 if match[3] == "Z" else (int(match[5]) * 3600 + int(match[6]) * 60) * (-1 if match[4] == "-" else 1)
    if abs(offset) > 24 * 3600 or (match[6] and int(match[6]) > 59):
        raise ValueError(text)
    seconds = round((moment - _EPOCH) / timedelta(seconds=1)) - offset
    return timestamp(seconds * NANOSECONDS + int((match[2] or "")[:9].ljust(9, "0")), offset)


def datetime_of(value: Timestamp) -> datetime:
    """To the second, in UTC."""
    return _EPOCH + timedelta(seconds=value.nanoseconds // NANOSECONDS)


def timestamp_text(value: Timestamp) -> str:
    """RFC 3339 with as many digits of a second as it has."""
    rest = value.nanoseconds % NANOSECONDS
    digits = f".{rest:09d}".rstrip("0") if rest else ""
    try:
        moment, offset = datetime_of(value) + timedelta(seconds=value.offset), value.offset
    except OverflowError:  # in its zone it is not in the years that Python has
        moment, offset = datetime_of(value), 0
    zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 3600:02d}:{abs(offset) // 60 % 60:02d}" if offset else "Z"
    return f"{moment.year:04d}{moment.strftime('-%m-%dT%H:%M:%S')}{digits}{zone}"


def parse_duration(text: str) -> Duration:
    """As Go reads 1h30m, -1.5s. ValueError."""
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if body == "0":
        return Duration(0)
    if len(body) > MAX_DIGITS:
        raise ValueError(text)
    total, at = 0, 0
    while at < len(body):
        match = _DURATION_PART.match(body, at)
        if match is None or not (match[1] or match[2]) or len(match[1]) > 19:
            raise ValueError(text)
        unit, fraction = _UNITS[match[3]], (match[2] or "")[:18]
        total += int(match[1] or "0") * unit + int(fraction or "0") * unit // 10 ** len(fraction)
        at = match.end()
    if not body or sign * total not in INT64:
        raise ValueError(text)
    return Duration(sign * total)


def duration_text(value: Duration) -> str:
    """Seconds, as decimal."""
    seconds = value.nanoseconds / NANOSECONDS
    return f"{Decimal(repr(seconds)):f}".removesuffix(".0") + "s"


# --- conversions -------------------------------------------------------------------------------


def refuse(value: Any, to: str) -> EvaluationError:
    """A conversion that cannot be."""
    return EvaluationError(f"type conversion error from '{type_name(value)}' to '{to}'")


def to_int(value: Any) -> int:
    """int()"""
    match value:
        case float():
            if math.isnan(value) or not -(2.0**63) < value < 2.0**63:
                raise overflow("integer")
            return int(value)
        case str():
            if len(value) > MAX_DIGITS or not _NUMBER.fullmatch(value) or int(value) not in INT64:
                raise refuse(value, "int")
            return int(value)
        case Timestamp():
            return value.nanoseconds // NANOSECONDS
        case Duration():
            return value.nanoseconds
    return integer(int(value))


def to_uint(value: Any) -> Uint:
    """uint()"""
    match value:
        case float():
            if math.isnan(value) or not 0 <= value < 2.0**64:
                raise overflow("unsigned integer")
            return Uint(int(value))
        case str():
            if len(value) > MAX_DIGITS or not value.isascii() or not value.isdigit() or int(value) not in UINT64:
                raise refuse(value, "uint")
            return Uint(int(value))
    return unsigned(int(value))


def to_double(value: Any) -> float:
    """double()"""
    if isinstance(value, str):
        if len(value) > MAX_DIGITS or not _FLOAT.fullmatch(value):
            raise refuse(value, "double")
        number = float(value)
        if math.isinf(number) and "inf" not in value.lower():
            raise refuse(value, "double")
        return number
    return float(value)


def to_bool(value: Any) -> bool:
    """bool()"""
    if isinstance(value, str):
        if value not in BOOLEANS:
            raise refuse(value, "bool")
        return BOOLEANS[value]
    return bool(value)


def to_string(value: Any) -> str:
    """string()"""
    match value:
        case bool():
            return "true" if value else "false"
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None
        case float():
            return double_text(value)
        case Timestamp():
            return timestamp_text(value)
        case Duration():
            return duration_text(value)
    return str(value)


def to_bytes(value: Any) -> bytes:
    """bytes()"""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else bytes(value)


def to_timestamp(value: Any) -> Timestamp:
    """timestamp()"""
    if isinstance(value, str):
        try:
            return parse_timestamp(value)
        except ValueError:
            raise refuse(value, "google.protobuf.Timestamp") from None
    return value if isinstance(value, Timestamp) else timestamp(int(value) * NANOSECONDS)


def to_duration(value: Any) -> Duration:
    """duration()"""
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError:
            raise refuse(value, "google.protobuf.Duration") from None
    return value if isinstance(value, Duration) else Duration(int(value))
