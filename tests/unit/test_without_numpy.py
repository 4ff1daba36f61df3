"""The scheduler without numpy: its columns are lists, and it decides the same."""

from __future__ import annotations

import asyncio
import json
import operator
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.scheduler import app
from pybernetes.scheduler.model import listarrays as lists

from .scheduler.make import node
from .scheduler.test_app import running

WORLDS = 150
NUMBERS = st.integers(-(1 << 40), 1 << 40)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS, st.booleans(), st.booleans()), min_size=1, max_size=8)
DYADIC = (
    operator.add,
    operator.sub,
    operator.mul,
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
)


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_both_decide_the_same() -> None:
    module = ("-m", "tests.unit.scheduler.decisions", str(WORLDS))
    vectorized, listed = json.loads(run(*module)), json.loads(run(*module, "lists"))
    assert (vectorized["numpy"], listed["numpy"]) == (True, False)
    differing = [s for s, (a, b) in enumerate(zip(vectorized["decided"], listed["decided"], strict=True)) if a != b]
    assert differing == []
    placed = [text for world in listed["decided"] for text, _ in world if " " not in text]
    assert len(placed) > 2 * WORLDS  # or the dice ask for what no node has


def test_the_same_tests_pass() -> None:
    told = run("-m", "pytest", "-q", "-p", "tests.without", "-p", "no:cacheprovider", "-n0", "tests/unit/scheduler")
    assert " passed" in told


def same(one: Any, other: Any) -> None:
    """An array of numpy's and one of lists, with the same values of the same type; or two numbers."""
    if not isinstance(other, lists.ndarray):
        assert one == other
        return
    kind = {"b": bool, "i": int, "f": float}[one.dtype.kind]
    assert (one.tolist(), kind) == (other.values, other.dtype)
    assert all(type(value) is kind for value in other.values)


@given(PAIRS, NUMBERS)
def test_arithmetic(rows: list[tuple[int, int, bool, bool]], scalar: int) -> None:
    first, second, yes, no = ([row[at] for row in rows] for at in range(4))
    a, b, p, q = (np.array(v, d) for v, d in ((first, np.int64), (second, np.int64), (yes, np.bool_), (no, np.bool_)))
    x, y, r, s = (lists.array(v, d) for v, d in ((first, int), (second, int), (yes, bool), (no, bool)))
    scalar %= 1 << 20  # numpy's would overflow
    for apply in DYADIC:
        other = scalar if apply is operator.mul else None
        same(apply(a, b if other is None else other), apply(x, y if other is None else other))
        same(apply(a, scalar), apply(x, scalar))
    same(a // np.maximum(b, 1), x // lists.maximum(y, 1))
    same(a / np.maximum(b, 1), x / lists.maximum(y, 1))
    same(100 - a, 100 - x)
    same(3 * p, 3 * r)
    same(a * p, x * r)
    same(p & q, r & s)
    same(p | ~q, r | ~s)
    same(p & np.array([True] * len(rows)), r & lists.ones(len(r), bool))
    same(p.astype(np.int64) | (q.astype(np.int64) << 3), r.astype(int) | (s.astype(int) << 3))
    same(np.where(p, a, -1), lists.where(r, x, -1))
    same(np.where(p, 0, 100), lists.where(r, 0, 100))
    same(np.where(p, 0.0, a * 0.5 + 1), lists.where(r, 0.0, x * 0.5 + 1))
    same(np.where(p, q, p), lists.where(r, s, r))
    same(np.minimum(a / 3, 1.0), lists.minimum(x / 3, 1.0))
    same(np.clip(a, -5, 1000), lists.clip(x, -5, 1000))
    same(np.abs((a - b) / 2), lists.abs((x - y) / 2))
    same(np.sqrt(np.abs(a)), lists.sqrt(lists.abs(x)))
    same(np.floor(a / 7 + 0.5).astype(np.int64), lists.floor(x / 7 + 0.5).astype(int))
    same((a / 3).astype(np.int64), (x / 3).astype(int))


@given(PAIRS, st.data())
def test_places(rows: list[tuple[int, int, bool, bool]], data: st.DataObject) -> None:
    first, yes = [row[0] for row in rows], [row[2] for row in rows]
    a, p = np.array(first, np.int64), np.array(yes, np.bool_)
    x, r = lists.array(first, int), lists.array(yes, bool)
    places = data.draw(st.lists(st.integers(-len(rows), len(rows) - 1), max_size=6))
    end = data.draw(st.integers(0, len(rows)))
    for i, j in (
        (slice(0, end), slice(0, end)),
        (np.array(places, np.int64), lists.array(places, int)),
        (p, r),
        (places, places),
    ):
        same(a[i], x[j])
        c, z = a.copy(), x.copy()
        c[i], z[j] = 7, 7
        same(c, z)
        c[i], z[j] = a[i] + 1, x[j] + 1
        same(c, z)
    same(np.flatnonzero(a), lists.flatnonzero(x))
    same(np.unique(a), lists.unique(x))
    same(np.isin(a, np.array(first[:2], np.int64)), lists.isin(x, lists.array(first[:2], int)))
    assert (np.count_nonzero(p), p.any(), p.all()) == (lists.count_nonzero(r), r.any(), r.all())
    assert (a.max(), a.min(), len(a), list(a)) == (x.max(), x.min(), len(x), list(x))
    codes = [abs(value) % 5 for value in first]
    same(np.bincount(np.array(codes), minlength=3), lists.bincount(lists.array(codes, int), minlength=3))
    weighed = (
        np.bincount(np.array(codes), weights=p, minlength=9),
        lists.bincount(lists.array(codes, int), weights=r, minlength=9),
    )
    same(*weighed)
    same(np.zeros(3, np.int64), lists.zeros(3, int))
    same(np.ones(2, np.bool_), lists.ones(2, bool))
    same(np.full(2, -1, np.int64), lists.full(2, -1, int))
    same(np.arange(4), lists.arange(4))
    same(np.fromiter(iter(first), np.int64, len(first)), lists.fromiter(iter(first), int, len(first)))


def test_mistakes_are_refused() -> None:
    column = lists.arange(3)
    for mistake in (
        lambda: bool(column),
        lambda: column + lists.arange(2),
        lambda: column[lists.ones(2, bool)],
        lambda: ~column,
        lambda: lists.fromiter([1], int, 2),
        lambda: lists.bincount(lists.array([-1], int)),
    ):
        with pytest.raises((ValueError, TypeError, IndexError)):
            mistake()


def test_many_nodes_are_told_what_is_missing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(app, "MANY_NODES", 3)
    for vectorized, expected in ((True, 0), (False, 1)):
        monkeypatch.setattr(app, "VECTORIZED", vectorized)
        caplog.clear()

        async def main() -> None:
            async with running() as cluster:
                await cluster.show(*(node(f"n{number}") for number in range(5)))

        asyncio.run(main())
        assert caplog.text.count("pip install 'pybernetes[scheduler]'") == expected
