"""Completion indexes of a job as intervals; pure (upstream: pkg/controller/job/indexed_job_utils.go).

A job may have 2^31-1 completions, and its status may say that all but one are done: `0-2147483645`. No function here costs more than
the number of intervals that it is given and answers, whatever numbers stand in them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

Interval = tuple[int, int]  # first and last, both included

_PART = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?")  # of int32: ten digits


class Indexes:
    """A set of numbers, held as sorted intervals of which no two overlap or touch. Immutable."""

    __slots__ = ("intervals",)

    def __init__(self, intervals: Iterable[Interval] = ()) -> None:
        """Of intervals in any order; those whose last number is below the first are empty."""
        merged: list[Interval] = []
        for first, last in sorted(intervals):
            if last < first:
                continue
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        self.intervals = tuple(merged)

    @classmethod
    def of(cls, numbers: Iterable[int | None]) -> Indexes:
        """Of single numbers; None, which a pod without a valid index has, is left out."""
        return cls((number, number) for number in numbers if number is not None)

    @classmethod
    def parse(cls, text: str, completions: int | None = None) -> Indexes:
        """Those of "1,3-5" below `completions`; what cannot be read is left out, as upstream does (parseIndexesFromString)."""
        matches = (_PART.fullmatch(part) for part in text.split(","))
        intervals = [(int(match[1]), int(match[2] or match[1])) for match in matches if match is not None]
        if completions is not None:
            intervals = [(first, min(last, completions - 1)) for first, last in intervals]
        return cls(intervals)

    def __str__(self) -> str:
        """As the status has them (indexesToString): two in a row are written 1,2; three and more 1-3."""
        return ",".join(_text(first, last) for first, last in self.intervals)

    def __repr__(self) -> str:
        return f"Indexes({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Indexes) and self.intervals == other.intervals

    def __hash__(self) -> int:
        return hash(self.intervals)

    def __len__(self) -> int:
        """How many numbers there are."""
        return sum(last - first + 1 for first, last in self.intervals)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self.intervals, number, key=_first)
        return place > 0 and number <= self.intervals[place - 1][1]

    def __or__(self, other: Indexes) -> Indexes:
        return Indexes((*self.intervals, *other.intervals))

    def __and__(self, other: Indexes) -> Indexes:
        return Indexes(_common(self.intervals, other.intervals))

    def __sub__(self, other: Indexes) -> Indexes:
        if not self.intervals:
            return self
        end = self.intervals[-1][1] + 1
        return Indexes(_common(self.intervals, tuple(other.gaps(0, end))))

    def gaps(self, start: int, end: int) -> Iterator[Interval]:
        """What lies between the intervals from `start` up to, and without, `end`; lowest first."""
        for first, last in self.intervals:
            if first >= end:
                break
            if start < first:
                yield start, first - 1
            start = max(start, last + 1)
        if start < end:
            yield start, end - 1

    def first_missing(self, count: int, end: int, start: int = 0) -> list[int]:
        """The lowest numbers from `start` below `end` that are not here, `count` at most (firstPendingIndexes)."""
        missing: list[int] = []
        for first, last in self.gaps(start, end):
            room = count - len(missing)
            if room <= 0:
                break
            missing.extend(range(first, min(last, first + room - 1) + 1))
        return missing


def _first(interval: Interval) -> int:
    return interval[0]


def _text(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if first + 1 == last else f"{first}-{last}"


def _common(a: tuple[Interval, ...], b: tuple[Interval, ...]) -> Iterator[Interval]:
    """The intersections of two sorted lists, in one pass over both."""
    i = j = 0
    while i < len(a) and j < len(b):
        yield max(a[i][0], b[j][0]), min(a[i][1], b[j][1])  # empty ones are for the caller to drop
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
