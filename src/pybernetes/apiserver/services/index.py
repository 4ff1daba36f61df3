"""Taken numbers of a watched resource, kept up with its changes: nothing is gone through anew at a request."""

from __future__ import annotations

from collections.abc import Callable

from ..generic.cache import ResourceCache
from .taken import Taken


class Index:
    """`number` of an object's key below its resource's; None where it is none."""

    def __init__(self, cache: ResourceCache, number: Callable[[str], tuple[int, int] | None]) -> None:
        """`number` gives a kind as well (the family of an address): numbers of each are counted apart."""
        self._cache, self._number = cache, number
        self._seen = -1  # revision up to which changes are in
        self._taken: dict[int, Taken] = {}

    def of(self, kind: int) -> Taken:
        """As of now."""
        self._catch_up()
        return self._taken.setdefault(kind, Taken())

    def _catch_up(self) -> None:
        cache = self._cache
        if cache.changed == self._seen:
            return
        if self._seen < cache.ring_start:  # the ring does not reach back so far
            self._rebuild()
        else:
            for change in reversed(cache.ring):
                if change.revision <= self._seen:
                    break
                stored = change.current or change.previous
                if stored is not None:
                    self._apply(stored.key)
        self._seen = cache.changed

    def _apply(self, key: str) -> None:
        """By what is there now: the order of changes does not matter."""
        port = self._number(key.removeprefix(self._cache.prefix))
        if port is None:
            return
        kind, number = port
        taken = self._taken.setdefault(kind, Taken())
        if key in self._cache.items:
            taken.add(number)
        else:
            taken.discard(number)

    def _rebuild(self) -> None:
        numbers: dict[int, list[int]] = {}
        for key in self._cache.items:
            number = self._number(key.removeprefix(self._cache.prefix))
            if number is not None:
                numbers.setdefault(number[0], []).append(number[1])
        self._taken = {kind: Taken(those) for kind, those in numbers.items()}
