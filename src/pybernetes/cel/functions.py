"""What a function of the language is: its overloads, by which the checker picks and the evaluator calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from . import types
from .types import Type
from .values import Duration, Object, Optional, Timestamp, TypeValue, Uint, size_of

Cost = Callable[[Sequence[Any], Any], int]
TRAVERSAL, REGEXP_LENGTH = (
    0.1,
    0.25,
)  # what a character costs, of a text and of a regular expression (cel-go common/cost.go)
LIST_COST, MAP_COST, OBJECT_COST = 10, 30, 40  # of making one


class Overload:
    """One way to call a function. `parameters` begin with the target of a method.

    `call` gets the values and may raise EvaluationError; None is for what the evaluator does itself. `cost` tells from
    the arguments and the result what it took. `counted` are those that look into values or compile something: they get
    `steps` to count it with. `work` tells beforehand, from the arguments, how much will be made or
    done, where that may be far more than what came in: it is refused if no budget could pay for it.
    """

    __slots__ = ("call", "cost", "counted", "function", "identity", "member", "parameters", "result", "work")

    def __init__(  # it has as many sides
        self, function: str, identity: str, parameters: Sequence[Type], result: Type, call: Callable[..., Any] | None,
        *, member: bool = False, cost: Cost | None = None, work: Callable[[Sequence[Any]], int] | None = None,
        counted: bool = False,
    ) -> None:  # fmt: skip
        self.function, self.identity, self.result, self.call = function, identity, result, call
        self.parameters, self.member, self.cost, self.work = tuple(parameters), member, cost, work
        self.counted = counted

    def __repr__(self) -> str:
        return self.identity

    def takes(self, values: Sequence[Any]) -> bool:
        """Whether values are of its parameters' types, as far as one sees by a list's first element and without looking into maps."""
        return len(values) == len(self.parameters) and all(map(_is, values, self.parameters))


_CLASSES: dict[str, tuple[type, ...]] = {
    "bool": (bool,), "int": (int,), "uint": (Uint,), "double": (float,), "string": (str,), "bytes": (bytes,),
    "null": (type(None),), "timestamp": (Timestamp,), "duration": (Duration,), "map": (dict,), types.TYPE: (TypeValue,),
}  # fmt: skip


def _is(value: Any, expected: Type) -> bool:
    kind = expected.kind
    if kind in ("dyn", types.PARAMETER):
        return True
    if kind == "list":
        element = expected.parameters[0]
        return isinstance(value, list) and (not value or element.kind == "list" or _is(value[0], element))
    if kind == "map" and isinstance(value, Object):
        return True
    classes = _CLASSES.get(kind)
    if classes is not None:
        return value.__class__ in classes
    if expected.name == "optional_type":
        return isinstance(value, Optional)
    return getattr(value, "type_name", None) == expected.name


class Table:
    """Functions by name, over those of another table."""

    def __init__(self, overloads: Iterable[Overload] = (), below: Table | None = None) -> None:
        self._overloads: dict[str, list[Overload]] = {}
        self._below = below
        for overload in overloads:
            self._overloads.setdefault(overload.function, []).append(overload)

    def get(self, name: str) -> Sequence[Overload] | None:
        """All overloads, or None for a name that is no function."""
        overloads = self._overloads.get(name)
        return self._below.get(name) if overloads is None and self._below is not None else overloads


# --- costs -------------------------------------------------------------------------------------


def traversal(index: int, factor: float = 1.0) -> Cost:
    """By the size of an argument."""
    return lambda arguments, _: math.ceil(size_of(arguments[index]) * factor * TRAVERSAL)


def fixed(cost: int) -> Cost:
    """Always the same."""
    return lambda _, __: cost


def regexp(arguments: Sequence[Any], _: Any) -> int:
    """By text and pattern together."""
    text, pattern = size_of(arguments[0]), size_of(arguments[1])
    return math.ceil((1 + text) * TRAVERSAL) * math.ceil(pattern * REGEXP_LENGTH)


def both(arguments: Sequence[Any], _: Any) -> int:
    """By both sizes together, as for a copy of both."""
    return math.ceil((size_of(arguments[0]) + size_of(arguments[1])) * TRAVERSAL)


def smaller(arguments: Sequence[Any], _: Any) -> int:
    """By the smaller one, as for a comparison."""
    return math.ceil(min(size_of(arguments[0]), size_of(arguments[1])) * TRAVERSAL)
