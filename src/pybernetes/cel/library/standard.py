"""The language's own functions: sizes, texts, parts of times (upstream: cel-go common/stdlib/standard.go)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from pybernetes.api import goregexp

from .. import convert, functions, types
from ..errors import EvaluationError
from ..functions import TRAVERSAL, Overload
from ..types import BOOL, BYTES, DURATION, INT, STRING, TIMESTAMP
from ..values import NANOSECONDS, Duration, Object, Steps, Timestamp, size_of
from . import patterns
from .declare import function, method

_LIST, _MAP = types.list_of(types.parameter("A")), types.map_of(types.parameter("A"), types.parameter("B"))
_OFFSET = re.compile(r"([+-]?[0-9]{1,9}):([0-9]{1,9})")
ZONE_STEPS, MAX_ZONES = 200, 1000  # what looking for a zone counts, which may read a file; names whose outcome is kept
MAX_ZONE_LENGTH = 64
_zones: dict[str, ZoneInfo | None] = {}
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}")


def overloads() -> Iterator[Overload]:
    """All of them."""
    for kind in (BYTES, _LIST, _MAP, STRING):
        yield function("size", f"size_{kind.name}", (kind,), INT, _size)
        yield method("size", f"{kind.name}_size", (kind,), INT, _size)
    yield method("contains", "contains_string", (STRING, STRING), BOOL, lambda text, part: part in text, _contains_cost)
    yield method("endsWith", "ends_with_string", (STRING, STRING), BOOL, str.endswith, functions.traversal(1))
    yield method("startsWith", "starts_with_string", (STRING, STRING), BOOL, str.startswith, functions.traversal(1))
    yield function("matches", "matches", (STRING, STRING), BOOL, matches, functions.regexp, counted=True)
    yield method("matches", "matches_string", (STRING, STRING), BOOL, matches, functions.regexp, counted=True)
    for name, part in _PARTS.items():
        yield method(name, f"timestamp_{name}", (TIMESTAMP,), INT, _in_utc(part))
        yield method(name, f"timestamp_{name}_with_tz", (TIMESTAMP, STRING), INT, _in_zone(part), counted=True)
    for name, unit in _UNITS.items():
        yield method(name, f"duration_{name}", (DURATION,), INT, _whole(unit))


def _size(value: Any) -> int:
    return value.size() if isinstance(value, Object) else len(value)


def _contains_cost(arguments: Sequence[Any], _: Any) -> int:
    return math.ceil(size_of(arguments[0]) * TRAVERSAL) * math.ceil(size_of(arguments[1]) * TRAVERSAL)


def matches(text: str, pattern: str, steps: Steps) -> bool:
    """Whether a pattern is anywhere in a text. EvaluationError for a pattern that is none."""
    try:
        return patterns.pattern(pattern, text, steps).search(text)
    except goregexp.RegexpError as error:
        raise EvaluationError(str(error)) from None


# --- times -------------------------------------------------------------------------------------

_PARTS: dict[str, Callable[[datetime, int], int]] = {
    "getFullYear": lambda moment, _: moment.year,
    "getMonth": lambda moment, _: moment.month - 1,
    "getDayOfYear": lambda moment, _: moment.timetuple().tm_yday - 1,
    "getDayOfMonth": lambda moment, _: moment.day - 1,
    "getDate": lambda moment, _: moment.day,
    "getDayOfWeek": lambda moment, _: moment.isoweekday() % 7,
    "getHours": lambda moment, _: moment.hour,
    "getMinutes": lambda moment, _: moment.minute,
    "getSeconds": lambda moment, _: moment.second,
    "getMilliseconds": lambda _, nanoseconds: nanoseconds // 10**6,
}
_UNITS = {
    "getHours": 3600 * NANOSECONDS,
    "getMinutes": 60 * NANOSECONDS,
    "getSeconds": NANOSECONDS,
    "getMilliseconds": 10**6,
}


def _in_utc(part: Callable[[datetime, int], int]) -> Callable[[Timestamp], int]:
    return lambda value: part(convert.datetime_of(value), value.nanoseconds % NANOSECONDS)


def _in_zone(part: Callable[[datetime, int], int]) -> Callable[[Timestamp, str, Steps], int]:
    def call(value: Timestamp, zone: str, steps: Steps) -> int:
        try:
            moment = convert.datetime_of(value).astimezone(_zone(zone, steps))
        except (OverflowError, ValueError):
            raise convert.overflow("timestamp") from None
        return part(moment, value.nanoseconds % NANOSECONDS)

    return call


def _zone(name: str, steps: Steps) -> timezone | ZoneInfo:
    """A zone by name, or an offset as 02:00, -08:30."""
    if ":" in name[:MAX_ZONE_LENGTH]:
        offset = _OFFSET.fullmatch(name) if len(name) <= MAX_ZONE_LENGTH else None
        if offset is None:
            text = name.partition(":")[0]
            raise EvaluationError(f'strconv.Atoi: parsing "{text}": invalid syntax')
        hours, minutes = int(offset[1]), int(offset[2])
        total = hours * 60 + (-minutes if offset[1].startswith("-") else minutes)
        if abs(total) >= 24 * 60:
            raise EvaluationError(f"unknown time zone {name}")
        return timezone(timedelta(minutes=total))
    if name in ("", "UTC"):
        return timezone.utc  # noqa: UP017  # the type is the same
    if len(name) > MAX_ZONE_LENGTH:
        raise EvaluationError(f"unknown time zone {name}")
    if name not in _zones:
        steps.take(ZONE_STEPS)
        if len(_zones) > MAX_ZONES:
            _zones.clear()
        _zones[name] = _named(name)
    zone = _zones[name]
    if zone is None:
        raise EvaluationError(f"unknown time zone {name}")
    return zone


def _named(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if _ZONE.fullmatch(name) else None
    except (OSError, ValueError, KeyError):
        return None


def _whole(unit: int) -> Callable[[Duration], int]:
    """Of whole units, towards zero."""

    def call(value: Duration) -> int:
        amount = abs(value.nanoseconds) // unit
        return -amount if value.nanoseconds < 0 else amount

    return call
