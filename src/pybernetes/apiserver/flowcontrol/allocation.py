"""How many seats each level has, of those that the server has (upstream: flowcontrol/conc_alloc.go and updateBorrowingLocked)."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

MIN_TARGET = 0.001  # what wants nothing wants so much: nothing could not be divided by


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one level. 0 <= lower <= target, lower <= upper."""

    lower: float
    upper: float
    target: float


def allocate(total: float, levels: Sequence[Bounds]) -> tuple[list[float], float] | None:
    """What each level gets, and the fraction of its target that all get where no bound hinders it.

    A level gets fraction * target, or the bound that this would break; all together get the total. None where there is no such
    fraction: the bounds leave too much or too little.
    """
    low, high = sum(one.lower for one in levels), sum(one.upper for one in levels)
    if not low <= total <= high:
        return None
    if not levels:
        return [], 0.0
    targets = [max(one.target, MIN_TARGET) for one in levels]

    def given(fraction: float) -> float:
        return sum(_within(one, fraction * target) for one, target in zip(levels, targets, strict=True))

    # What all get together grows with the fraction, along straight pieces between the points where a level comes to a bound.
    points = sorted(
        {bound / target for one, target in zip(levels, targets, strict=True) for bound in (one.lower, one.upper)}
    )
    place = bisect.bisect_left(points, total, key=given)
    fraction = points[min(place, len(points) - 1)]
    if 0 < place < len(points):
        before = points[place - 1]
        start, end = given(before), given(fraction)
        fraction = before + (fraction - before) * (total - start) / (end - start)
    return [_within(one, fraction * target) for one, target in zip(levels, targets, strict=True)], fraction


def _within(bounds: Bounds, value: float) -> float:
    return max(bounds.lower, min(bounds.upper, value))


@dataclass(frozen=True, slots=True)
class Limits:
    """Seats of one level: as configured, and how far it may lend and borrow."""

    nominal: int
    lower: int
    upper: int

    @property
    def initial(self) -> int:
        """Before anything is known of its demand: half of what it may lend is lent."""
        return self.nominal - (self.nominal - self.lower) // 2


@dataclass(frozen=True, slots=True)
class Shares:
    """Of a level, as its object says."""

    nominal: int
    lendable_percent: int = 0
    borrowing_percent: int | None = None  # None: all that there is


def limits(server: int, shares: Sequence[Shares]) -> list[Limits]:
    """Each level's part of the seats of the server."""
    total = sum(one.nominal for one in shares)
    return [_limits(server, one, total) for one in shares]


def _limits(server: int, shares: Shares, total: int) -> Limits:
    nominal = math.ceil(server * shares.nominal / total) if total else 0
    lendable = _rounded(nominal * shares.lendable_percent / 100)
    borrowed = server if shares.borrowing_percent is None else _rounded(nominal * shares.borrowing_percent / 100)
    return Limits(nominal, nominal - lendable, nominal + borrowed)


def _rounded(value: float) -> int:
    """Halves away from zero, as Go has it."""
    return math.floor(value + 0.5)


@dataclass(frozen=True, slots=True)
class Wish:
    """Of a level at an adjustment."""

    limits: Limits
    exempt: bool
    high_watermark: int
    smoothed: float
    current: int  # what it has

    @property
    def least(self) -> int:
        """What it used at most in the last period it keeps, up to its nominal limit; an exempt level all of it."""
        used = self.high_watermark if self.exempt else min(self.limits.nominal, self.high_watermark)
        return max(self.limits.lower, used)

    @property
    def target(self) -> float:
        """What it should have, were there enough."""
        return max(float(self.least), self.smoothed)


def adjust(wishes: Sequence[Wish]) -> tuple[list[int], float]:
    """The current limit of each level, and the fair fraction (0 where it decides nothing)."""
    total = sum(wish.limits.nominal for wish in wishes)
    limited = [wish for wish in wishes if not wish.exempt]
    left = total - sum(wish.least for wish in wishes if wish.exempt)
    lower, least = sum(wish.limits.lower for wish in limited), sum(wish.least for wish in limited)
    fraction = 0.0
    if left <= lower:
        given = [float(wish.limits.lower) for wish in limited]
    elif left <= least:
        portion = (left - lower) / (least - lower)
        given = [wish.limits.lower + (wish.least - wish.limits.lower) * portion for wish in limited]
    else:
        bounds = [Bounds(wish.least, wish.limits.upper, wish.target) for wish in limited]
        # Upstream spreads the whole total, also what exempt levels use: these have no limit, and take nobody's seat.
        allocated = allocate(total, bounds)
        if allocated is None:
            given = [float(wish.current) for wish in limited]
        else:
            given, fraction = allocated
    each = iter(given)
    return [wish.least if wish.exempt else _rounded(next(each)) for wish in wishes], fraction
