"""Quantities (upstream: apiserver/pkg/cel/library/quantity.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pybernetes.api.quantity import Quantity, QuantityError

from .. import functions, types
from ..errors import EvaluationError
from ..functions import Overload
from ..types import BOOL, DOUBLE, INT, STRING
from ..values import INT64, Opaque
from .declare import function, method

QUANTITY = types.object_type("kubernetes.Quantity", {})
_NANO = 10**9


@dataclass(frozen=True, slots=True)
class Value(Opaque):
    """A quantity; equal amounts are equal."""

    type_name = "kubernetes.Quantity"
    amount: Quantity

    def __str__(self) -> str:
        return str(self.amount)


def overloads() -> Iterator[Overload]:
    """All of them."""
    pair = (QUANTITY, QUANTITY)
    yield function("quantity", "string_to_quantity", (STRING,), QUANTITY, _quantity, functions.traversal(0))
    yield function("isQuantity", "is_quantity_string", (STRING,), BOOL, _is_quantity, functions.traversal(0))
    yield function("sign", "quantity_sign", (QUANTITY,), INT, lambda value: value.amount.sign())
    yield method("isGreaterThan", "quantity_is_greater_than", pair, BOOL, _compared(lambda order: order > 0))
    yield method("isLessThan", "quantity_is_less_than", pair, BOOL, _compared(lambda order: order < 0))
    yield method("compareTo", "quantity_compare_to", pair, INT, lambda one, other: one.amount.cmp(other.amount))
    yield method(
        "asApproximateFloat", "quantity_get_float", (QUANTITY,), DOUBLE, lambda value: value.amount.nanos / _NANO
    )
    yield method("asInteger", "quantity_get_int", (QUANTITY,), INT, _as_integer)
    yield method("isInteger", "quantity_is_integer", (QUANTITY,), BOOL, _is_integer)
    yield method("add", "quantity_add", pair, QUANTITY, lambda one, other: Value(one.amount + other.amount))
    yield method(
        "add",
        "quantity_add_int",
        (QUANTITY, INT),
        QUANTITY,
        lambda one, other: Value(one.amount + Quantity.from_int(other)),
    )
    yield method("sub", "quantity_sub", pair, QUANTITY, lambda one, other: Value(one.amount - other.amount))
    yield method(
        "sub",
        "quantity_sub_int",
        (QUANTITY, INT),
        QUANTITY,
        lambda one, other: Value(one.amount - Quantity.from_int(other)),
    )


def _quantity(text: str) -> Value:
    try:
        return Value(Quantity.parse(text))
    except QuantityError as error:
        raise EvaluationError(str(error)) from None


def _is_quantity(text: str) -> bool:
    try:
        Quantity.parse(text)
    except QuantityError:
        return False
    return True


def _compared(test: Callable[[int], bool]) -> Callable[[Value, Value], bool]:
    return lambda one, other: test(one.amount.cmp(other.amount))


def _is_integer(value: Value) -> bool:
    return value.amount.nanos % _NANO == 0 and value.amount.nanos // _NANO in INT64


def _as_integer(value: Value) -> int:
    if not _is_integer(value):
        raise EvaluationError("cannot convert value to integer")
    return value.amount.nanos // _NANO
