"""Cron schedules as upstream reads them (robfig/cron v3, ParseStandard) and when they are due. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .durations import parse_duration

YEARS_AHEAD = 5  # a date that does not come in so long never comes: 31 February
SHORT = 200  # characters of a schedule as people write them
LAST_YEAR = 9998  # datetime ends a year later; a status may hold any time
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True)
class _Bounds:
    low: int
    high: int
    names: tuple[str, ...] = ()
    first: int = 0  # the number of the first name


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (_Bounds(0, 59), _Bounds(0, 23), _Bounds(1, 31), _Bounds(1, 12, _MONTHS, 1), _Bounds(0, 6, _DAYS))


class ScheduleError(ValueError):
    """The schedule cannot be read; the text is upstream's."""


class Schedule(Protocol):
    """When something is due."""

    def next(self, after: datetime) -> datetime | None:
        """The first time after the given one, in UTC; None if there is none in the next five years."""
        ...

    def last(self, after: datetime, until: datetime) -> datetime | None:
        """The last time after `after` and not after `until`, in UTC; takes no longer for a year than for a day."""
        ...


@dataclass(frozen=True)
class Every:
    """@every DURATION: counted from the last time, in whole seconds, one at least."""

    delay: timedelta

    def next(self, after: datetime) -> datetime | None:
        if after.year > LAST_YEAR:
            return None
        return (after + self.delay).replace(microsecond=0).astimezone(UTC)

    def last(self, after: datetime, until: datetime) -> datetime | None:
        first = self.next(after)
        if first is None or first > until:
            return None
        return first + (until - first) // self.delay * self.delay


@dataclass(frozen=True)
class _Field:
    values: frozenset[int]
    star: bool


