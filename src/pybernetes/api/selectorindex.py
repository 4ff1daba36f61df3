"""Selectors of very many requirements, put together by key: to match costs as much as an object has labels or fields, not as the selector has terms.

Every object of a list, and every event of a watch, is compared with the client's selector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

FEW: Final = 8  # requirements that are asked one after the other: that is faster


@dataclass(slots=True)
class _Bounds:
    """All that is required of one key."""

    present: bool = False
    absent: bool = False
    allowed: set[str] | None = None
    denied: frozenset[str] | set[str] = frozenset()
    above: int | None = None
    below: int | None = None

    def matches(self, value: str, read: Callable[[str], int | None]) -> bool:
        if self.absent or value in self.denied or (self.allowed is not None and value not in self.allowed):
            return False
        if self.above is None and self.below is None:
            return True
        if (number := read(value)) is None:
            return False
        return (self.above is None or number > self.above) and (self.below is None or number < self.below)


class SelectorIndex:
    """Filled once, then asked."""

    def __init__(self) -> None:
        self._keys: dict[str, _Bounds] = {}
        self._present: frozenset[str] = frozenset()

    def _of(self, key: str) -> _Bounds:
        return self._keys.setdefault(key, _Bounds())

    def require_one_of(self, key: str, values: Iterable[str]) -> None:
        """It is there, with one of the values."""
        bounds, values = self._of(key), set(values)
        bounds.present = True
        bounds.allowed = values if bounds.allowed is None else bounds.allowed & values

    def refuse_all_of(self, key: str, values: Iterable[str]) -> None:
        """It is not there, or with another value."""
        bounds = self._of(key)
        if isinstance(bounds.denied, frozenset):
            bounds.denied = set()
        bounds.denied.update(values)

    def require(self, key: str) -> None:
        """It is there."""
        self._of(key).present = True

    def refuse(self, key: str) -> None:
        """It is not there."""
        self._of(key).absent = True

    def require_above(self, key: str, number: int) -> None:
        """It is a greater number."""
        bounds = self._of(key)
        bounds.present, bounds.above = True, number if bounds.above is None else max(bounds.above, number)

    def require_below(self, key: str, number: int) -> None:
        """It is a smaller number."""
        bounds = self._of(key)
        bounds.present, bounds.below = True, number if bounds.below is None else min(bounds.below, number)

    def done(self) -> SelectorIndex:
        """Nothing is added any more."""
        self._present = frozenset(key for key, bounds in self._keys.items() if bounds.present)
        return self

    def matches(self, values: Mapping[str, str], number: Callable[[str], int | None]) -> bool:
        """Whether labels, or fields, are selected; `number` reads one."""
        if not self._present <= values.keys():
            return False
        for key, value in values.items():
            bounds = self._keys.get(key)
            if bounds is not None and not bounds.matches(value, number):
                return False
        return True
