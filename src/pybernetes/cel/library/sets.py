"""Lists as sets (upstream: cel-go ext/sets.go)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .. import types
from ..functions import Cost, Overload
from ..types import BOOL
from ..values import Steps, equal, size_of
from .declare import function

_LIST = types.list_of(types.parameter("T"))


def overloads() -> Iterator[Overload]:
    """All of them."""
    for name, call, factor in (
        ("contains", _contains, 1),
        ("equivalent", _equivalent, 2),
        ("intersects", _intersects, 1),
    ):
        yield function(
            f"sets.{name}", f"list_sets_{name}_list", (_LIST, _LIST), BOOL, call, _pairs(factor), _product, counted=True
        )


def _product(arguments: Sequence[Any]) -> int:
    return size_of(arguments[0]) * size_of(arguments[1])


def _pairs(factor: int) -> Cost:
    return lambda arguments, _: 1 + _product(arguments) * factor


def _contains(items: list[Any], others: list[Any], steps: Steps) -> bool:
    return all(_has(items, other, steps) for other in others)


def _equivalent(left: list[Any], right: list[Any], steps: Steps) -> bool:
    return _contains(left, right, steps) and _contains(right, left, steps)


def _intersects(left: list[Any], right: list[Any], steps: Steps) -> bool:
    return any(_has(right, item, steps) for item in left)


def _has(items: list[Any], element: Any, steps: Steps) -> bool:
    return any(equal(item, element, steps) for item in items)
