"""The part of numpy that the scheduler uses, on lists: the same names, arguments and answers, for columns of one dimension.

What differs: a slice is a copy and no view, `+=` and the like make a new column, and integers do not overflow.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias, overload

Scalar = bool | int | float
Operand: TypeAlias = "ndarray | Scalar"
Type = type[bool] | type[int] | type[float]

bool_: Type = bool
int64: Type = int
float64: Type = float


class ndarray:
    """A column of bool, int or float."""

    __slots__ = ("dtype", "values")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: list[Any], dtype: Type) -> None:
        """The list is the column's from here on; each of its values is of the type."""
        self.values, self.dtype = values, dtype

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __repr__(self) -> str:
        return f"array({self.values})"

    def __bool__(self) -> bool:
        """ValueError: as numpy's, it is not guessed what is meant."""
        raise ValueError("the truth value of an array is ambiguous: any() or all()")

    # Elements.

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice | list[int] | ndarray) -> ndarray: ...
    def __getitem__(self, index: int | slice | list[int] | ndarray) -> Any:
        if isinstance(index, int):
            return self.values[index]
        if isinstance(index, slice):
            return ndarray(self.values[index], self.dtype)
        values = self.values
        return ndarray([values[at] for at in self._positions(index)], self.dtype)

    def __setitem__(self, index: int | slice | list[int] | ndarray, value: Operand) -> None:
        if isinstance(index, int):
            self.values[index] = self.dtype(value)  # type: ignore[arg-type]
            return
        positions = range(len(self.values))[index] if isinstance(index, slice) else self._positions(index)
        given = _spread(value, len(positions))
        for at, one in zip(positions, given, strict=True):
            self.values[at] = self.dtype(one)

    def _positions(self, index: list[int] | ndarray) -> list[int]:
        if isinstance(index, ndarray) and index.dtype is bool:
            if len(index) != len(self):
                raise IndexError(f"a mask of {len(index)} for a column of {len(self)}")
            return [at for at, chosen in enumerate(index.values) if chosen]
        return list(index)

    def copy(self) -> ndarray:
        return ndarray(self.values.copy(), self.dtype)

    def astype(self, dtype: Type) -> ndarray:
        """Floats become integers towards zero."""
        return ndarray([dtype(value) for value in self.values], dtype)

    # Of the whole column.

    def any(self) -> bool:
        return any(self.values)

    def all(self) -> bool:
        return all(self.values)

    def max(self) -> Any:
        return max(self.values)

    def min(self) -> Any:
        return min(self.values)

    # Arithmetic.

    def _with(self, other: Operand, apply: Callable[[Any, Any], Any], dtype: Type | None = None) -> ndarray:
        if isinstance(other, ndarray):
            values = [apply(a, b) for a, b in zip(self.values, other.values, strict=True)]
            return ndarray(values, dtype or _wider(self.dtype, other.dtype))
        return ndarray([apply(a, other) for a in self.values], dtype or _wider(self.dtype, type(other)))

    def _after(self, other: Scalar, apply: Callable[[Any, Any], Any], dtype: Type | None = None) -> ndarray:
        return ndarray([apply(other, a) for a in self.values], dtype or _wider(self.dtype, type(other)))

    def __add__(self, other: Operand) -> ndarray:
        return self._with(other, operator.add)

    def __sub__(self, other: Operand) -> ndarray:
        return self._with(other, operator.sub)

    def __mul__(self, other: Operand) -> ndarray:
        return self._with(other, operator.mul)

    def __floordiv__(self, other: Operand) -> ndarray:
        return self._with(other, operator.floordiv)

    def __truediv__(self, other: Operand) -> ndarray:
        return self._with(other, operator.truediv, float)

    def __lshift__(self, other: Operand) -> ndarray:
        return self._with(other, operator.lshift)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Scalar) -> ndarray:
        return self._after(other, operator.sub)

    # Bits, and answers.

    def __and__(self, other: Operand) -> ndarray:
        return self._with(other, operator.and_, self._bits(other))

    def __or__(self, other: Operand) -> ndarray:
        return self._with(other, operator.or_, self._bits(other))

    def _bits(self, other: Operand) -> Type:
        kind = other.dtype if isinstance(other, ndarray) else type(other)
        return bool if self.dtype is bool and kind is bool else int

    def __invert__(self) -> ndarray:
        if self.dtype is not bool:
            raise TypeError("only what is true or false can be inverted")
        return ndarray([not value for value in self.values], bool)

    def __eq__(self, other: object) -> ndarray:  # type: ignore[override]
        return self._with(other, operator.eq, bool)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> ndarray:  # type: ignore[override]
        return self._with(other, operator.ne, bool)  # type: ignore[arg-type]

    def __lt__(self, other: Operand) -> ndarray:
        return self._with(other, operator.lt, bool)

    def __le__(self, other: Operand) -> ndarray:
        return self._with(other, operator.le, bool)

    def __gt__(self, other: Operand) -> ndarray:
        return self._with(other, operator.gt, bool)

    def __ge__(self, other: Operand) -> ndarray:
        return self._with(other, operator.ge, bool)


