"""metav1.Time and metav1.MicroTime as text."""

from __future__ import annotations

import calendar
import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

ZERO = datetime(1, 1, 1, tzinfo=UTC)  # Go's zero time, which is written as null
TIME_LAYOUT = "2006-01-02T15:04:05Z07:00"
MICRO_TIME_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_FRACTION = ("fraction", ".000000", re.compile(r"[.,]([0-9]{6})"))
# (what it is, how Go's layouts call it, how it is written)
_ELEMENTS = (
    ("year", "2006", re.compile(r"([0-9]{4})")),
    ("", "-", re.compile("-")),
    ("month", "01", re.compile(r"([0-9]{2})")),
    ("", "-", re.compile("-")),
    ("day", "02", re.compile(r"([0-9]{2})")),
    ("", "T", re.compile("T")),
    ("hour", "15", re.compile(r"([0-9]{1,2})")),
    ("", ":", re.compile(":")),
    ("minute", "04", re.compile(r"([0-9]{2})")),
    ("", ":", re.compile(":")),
    ("second", "05", re.compile(r"([0-9]{2})")),
)
_ZONE = ("zone", "Z07:00", re.compile(r"Z|([+-])([0-9]{2}):([0-9]{2})"))
# What is nearly always written, which C reads; all else, and what is out of range, is read element by element.
_USUAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z")
_USUAL_MICRO = re.compile(_USUAL.pattern.removesuffix("Z") + r"\.[0-9]{6}Z")
_ANY_FRACTION = re.compile(r"[.,]([0-9]+)")
_LIMITS = {"month": (1, 12), "hour": (0, 23), "minute": (0, 59), "second": (0, 59)}  # seconds: Go knows no leap seconds


class TimeError(ValueError):
    """A text that is no time, in the words of Go's time.Parse."""


def format_time(moment: datetime) -> str:
    """metav1.Time: seconds, in UTC: 2026-01-02T03:04:05Z."""
    m = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    # By hand, which takes a third of strftime's time: every write says when it was. And strftime forgets a year's zeros.
    return f"{m.year:04}-{m.month:02}-{m.day:02}T{m.hour:02}:{m.minute:02}:{m.second:02}Z"


def format_micro_time(moment: datetime) -> str:
    """metav1.MicroTime: always six digits of a second."""
    m = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{format_time(m)[:-1]}.{m.microsecond:06}Z"


def parse_time(text: str) -> datetime:
    """Either of them, in UTC; raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no time zone: write it as 2026-01-02T03:04:05Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"time {text!r} is outside of the years 1 to 9999") from None


def parse_rfc3339(text: str, micro: bool = False) -> datetime:
    """As Go reads metav1.Time, or MicroTime (six digits of a second are a must), in UTC; TimeError.

    What is finer than a microsecond is cut off. Moments outside of the years 1 to 9999 in UTC are refused, which Go keeps.
    """
    if (_USUAL_MICRO if micro else _USUAL).fullmatch(text):
        with suppress(ValueError):  # which number is out of range is said below
            return datetime.fromisoformat(text)
    layout = MICRO_TIME_LAYOUT if micro else TIME_LAYOUT
    before = f"parsing time {_quoted(text)}"
    values: dict[str, int] = {}
    place = microseconds = 0
    for name, element, pattern in (*_ELEMENTS, *((_FRACTION,) if micro else ()), _ZONE):
        match = pattern.match(text, place)
        if match is None:
            raise TimeError(
                f"{before} as {_quoted(layout)}: cannot parse {_quoted(text[place:])} as {_quoted(element)}"
            )
        place = match.end()
        if name == "zone":
            offset = _offset(match, before)
        elif name == "fraction":
            microseconds = int(match[1])
        elif name:
            values[name] = value = int(match[1])
            least, most = _LIMITS.get(name, (0, value))
            if not least <= value <= most:
                raise TimeError(f"{before}: {name} out of range")
        if name == "second" and not micro and (match := _ANY_FRACTION.match(text, place)):
            place = match.end()
            microseconds = int(f"{match[1][:6]:0<6}")
    if place < len(text):
        raise TimeError(f"{before}: extra text: {_quoted(text[place:])}")
    year = values["year"]
    if not 1 <= values["day"] <= calendar.monthrange(year or 4, values["month"])[1]:
        raise TimeError(f"{before}: day out of range")
    try:
        return datetime(**values, microsecond=microseconds, tzinfo=UTC) - offset
    except (ValueError, OverflowError):
        raise TimeError(f"{before}: year out of range") from None


def _offset(match: re.Match[str], before: str) -> timedelta:
    if match[0] == "Z":
        return timedelta()
    hours, minutes = int(match[2]), int(match[3])
    if hours > 24:
        raise TimeError(f"{before}: time zone offset hour out of range")
    if minutes > 60:
        raise TimeError(f"{before}: time zone offset minute out of range")
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if match[1] == "-" else offset


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def since_epoch(seconds: int, microseconds: int = 0) -> datetime:
    """A moment by Unix time; TimeError outside of the years 1 to 9999."""
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=microseconds)
    except OverflowError:
        raise TimeError(f"{seconds} seconds since 1970 are outside of the years 1 to 9999") from None


def truncated(moment: datetime) -> datetime:
    """The same moment in whole seconds, as typed objects must carry it."""
    return moment.astimezone(UTC).replace(microsecond=0)


def shifted(moment: datetime, seconds: float) -> datetime:
    """So many seconds later, earlier where negative; the first or last moment there is where that lies outside of time.

    Seconds of objects are int64: activeDeadlineSeconds of 2^63-1 is somebody's "never".
    """
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return (datetime.max if seconds > 0 else datetime.min).replace(tzinfo=moment.tzinfo)
