"""Sets of completion indexes: the algebra of intervals is that of sets, at the cost of intervals."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.controllers.job.indexes import Indexes

END = 40  # small, so that sets meet and touch
numbers = st.sets(st.integers(0, END - 1))
pairs = st.lists(st.tuples(st.integers(0, END), st.integers(0, END)), max_size=8)


def members(indexes: Indexes) -> set[int]:
    return {number for first, last in indexes.intervals for number in range(first, last + 1)}


@given(pairs)
def test_intervals_are_sorted_and_apart(parts: list[tuple[int, int]]) -> None:
    indexes = Indexes(parts)
    for first, last in indexes.intervals:
        assert first <= last
    for (_, last), (first, _) in zip(indexes.intervals, indexes.intervals[1:], strict=False):
        assert last + 1 < first
    assert members(indexes) == {number for first, last in parts for number in range(first, last + 1)}


@given(numbers, numbers)
def test_the_algebra_is_that_of_sets(a: set[int], b: set[int]) -> None:
    x, y = Indexes.of(a), Indexes.of(b)
    assert (members(x | y), members(x & y), members(x - y)) == (a | b, a & b, a - b)
    assert (len(x), bool(x), x == y) == (len(a), bool(a), a == b)
    assert all((number in x) == (number in a) for number in range(-1, END + 1))


@given(numbers, st.integers(0, END), st.integers(0, END), st.integers(0, END))
def test_what_is_missing_comes_lowest_first(a: set[int], count: int, start: int, end: int) -> None:
    missing = [number for number in range(start, end) if number not in a]
    assert Indexes.of(a).first_missing(count, end, start) == missing[:count]
    assert members(Indexes(Indexes.of(a).gaps(start, end))) == set(missing)


@given(numbers)
def test_text_is_read_as_it_was_written(a: set[int]) -> None:
    indexes = Indexes.of(a)
    assert Indexes.parse(str(indexes)) == indexes
    assert members(Indexes.parse(str(indexes), END // 2)) == {number for number in a if number < END // 2}


@given(st.text("0123456789,-x²", max_size=30))
def test_any_text_is_read(text: str) -> None:
    Indexes.parse(text, 100)


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([1], "1"), ([1, 2], "1,2"), ([1, 2, 3], "1-3"), ([0, 2, 3, 4, 7, 8], "0,2-4,7,8")]
)
def test_the_text_of_the_status(numbers: list[int], text: str) -> None:
    assert str(Indexes.of(numbers)) == text


def test_indexes_that_are_no_longer_there() -> None:
    assert str(Indexes.parse("0-9", 3)) == "0-2"
    assert str(Indexes.parse("x,1-,2")) == "2"
    assert str(Indexes.parse("7-9", 3)) == ""


def test_large_numbers_cost_what_small_ones_do() -> None:
    end = 2**31 - 1
    tracemalloc.start()
    try:
        whole = Indexes.parse("0-2147483646", end)
        assert len(whole) == end and end - 1 in whole and end not in whole
        holes = whole - Indexes.of([5, 2**30])
        assert str(holes) == "0-4,6-1073741823,1073741825-2147483646"
        assert holes.first_missing(500, end) == [5, 2**30]
        assert (holes | Indexes.of([5, 2**30])) == whole
        assert Indexes().first_missing(3, end, 2**30) == [2**30, 2**30 + 1, 2**30 + 2]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000


def test_many_intervals_take_linear_time() -> None:
    """A status of 100,000 intervals; a pass that looked at each for each would take minutes."""
    text = ",".join(str(number) for number in range(0, 200_000, 2))
    start = time.process_time()
    even = Indexes.parse(text)
    odd = Indexes([(0, 199_999)]) - even
    assert len(even & odd) == 0 and len(even | odd) == 200_000
    assert all(number in odd for number in range(1, 20_000, 2))
    assert time.process_time() - start < 5