def _wider(one: Type, other: Type) -> Type:
    """Of a result of arithmetic."""
    return float if one is float or other is float else int


def _spread(value: Operand, number: int) -> Iterable[Any]:
    return value.values if isinstance(value, ndarray) else [value] * number


# Columns of nothing else.


def zeros(number: int, dtype: Type) -> ndarray:
    return full(number, 0, dtype)


def ones(number: int, dtype: Type) -> ndarray:
    return full(number, 1, dtype)


def full(number: int, value: Scalar, dtype: Type) -> ndarray:
    return ndarray([dtype(value)] * number, dtype)


def array(values: Iterable[Scalar], dtype: Type) -> ndarray:
    return ndarray([dtype(value) for value in values], dtype)


def fromiter(values: Iterable[Scalar], dtype: Type, count: int = -1) -> ndarray:
    """ValueError where `count` says another number."""
    column = array(values, dtype)
    if count not in (-1, len(column)):
        raise ValueError(f"{len(column)} values, not {count}")
    return column


def arange(number: int) -> ndarray:
    return ndarray(list(range(number)), int)


# Columns of columns.


def where(condition: ndarray, one: Operand, other: Operand) -> ndarray:
    number = len(condition)
    chosen = zip(condition.values, _spread(one, number), _spread(other, number), strict=True)
    kinds = [value.dtype if isinstance(value, ndarray) else type(value) for value in (one, other)]
    dtype = bool if kinds == [bool, bool] else _wider(*kinds)
    return ndarray([dtype(a if holds else b) for holds, a, b in chosen], dtype)


def maximum(one: ndarray, other: Operand) -> ndarray:
    return one._with(other, max)


def minimum(one: ndarray, other: Operand) -> ndarray:
    return one._with(other, min)


def clip(column: ndarray, least: int, most: int) -> ndarray:
    return minimum(maximum(column, least), most)


def abs(column: ndarray) -> ndarray:
    return ndarray([value if value >= 0 else -value for value in column.values], column.dtype)


def sqrt(column: ndarray) -> ndarray:
    return ndarray([math.sqrt(value) for value in column.values], float)


def floor(column: ndarray) -> ndarray:
    return ndarray([float(math.floor(value)) for value in column.values], float)


def unique(column: ndarray) -> ndarray:
    """Its values in order, each once."""
    return ndarray(sorted(set(column.values)), column.dtype)


def flatnonzero(column: ndarray) -> ndarray:
    return ndarray([at for at, value in enumerate(column.values) if value], int)


def count_nonzero(column: ndarray) -> int:
    return sum(1 for value in column.values if value)


def isin(column: ndarray, members: ndarray) -> ndarray:
    given = set(members.values)
    return ndarray([value in given for value in column.values], bool)


def bincount(codes: ndarray, weights: ndarray | None = None, minlength: int = 0) -> ndarray:
    """How often each number from 0 is there, or what those weigh together. ValueError for one below 0."""
    if codes.values and min(codes.values) < 0:
        raise ValueError("a code below 0")
    dtype = int if weights is None else float
    sums = [dtype()] * max(minlength, max(codes.values, default=-1) + 1)
    for code, weight in zip(codes.values, [1] * len(codes) if weights is None else weights.values, strict=True):
        sums[code] += weight
    return ndarray(sums, dtype)
