"""From so many to so many: sizes and costs of which only the bounds are known. 64 bits of either, beyond which nothing is counted."""

from __future__ import annotations

import math
from typing import NamedTuple

MOST = 2**64 - 1


class Range(NamedTuple):
    """The least and the most."""

    least: int
    most: int

    def plus(self, other: Range) -> Range:
        """Both together."""
        return Range(min(self.least + other.least, MOST), min(self.most + other.most, MOST))

    def times(self, other: Range) -> Range:
        """One for each of the other."""
        return Range(min(self.least * other.least, MOST), min(self.most * other.most, MOST))

    def scaled(self, factor: float) -> Range:
        """By what each costs, rounded up."""
        return Range(_scaled(self.least, factor), _scaled(self.most, factor))

    def union(self, other: Range) -> Range:
        """Either of both."""
        return Range(min(self.least, other.least), max(self.most, other.most))


def exactly(count: int) -> Range:
    """So many."""
    return Range(count, count)


UNKNOWN = Range(0, MOST)


def _scaled(count: int, factor: float) -> int:
    product = float(count) * factor
    return MOST if product >= 2.0**64 else math.ceil(product)
