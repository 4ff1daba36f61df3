"""Sets of taken numbers: as a set of integers, but large ones, and full ones, cost nothing.

The kind is work or memory that grows with a range instead of with what is done. Not met in the wild: an IPv6 range of 2^64, a range whose
only free number lies before the place where the search begins, node ports, every second number taken.
"""

from __future__ import annotations

import ipaddress
import random
import time
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.apiserver.generic.cache import RING, ResourceCache
from pybernetes.apiserver.services import ranges
from pybernetes.apiserver.services.index import Index
from pybernetes.apiserver.services.ranges import Span
from pybernetes.apiserver.services.taken import Taken
from pybernetes.store.types import KeyValue

NUMBERS = st.integers(0, 40)


@given(st.sets(NUMBERS), st.lists(st.tuples(st.booleans(), NUMBERS)), NUMBERS, NUMBERS)
def test_as_a_set(before: set[int], changes: list[tuple[bool, int]], one: int, other: int) -> None:
    taken, expected = Taken(before), set(before)
    for adds, number in changes:
        (taken.add if adds else taken.discard)(number)
        (expected.add if adds else expected.discard)(number)
    assert [n for n in range(42) if n in taken] == sorted(expected)
    low, high = sorted((one, other))
    span = Span(low, (low + high) // 2, high)
    assert taken.count(span) == len(expected & set(range(low, high + 1)))
    assert taken.next_free(low, high) == next((n for n in range(low, high + 1) if n not in expected), None)
    free = list(taken.free(span, random.Random(1)))
    assert sorted(free) == sorted(set(range(low, high + 1)) - expected) and len(free) == len(set(free))
    upper = [number >= span.middle for number in free]
    assert upper == sorted(upper, reverse=True)


@pytest.mark.parametrize("network", ["10.96.0.0/12", "fd00::/108", "fd00::/64"])
@pytest.mark.parametrize("left", [0, 1])
def test_a_full_range_is_seen_at_once(network: str, left: int) -> None:
    span = ranges.addresses(ipaddress.ip_network(network))
    taken = Taken()
    taken._starts, taken._ends = [span.first + left], [span.last]
    start = time.process_time()
    for seed in range(1000):
        assert list(taken.free(span, random.Random(seed))) == [span.first][:left]
    assert time.process_time() - start < 1.0


def test_in_a_full_range_of_2_to_the_20_changes_are_quick() -> None:
    span = ranges.addresses(ipaddress.ip_network("10.0.0.0/12"))
    taken = Taken(range(span.first, span.last + 1, 2))  # nothing together: as bad as it gets
    chooser = random.Random(1)
    start = time.process_time()
    for _ in range(200):
        [number] = islice(taken.free(span, chooser), 1)
        taken.add(number)
        taken.discard(number)
    assert time.process_time() - start < 2.0


def number(name: str) -> tuple[int, int] | None:
    return (0, int(name)) if name.isdigit() else None


def free(index: Index, last: int = 9) -> list[int]:
    return sorted(index.of(0).free(Span(0, 0, last), random.Random(1)))


def test_an_index_follows_the_cache() -> None:
    cache = ResourceCache("/p/")
    revision = 0

    def apply(name: str, there: bool) -> None:
        nonlocal revision
        revision += 1
        value = KeyValue(f"/p/{name}", b'{"metadata":{}}', revision, revision) if there else None
        cache.apply(revision, f"/p/{name}", value)

    index = Index(cache, number)
    assert free(index) == list(range(10))
    for name, there in (("3", True), ("x", True), ("4", True), ("3", False), ("5", True), ("5", False), ("5", True)):
        apply(name, there)
    assert free(index) == [0, 1, 2, 3, 6, 7, 8, 9]
    for n in range(RING + 5):  # more than can be followed
        apply(str(n), True)
    assert free(index) == []
    apply("7", False)
    assert free(index) == [7]
    cache.replace([KeyValue("/p/1", b'{"metadata":{}}', 1, 1)], revision + 1)
    assert free(index) == [0, 2, 3, 4, 5, 6, 7, 8, 9]
