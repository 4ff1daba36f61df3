"""Cron schedules as upstream reads them (robfig/cron v3, ParseStandard): only whether they are right, and if not, why."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DESCRIPTORS = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_DURATION = re.compile(r"([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")


@dataclass(frozen=True)
class _Bounds:
    low: int
    high: int
    names: tuple[str, ...] = ()
    first: int = 0  # the number of the first name


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (_Bounds(0, 59), _Bounds(0, 23), _Bounds(1, 31), _Bounds(1, 12, _MONTHS, 1), _Bounds(0, 6, _DAYS))


class _Wrong(Exception):
    """The schedule cannot be read; the text is upstream's."""


def schedule_error(text: str) -> str:
    """Why a schedule is wrong; "" if it is right."""
    try:
        _parse(text)
    except _Wrong as error:
        return str(error)
    return ""


def _parse(text: str) -> None:
    if not text:
        raise _Wrong("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        text = text.partition(" ")[2].strip()
    if text.startswith("@"):
        return _descriptor(text)
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise _Wrong(f"expected exactly {len(_FIELDS)} fields, found {len(parts)}: [{' '.join(parts)}]")
    for part, bounds in zip(parts, _FIELDS, strict=True):
        for expression in filter(None, part.split(",")):
            _range(expression, bounds)


def _descriptor(text: str) -> None:
    if text in _DESCRIPTORS:
        return
    if not text.startswith("@every "):
        raise _Wrong(f"unrecognized descriptor: {text}")
    duration = text.removeprefix("@every ")
    if not _DURATION.sub("", duration) == "" or not duration:
        raise _Wrong(f'failed to parse duration {text}: time: invalid duration "{duration}"')


def _range(expression: str, bounds: _Bounds) -> None:
    whole, *steps = expression.split("/")
    low_text, *high_texts = whole.split("-")
    if low_text in ("*", "?"):
        start, end = bounds.low, bounds.high
    else:
        start = _number(low_text, bounds)
        if len(high_texts) > 1:
            raise _Wrong(f"too many hyphens: {expression}")
        end = _number(high_texts[0], bounds) if high_texts else start
    if len(steps) > 1:
        raise _Wrong(f"too many slashes: {expression}")
    step = 1
    if steps:
        step = _integer(steps[0])
        if not high_texts and low_text not in ("*", "?"):
            end = bounds.high
    if start < bounds.low:
        raise _Wrong(f"beginning of range ({start}) below minimum ({bounds.low}): {expression}")
    if end > bounds.high:
        raise _Wrong(f"end of range ({end}) above maximum ({bounds.high}): {expression}")
    if start > end:
        raise _Wrong(f"beginning of range ({start}) beyond end of range ({end}): {expression}")
    if step == 0:
        raise _Wrong(f"step of range should be a positive number: {expression}")


def _number(text: str, bounds: _Bounds) -> int:
    name = text.lower()
    return bounds.names.index(name) + bounds.first if name in bounds.names else _integer(text)


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise _Wrong(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text)
    if number < 0:
        raise _Wrong(f"negative number ({number}) not allowed: {text}")
    return number
