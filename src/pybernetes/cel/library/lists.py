"""Functions of lists (upstream: apiserver/pkg/cel/library/lists.go version 1; cel-go ext/lists.go version 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cmp_to_key
from typing import Any

from .. import convert, types
from ..errors import EvaluationError
from ..functions import LIST_COST, TRAVERSAL, Cost, Overload
from ..macros import SORT_BY
from ..operators import order
from ..types import BOOL, BYTES, DOUBLE, DURATION, DYN, INT, STRING, TIMESTAMP, UINT
from ..values import Duration, Object, Steps, Uint, equal, key_of, size_of
from .declare import function, method

_T, _A = types.parameter("T"), types.parameter("A")
_LIST = types.list_of(_T)
COMPARABLE = (INT, UINT, DOUBLE, BOOL, DURATION, TIMESTAMP, STRING, BYTES)


def overloads() -> Iterator[Overload]:
    """All of them."""
    for kind in COMPARABLE:
        values = types.list_of(kind)
        yield method("isSorted", f"list_{kind}_is_sorted_bool", (values,), BOOL, _is_sorted, traversed)
        yield method("max", f"list_{kind}_max_{kind}", (values,), kind, _extreme("max", 1), traversed)
        yield method("min", f"list_{kind}_min_{kind}", (values,), kind, _extreme("min", -1), traversed)
        yield method(
            "sort",
            f"list_{kind}_sort",
            (values,),
            values,
            lambda items: _sorted(items, items),
            _compared(0),
            _square(0),
        )
        yield method(
            SORT_BY, f"list_{kind}_sortByAssociatedKeys", (_LIST, values), _LIST, _sorted, _compared(1), _square(1)
        )
    for kind, zero in ((INT, 0), (UINT, Uint(0)), (DOUBLE, 0.0), (DURATION, Duration(0))):
        yield method("sum", f"list_{kind}_sum_{kind}", (types.list_of(kind),), kind, _sum(zero), traversed)
    yield method("indexOf", "list_a_index_of_int", (types.list_of(_A), _A), INT, _index_of, traversed, counted=True)
    yield method(
        "lastIndexOf", "list_a_last_index_of_int", (types.list_of(_A), _A), INT, _last_index_of, traversed, counted=True
    )
    yield method("includes", "list_includes_dyn_dyn", (DYN, DYN), BOOL, _includes, traversed, counted=True)
    yield method("slice", "list_slice", (_LIST, INT, INT), _LIST, _slice, _allocated)
    yield method("flatten", "list_flatten", (types.list_of(_LIST),), _LIST, _flatten, _flattened, counted=True)
    yield method(
        "flatten", "list_flatten_int", (types.list_of(DYN), INT), types.list_of(DYN), _flatten, _flattened, counted=True
    )
    yield function(
        "lists.range",
        "lists_range",
        (INT,),
        types.list_of(INT),
        lambda count: list(range(count)),
        _allocated,
        lambda arguments: int(arguments[0]),
    )
    yield method("reverse", "list_reverse", (_LIST,), _LIST, lambda items: items[::-1], _allocated)
    yield method("distinct", "list_distinct", (_LIST,), _LIST, _distinct, _compared(0), _square(0), counted=True)


# --- costs -------------------------------------------------------------------------------------


def traversed(arguments: Sequence[Any], _: Any) -> int:
    """All that is in a value."""
    return _traversal(arguments[0], Steps())


def _traversal(value: Any, steps: Steps) -> int:
    steps.take()
    if isinstance(value, str):
        return int(len(value.encode("utf-8", "surrogatepass")) * TRAVERSAL)
    if isinstance(value, bytes):
        return int(len(value) * TRAVERSAL)
    if isinstance(value, list):
        return sum(_traversal(item, steps) for item in value)
    if isinstance(value, dict):
        return sum(_traversal(key, steps) + _traversal(item, steps) for key, item in value.items())
    if isinstance(value, Object):
        return sum(_traversal(name, steps) + _traversal(value.get(name), steps) for name in value.names())
    return 1


def _allocating(factor: float, size: int) -> int:
    return int(size * factor) + 1 + LIST_COST


def _allocated(_: Sequence[Any], result: Any) -> int:
    return _allocating(1, len(result))


def _flattened(arguments: Sequence[Any], _: Any) -> int:
    return _allocating(arguments[1] if len(arguments) > 1 else 1, size_of(arguments[0]))


def _compared(index: int) -> Cost:
    """Each element with each."""

    def cost(arguments: Sequence[Any], _: Any) -> int:
        items = arguments[index]
        factor = 2 + (TRAVERSAL if items and isinstance(items[0], str | bytes) else 0)
        return _allocating(factor, len(items) ** 2)

    return cost


def _square(index: int) -> Callable[[Sequence[Any]], int]:
    return lambda arguments: len(arguments[index]) ** 2


# --- what they do ------------------------------------------------------------------------------


def _is_sorted(items: list[Any]) -> bool:
    return all(order(items[index], items[index + 1]) <= 0 for index in range(len(items) - 1))


def _extreme(name: str, sign: int) -> Callable[[list[Any]], Any]:
    def call(items: list[Any]) -> Any:
        if not items:
            raise EvaluationError(f"{name} called on empty list")
        best = items[0]
        for item in items:
            if order(item, best) * sign > 0:
                best = item
        return best

    return call


def _sum(zero: Any) -> Callable[[list[Any]], Any]:
    def call(items: list[Any]) -> Any:
        if any(type(item) is not type(zero) for item in items):
            raise EvaluationError("no such overload")
        if isinstance(zero, Duration):
            return convert.duration(sum(item.nanoseconds for item in items))
        total = sum(items) if isinstance(zero, float) else sum(map(int, items))
        if isinstance(zero, float):
            return float(total)
        return convert.unsigned(total) if isinstance(zero, Uint) else convert.integer(total)

    return call


def _index_of(items: list[Any], item: Any, steps: Steps) -> int:
    return next((index for index, each in enumerate(items) if equal(each, item, steps)), -1)


def _last_index_of(items: list[Any], item: Any, steps: Steps) -> int:
    return next((index for index in range(len(items) - 1, -1, -1) if equal(items[index], item, steps)), -1)


def _includes(target: Any, item: Any, steps: Steps) -> bool:
    candidates = target if isinstance(target, list) else [target]
    return any(equal(each, item, steps) for each in candidates)


def _slice(items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise EvaluationError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise EvaluationError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if len(items) < end:
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return items[start:end]


def _flatten(items: list[Any], depth: int = 1, *, steps: Steps) -> list[Any]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    flat: list[Any] = []
    _collect(items, depth, flat, steps)
    return flat


def _collect(items: list[Any], depth: int, flat: list[Any], steps: Steps) -> None:
    for item in items:
        steps.take()
        if isinstance(item, list) and depth > 0:
            _collect(item, depth - 1, flat, steps)
        else:
            flat.append(item)


def _sorted(items: list[Any], keys: list[Any]) -> list[Any]:
    if len(items) != len(keys):
        raise EvaluationError(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, "
            f"but got {len(items)} and {len(keys)} elements respectively"
        )
    if any(type(key) is not type(keys[0]) for key in keys):
        raise EvaluationError("list elements must have the same type")
    if keys and not isinstance(keys[0], int | float | str | bytes | Duration) and not hasattr(keys[0], "nanoseconds"):
        raise EvaluationError("list elements must be comparable")
    by_key = cmp_to_key(order)
    indices = sorted(range(len(keys)), key=lambda index: by_key(keys[index]))
    return [items[index] for index in indices]


def _distinct(items: list[Any], steps: Steps) -> list[Any]:
    seen: set[Any] = set()
    unique = []
    for item in items:
        key = key_of(item, steps)
        if key not in seen:
            seen.add(key)
            unique.append(item)
    return unique
