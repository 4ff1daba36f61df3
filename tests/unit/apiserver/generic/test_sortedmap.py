"""What a sorted map gives is what a dict with sorted keys gives, whatever its blocks are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pybernetes.apiserver.generic.sortedmap import SortedMap

KEYS = st.text("ab/\0", max_size=3)
CHANGES = st.lists(st.tuples(st.sampled_from(["set", "delete"]), KEYS, st.integers()), max_size=40)


def check(some: SortedMap[int], model: dict[str, int], start: str, stop: str | None) -> None:
    ordered = sorted(model)
    assert list(some) == [model[key] for key in ordered]
    assert len(some) == len(model)
    for step in (1, 2, 3, 7):
        assert some.every(step) == [model[key] for key in ordered][::step]
    meant = [model[key] for key in ordered if start <= key and (stop is None or key < stop)]
    assert some.between(start, stop) == meant
    assert some.count(start, stop) == len(meant)


@given(st.integers(1, 5), st.dictionaries(KEYS, st.integers(), max_size=20), CHANGES, KEYS, st.none() | KEYS)
def test_any_changes(
    block: int, filled: dict[str, int], changes: list[tuple[str, str, int]], start: str, stop: str | None
) -> None:
    some, model = SortedMap[int](block), dict(filled)
    some.fill(filled)
    check(some, model, start, stop)
    for what, key, value in changes:
        if what == "set":
            some[key] = model[key] = value
        elif key in model:
            del some[key], model[key]
        check(some, model, start, stop)


def test_no_block_grows_beyond_its_bound() -> None:
    some = SortedMap[int](4)
    for number in range(100):
        some[f"{number * 37 % 100:03}"] = number
    assert max(map(len, some._keys)) <= 4 and min(map(len, some._keys)) > 0
    assert some._firsts == [keys[0] for keys in some._keys]
    for number in range(100):
        del some[f"{number:03}"]
    assert not some._keys and list(some) == some.between("") == []
