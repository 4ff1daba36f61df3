"""Which numbers of a range are taken, as intervals: the next free one costs no look at those in between. Pure.

Memory grows with what is taken, never with the range, which may hold 2^64 addresses (upstream keeps bitmaps, and bounds ranges for it).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .ranges import Span

if TYPE_CHECKING:
    import random


class Taken:
    """A set of integers. `in`, `add`, `discard` and the next free number search; adding and removing also move what lies behind."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._starts: list[int] = []  # of intervals that neither overlap nor touch, in order
        self._ends: list[int] = []  # the last number of each, included
        for number in sorted(set(numbers)):
            if self._ends and self._ends[-1] == number - 1:
                self._ends[-1] = number
            else:
                self._starts.append(number)
                self._ends.append(number)

    def __contains__(self, number: int) -> bool:
        at = bisect_left(self._ends, number)
        return at < len(self._ends) and self._starts[at] <= number

    def add(self, number: int) -> None:
        """Takes it."""
        starts, ends = self._starts, self._ends
        at = bisect_left(ends, number)  # the first interval that is not wholly before it
        if at < len(ends) and starts[at] <= number:
            return
        after = at < len(starts) and starts[at] == number + 1
        if at and ends[at - 1] == number - 1:
            if after:
                ends[at - 1] = ends[at]
                del starts[at], ends[at]
            else:
                ends[at - 1] = number
        elif after:
            starts[at] = number
        else:
            starts.insert(at, number)
            ends.insert(at, number)

    def discard(self, number: int) -> None:
        """Frees it."""
        starts, ends = self._starts, self._ends
        at = bisect_left(ends, number)
        if at == len(ends) or starts[at] > number:
            return
        start, end = starts[at], ends[at]
        if start == end:
            del starts[at], ends[at]
        elif number == start:
            starts[at] = number + 1
        elif number == end:
            ends[at] = number - 1
        else:
            ends[at] = number - 1
            starts.insert(at + 1, number + 1)
            ends.insert(at + 1, end)

    def count(self, span: Span) -> int:
        """How many of a range are taken."""
        first, last = bisect_left(self._ends, span.first), bisect_right(self._starts, span.last)
        pairs = zip(self._starts[first:last], self._ends[first:last], strict=True)
        return sum(min(end, span.last) - max(start, span.first) + 1 for start, end in pairs)

    def next_free(self, low: int, high: int) -> int | None:
        """The first from `low` to `high` that is not taken."""
        at = bisect_left(self._ends, low)
        if at < len(self._ends) and self._starts[at] <= low:
            low = self._ends[at] + 1
        return low if low <= high else None

    def free(self, span: Span, chooser: random.Random) -> Iterator[int]:
        """Those of a range: the upper part, then the lower, each from a random place around; each once, as they are when asked for."""
        for low, high in ((span.middle, span.last), (span.first, span.middle - 1)):
            if high < low:
                continue
            start = chooser.randint(low, high)
            for first, last in ((start, high), (low, start - 1)):
                number = self.next_free(first, last)
                while number is not None:
                    yield number
                    number = self.next_free(number + 1, last)
