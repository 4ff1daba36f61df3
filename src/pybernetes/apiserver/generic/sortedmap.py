"""Values in the order of their keys, of which there may be hundreds of thousands. Pure."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

V = TypeVar("V")

BLOCK = 2_000  # keys that a new one moves at the most: in one list of 150,000 it moves a megabyte, which costs a tenth of a write


class SortedMap(Generic[V]):
    """Blocks of neighbours, none of them empty."""

    def __init__(self, block: int = BLOCK) -> None:
        self._block = block
        self._firsts: list[str] = []  # the first key of each block
        self._keys: list[list[str]] = []
        self._values: list[list[V]] = []

    def __iter__(self) -> Iterator[V]:
        return itertools.chain.from_iterable(self._values)

    def __len__(self) -> int:
        return sum(map(len, self._values))

    def __setitem__(self, key: str, value: V) -> None:
        if not self._keys:
            self.fill({key: value})
            return
        at = self._at(key)
        keys, values = self._keys[at], self._values[at]
        place = bisect_left(keys, key)
        if place < len(keys) and keys[place] == key:
            values[place] = value
            return
        keys.insert(place, key)
        values.insert(place, value)
        self._firsts[at] = keys[0]
        if len(keys) > self._block:
            self._divide(at)

    def __delitem__(self, key: str) -> None:
        """Of a key that is there."""
        at = self._at(key)
        place = bisect_left(self._keys[at], key)
        del self._keys[at][place], self._values[at][place]
        if self._keys[at]:
            self._firsts[at] = self._keys[at][0]
        else:
            del self._firsts[at], self._keys[at], self._values[at]

    def fill(self, values: Mapping[str, V]) -> None:
        """These in place of all that was there."""
        keys, half = sorted(values), max(self._block // 2, 1)
        self._keys = [keys[start : start + half] for start in range(0, len(keys), half)]
        self._values = [[values[key] for key in block] for block in self._keys]
        self._firsts = [block[0] for block in self._keys]

    def between(self, start: str, stop: str | None = None) -> list[V]:
        """From the key `start` on, up to before `stop`."""
        values: list[V] = []
        for at, low, high in self._spans(start, stop):
            values += self._values[at][low:high]
        return values

    def count(self, start: str, stop: str | None = None) -> int:
        """Of those that `between` gives."""
        return sum(high - low for _, low, high in self._spans(start, stop))

    def _spans(self, start: str, stop: str | None) -> Iterator[tuple[int, int, int]]:
        """Blocks, and from where to where in each."""
        first = self._at(start)
        last = len(self._firsts) if stop is None else bisect_left(self._firsts, stop)
        for at in range(first, last):
            keys = self._keys[at]
            low = bisect_left(keys, start) if at == first else 0
            high = bisect_left(keys, stop) if stop is not None and at == last - 1 else len(keys)
            yield at, low, max(low, high)

    def every(self, step: int) -> list[V]:
        """The first, and each so many-th after it."""
        values: list[V] = []
        offset = 0
        for block in self._values:
            values += block[offset::step]
            offset = (offset - len(block)) % step
        return values

    def _at(self, key: str) -> int:
        """The block in which the key is, or would be."""
        return max(bisect_right(self._firsts, key) - 1, 0)

    def _divide(self, at: int) -> None:
        keys, values = self._keys[at], self._values[at]
        half = len(keys) // 2
        self._keys[at : at + 1] = [keys[:half], keys[half:]]
        self._values[at : at + 1] = [values[:half], values[half:]]
        self._firsts.insert(at + 1, keys[half])
