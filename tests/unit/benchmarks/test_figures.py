"""A figure that got worse from release to release is named; noise is not."""

from __future__ import annotations

import pytest
from benchmarks.figures import Figure, compare, newest


@pytest.mark.parametrize(
    ("unit", "before", "after", "ratio"),
    [
        ("1/s", 1000, 800, 1.25),
        ("1/s", 800, 1000, 0.8),
        ("ms", 10, 20, 2.0),
        ("MB", 20, 10, 0.5),
        ("s", 1.0, 1.09, None),  # noise
        ("1/s", 1000, 920, None),
        ("%", 0.0, 0.4, None),  # nothing to compare with
    ],
)
def test_which_changes_are_named(unit: str, before: float, after: float, ratio: float | None) -> None:
    changes = compare({"x": Figure(before, unit)}, {"x": Figure(after, unit)})
    assert [change.ratio for change in changes] == ([] if ratio is None else [pytest.approx(ratio)])


def test_the_worst_comes_first_and_figures_of_one_side_are_left_out() -> None:
    before = {"a": Figure(1, "s"), "b": Figure(1, "s"), "gone": Figure(1, "s")}
    after = {"a": Figure(2, "s"), "b": Figure(3, "s"), "new": Figure(9, "s")}
    assert [change.name for change in compare(before, after)] == ["b", "a"]


def test_a_busy_machine_is_said() -> None:
    quiet, busy = Figure(10, "s", 0.1), Figure(20, "s", 5.5)
    assert str(compare({"x": quiet}, {"x": busy})[0]) == "SLOWER x: 10 -> 20 s (load 0.1 and 5.5)"
    assert str(compare({"x": quiet}, {"x": Figure(20, "s", 0.2)})[0]) == "SLOWER x: 10 -> 20 s"


@pytest.mark.parametrize(
    ("than", "expected"), [("0.2.0", "0.1.0"), ("0.10.0", "0.9.0"), ("0.0.1", None), ("9.0.0", "0.10.0")]
)
def test_the_release_before(than: str, expected: str | None) -> None:
    assert newest(["0.10.0", "0.9.0", "0.1.0", "0.0.1"], than) == expected
