"""Sets of field paths."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.apiserver.apply import fieldset
from pybernetes.apiserver.apply.fieldset import FieldSet

A: FieldSet = {"f:a": {}, "f:b": {".": {}, "f:c": {}}, "f:d": {"f:e": {}}}


@pytest.mark.parametrize(
    ("other", "union", "difference", "intersection"),
    [
        ({}, A, A, {}),
        (A, A, {}, A),
        ({"f:b": {}}, A, {"f:a": {}, "f:b": {"f:c": {}}, "f:d": {"f:e": {}}}, {"f:b": {}}),
        ({"f:b": {"f:c": {}}}, A, {"f:a": {}, "f:b": {}, "f:d": {"f:e": {}}}, {"f:b": {"f:c": {}}}),
        ({"f:d": {}}, {**A, "f:d": {".": {}, "f:e": {}}}, A, {}),
        ({"f:a": {"f:x": {}}}, {**A, "f:a": {".": {}, "f:x": {}}}, A, {}),
    ],
)
def test_operations(other: FieldSet, union: FieldSet, difference: FieldSet, intersection: FieldSet) -> None:
    assert fieldset.union(A, other) == union
    assert fieldset.difference(A, other) == difference
    assert fieldset.intersection(A, other) == intersection


def tree(paths: set[tuple[str, ...]]) -> FieldSet:
    made: FieldSet = {}
    for path in paths:
        made = fieldset.union(made, _one(path))
    return made


def _one(path: tuple[str, ...]) -> FieldSet:
    return {path[0]: _one(path[1:]) if len(path) > 1 else {}}


_PATHS = st.sets(st.sampled_from([p for n in (1, 2, 3) for p in product(("f:a", "f:b"), repeat=n)]))


@given(_PATHS, _PATHS)
def test_operations_are_those_of_sets_of_paths(a: set[tuple[str, ...]], b: set[tuple[str, ...]]) -> None:
    one, other = tree(a), tree(b)
    assert set(fieldset.paths(one)) == a
    assert set(fieldset.paths(fieldset.union(one, other))) == a | b
    assert set(fieldset.paths(fieldset.difference(one, other))) == a - b
    assert set(fieldset.paths(fieldset.intersection(one, other))) == a & b
    assert fieldset.difference(one, other) == tree(a - b)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("f:spec", 'k:{"name":"c"}', "f:image"), '.spec[name="c"].image'),
        (("f:ports", 'k:{"protocol":"TCP","port":80}'), '.ports[port=80,protocol="TCP"]'),
        (("f:finalizers", 'v:"x/y"'), '.finalizers[="x/y"]'),
        (("f:a", "i:3"), ".a[3]"),
        (("f:example.com/a",), ".example.com/a"),
    ],
)
def test_text(path: tuple[str, ...], text: str) -> None:
    assert fieldset.text(path) == text


def test_members_come_before_what_is_below() -> None:
    fields = tree({("f:a", "f:b"), ("f:c",), ("f:z", "f:b"), ("f:z",)})
    assert list(fieldset.paths(fields)) == [("f:c",), ("f:z",), ("f:a", "f:b"), ("f:z", "f:b")]