@dataclass(frozen=True)
class Spec:
    """Five fields in a time zone. An hour that the clock leaps over is not made up for; one that comes twice counts twice."""

    minute: _Field
    hour: _Field
    day: _Field
    month: _Field
    weekday: _Field
    zone: tzinfo

    def next(self, after: datetime) -> datetime | None:
        if after.year > LAST_YEAR:
            return None
        moment = after.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        last_year = min(moment.year + YEARS_AHEAD, LAST_YEAR)
        while moment.year <= last_year:
            local = moment.astimezone(self.zone)
            if local.month not in self.month.values:
                year, month = (local.year + 1, 1) if local.month == 12 else (local.year, local.month + 1)
                moment = self._start_of_day(datetime(year, month, 1, tzinfo=self.zone), moment)
            elif not self._is_day(local):
                following = local.date() + timedelta(days=1)
                start = datetime(following.year, following.month, following.day, tzinfo=self.zone)
                moment = self._start_of_day(start, moment)
            elif local.hour not in self.hour.values:
                moment += timedelta(minutes=60 - local.minute)
            elif local.minute not in self.minute.values:
                moment += timedelta(minutes=self._minutes_left(local.minute))
            else:
                return moment
        return None

    def last(self, after: datetime, until: datetime) -> datetime | None:
        """Halves the time in which it must be: there may be half a million minutes in it."""
        latest: datetime | None = None
        low, high = after, until
        while high - low > timedelta(0):
            middle = low + (high - low) / 2 if latest is not None else low
            activation = self.next(middle)
            if activation is not None and activation <= until:
                low = latest = activation
            elif latest is None:
                return None
            else:
                high = middle.replace(second=0, microsecond=0)
        return latest

    @staticmethod
    def _start_of_day(start: datetime, former: datetime) -> datetime:
        return max(start.astimezone(UTC), former + timedelta(minutes=1))

    def _minutes_left(self, minute: int) -> int:
        """Until the next minute of the hour that there is, or the hour's end. Clocks leap at whole quarters: those are looked at."""
        return min([given for given in self.minute.values if given > minute] + [(minute // 15 + 1) * 15]) - minute

    def _is_day(self, local: datetime) -> bool:
        """Either field is enough where both are given; a star leaves it to the other."""
        day = local.day in self.day.values
        weekday = local.isoweekday() % 7 in self.weekday.values
        return day and weekday if self.day.star or self.weekday.star else day or weekday


def parse(text: str, zone: tzinfo = UTC) -> Schedule:
    """A schedule in the time zone, unless it names one itself (TZ=, CRON_TZ=). ScheduleError.

    Schedules are asked for again and again; the last ones are remembered, of those that are long a few.
    """
    return _short(text, zone) if len(text) <= SHORT else _long(text, zone)


@lru_cache(1024)
def _short(text: str, zone: tzinfo) -> Schedule:
    return _parse(text, zone)


@lru_cache(8)
def _long(text: str, zone: tzinfo) -> Schedule:
    return _parse(text, zone)


def _parse(text: str, zone: tzinfo) -> Schedule:
    if not text:
        raise ScheduleError("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        name, _, text = text.partition("=")[2].partition(" ")
        zone, text = load_zone(name), text.strip()
    if text.startswith("@every "):
        return Every(timedelta(seconds=max(1, int(_duration(text)))))
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise ScheduleError(f"unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise ScheduleError(f"expected exactly {len(_FIELDS)} fields, found {len(parts)}: [{' '.join(parts)}]")
    minute, hour, day, month, weekday = (_field(p, bounds) for p, bounds in zip(parts, _FIELDS, strict=True))
    return Spec(minute, hour, day, month, weekday, zone)


def load_zone(name: str) -> tzinfo:
    """A time zone by its name; ScheduleError where there is none."""
    try:
        return ZoneInfo(name) if name not in ("", "UTC") else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(f"provided bad location {name}: unknown time zone {name}") from error


def schedule_error(text: str) -> str:
    """Why a schedule is wrong; "" if it is right."""
    try:
        parse(text)
    except ScheduleError as error:
        return str(error)
    return ""


def _duration(text: str) -> float:
    try:
        return parse_duration(text.removeprefix("@every "))
    except ValueError as error:
        raise ScheduleError(f"failed to parse duration {text}: {error}") from None


def _field(part: str, bounds: _Bounds) -> _Field:
    values: set[int] = set()
    star = False
    for expression in dict.fromkeys(filter(None, part.split(","))):  # a list may name the same minute a million times
        numbers, starred = _range(expression, bounds)
        values.update(numbers)
        star = star or starred
    return _Field(frozenset(values), star)


def _range(expression: str, bounds: _Bounds) -> tuple[range, bool]:
    whole, *steps = expression.split("/")
    low_text, *high_texts = whole.split("-")
    star = low_text in ("*", "?")
    if star:
        start, end = bounds.low, bounds.high
    else:
        start = _number(low_text, bounds)
        if len(high_texts) > 1:
            raise ScheduleError(f"too many hyphens: {expression}")
        end = _number(high_texts[0], bounds) if high_texts else start
    if len(steps) > 1:
        raise ScheduleError(f"too many slashes: {expression}")
    step = 1
    if steps:
        step = _integer(steps[0])
        if not high_texts and not star:
            end = bounds.high
    if start < bounds.low:
        raise ScheduleError(f"beginning of range ({start}) below minimum ({bounds.low}): {expression}")
    if end > bounds.high:
        raise ScheduleError(f"end of range ({end}) above maximum ({bounds.high}): {expression}")
    if start > end:
        raise ScheduleError(f"beginning of range ({start}) beyond end of range ({end}): {expression}")
    if step == 0:
        raise ScheduleError(f"step of range should be a positive number: {expression}")
    return range(start, end + 1, step), star and step == 1


def _number(text: str, bounds: _Bounds) -> int:
    name = text.lower()
    return bounds.names.index(name) + bounds.first if name in bounds.names else _integer(text)


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ScheduleError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text)
    if number < 0:
        raise ScheduleError(f"negative number ({number}) not allowed: {text}")
    return number
