"""Seats of levels: shares, lending and borrowing."""

import random

import pytest

from pybernetes.apiserver.flowcontrol.allocation import Bounds, Limits, Shares, Wish, adjust, allocate, limits
from pybernetes.apiserver.flowcontrol.bootstrap import PRIORITY_LEVELS
from pybernetes.apiserver.flowcontrol.configuration import read


def test_the_limits_of_a_new_cluster() -> None:
    """600 seats over 245 shares, as a server of today tells them in its metrics."""
    levels = read([{"metadata": {"name": name}, "spec": spec} for name, spec in PRIORITY_LEVELS.items()], ()).levels
    given = dict(zip(levels, limits(600, [level.shares for level in levels.values()]), strict=True))
    assert {name: (one.nominal, one.lower, one.upper) for name, one in given.items()} == {
        "exempt": (0, 0, 600),
        "catch-all": (13, 13, 613),
        "system": (74, 50, 674),
        "node-high": (98, 73, 698),
        "leader-election": (25, 25, 625),
        "workload-high": (98, 49, 698),
        "workload-low": (245, 24, 845),
        "global-default": (49, 24, 649),
    }


@pytest.mark.parametrize(
    ("server", "shares", "expected"),
    [
        (10, [Shares(0)], [(0, 0, 10)]),
        (10, [Shares(1), Shares(2)], [(4, 4, 14), (7, 7, 17)]),
        (10, [Shares(1, 50, 0), Shares(1, 30, 130)], [(5, 2, 5), (5, 3, 12)]),
        (100, [Shares(5, 100, 50)], [(100, 0, 150)]),
    ],
)
def test_limits(server: int, shares: list[Shares], expected: list[tuple[int, int, int]]) -> None:
    assert [(one.nominal, one.lower, one.upper) for one in limits(server, shares)] == expected


@pytest.mark.parametrize(
    ("total", "levels", "expected", "fraction"),
    [
        (0, [], [], 0),
        (10, [Bounds(0, 10, 5), Bounds(0, 10, 5)], [5, 5], 1),
        (20, [Bounds(0, 20, 5), Bounds(0, 20, 15)], [5, 15], 1),
        (12, [Bounds(4, 20, 4), Bounds(0, 20, 20)], [4, 8], 0.4),
        (30, [Bounds(0, 5, 10), Bounds(0, 30, 10)], [5, 25], 2.5),
        (6, [Bounds(2, 8, 2), Bounds(4, 8, 4)], [2, 4], 1),
        (16, [Bounds(2, 8, 2), Bounds(4, 8, 4)], [8, 8], 4),
        (10, [Bounds(0, 10, 0), Bounds(0, 10, 0)], [5, 5], 5000),
    ],
)
def test_shares_by_target(total: float, levels: list[Bounds], expected: list[float], fraction: float) -> None:
    given = allocate(total, levels)
    assert given is not None
    assert given[0] == pytest.approx(expected)
    assert given[1] == pytest.approx(fraction)


@pytest.mark.parametrize("total", [1, 40])
def test_what_bounds_do_not_allow(total: float) -> None:
    assert allocate(total, [Bounds(2, 8, 3), Bounds(3, 9, 3)]) is None


def test_whatever_the_bounds_are() -> None:
    """All together get the total, each its target's part or a bound that this would break."""
    dice = random.Random(7)
    for _ in range(500):
        levels = []
        for _ in range(dice.randint(1, 9)):
            lower = dice.choice((0, dice.uniform(0, 20)))
            levels.append(Bounds(lower, lower + dice.choice((0, dice.uniform(0, 50))), lower + dice.uniform(0, 40)))
        low, high = sum(one.lower for one in levels), sum(one.upper for one in levels)
        total = dice.choice((low, high, dice.uniform(low, high)))
        given = allocate(total, levels)
        assert given is not None
        seats, fraction = given
        assert sum(seats) == pytest.approx(total)
        for one, got in zip(levels, seats, strict=True):
            assert got == pytest.approx(max(one.lower, min(one.upper, fraction * max(one.target, 0.001))))


def wish(nominal: int, lower: int, upper: int, high: int, smoothed: float, *, exempt: bool = False) -> Wish:
    return Wish(Limits(nominal, lower, upper), exempt, high, smoothed, nominal)


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        # Nothing is wanted: all by their lower bounds, and what is left by these as targets.
        ([wish(40, 20, 100, 0, 0.0), wish(60, 30, 100, 0, 0.0)], [40, 60]),
        # One wants more than it has, the other nothing: it lends all that it may.
        ([wish(40, 20, 100, 0, 0.0), wish(60, 30, 100, 90, 90.0)], [20, 80]),
        # What it may not borrow, it does not get.
        ([wish(40, 0, 100, 0, 0.0), wish(60, 30, 70, 90, 90.0)], [30, 70]),
        # Who lends gets back at once what it uses, up to its nominal limit.
        ([wish(40, 20, 100, 35, 10.0), wish(60, 30, 100, 90, 90.0)], [35, 65]),
        # Exempt levels are counted first: what they leave is less than the lower bounds, or less than what is used.
        ([wish(10, 0, 100, 95, 0.0, exempt=True), wish(90, 40, 100, 90, 90.0)], [95, 40]),
        ([wish(10, 0, 100, 30, 0.0, exempt=True), wish(90, 40, 100, 90, 90.0)], [30, 70]),
    ],
)
def test_adjustment(wishes: list[Wish], expected: list[int]) -> None:
    assert adjust(wishes)[0] == expected


def test_where_no_adjustment_is_possible_it_stays() -> None:
    """Bounds too narrow for the total, which has an exempt level's shares as well."""
    current = Wish(Limits(50, 50, 50), False, 0, 0.0, 44)
    assert adjust([wish(50, 0, 100, 0, 0.0, exempt=True), current])[0] == [0, 44]
