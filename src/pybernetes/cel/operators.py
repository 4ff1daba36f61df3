"""The operators' and conversions' overloads (upstream: cel-go common/stdlib). What the evaluator does itself has no `call`."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

from . import ast, convert, functions, types
from .convert import duration, integer, timestamp, unsigned
from .errors import EvaluationError
from .functions import Cost, Overload
from .types import BOOL, BYTES, DOUBLE, DURATION, DYN, INT, STRING, TIMESTAMP, UINT, Type
from .values import Duration, Timestamp, TypeValue, Uint, type_name

A, B = types.parameter("A"), types.parameter("B")
LIST_A, MAP_AB = types.list_of(A), types.map_of(A, B)
INSERT = "cel.@mapInsert"


def overloads() -> Iterator[Overload]:
    """All of them."""
    yield from _logic()
    yield from _arithmetic()
    yield from _comparisons()
    yield from _conversions()


def _logic() -> Iterator[Overload]:
    yield Overload(ast.CONDITIONAL, "conditional", (BOOL, A, A), A, None)
    yield Overload(ast.AND, "logical_and", (BOOL, BOOL), BOOL, None)
    yield Overload(ast.OR, "logical_or", (BOOL, BOOL), BOOL, None)
    yield Overload(ast.NOT, "logical_not", (BOOL,), BOOL, operator.not_)
    yield Overload(ast.NOT_STRICTLY_FALSE, "not_strictly_false", (BOOL,), BOOL, None)
    yield Overload(ast.EQUAL, "equals", (A, A), BOOL, None)
    yield Overload(ast.NOT_EQUAL, "not_equals", (A, A), BOOL, None)
    yield Overload(ast.INDEX, "index_list", (LIST_A, INT), A, None)
    yield Overload(ast.INDEX, "index_map", (MAP_AB, A), B, None)
    yield Overload(ast.IN, "in_list", (A, LIST_A), BOOL, None)
    yield Overload(ast.IN, "in_map", (A, MAP_AB), BOOL, None)
    yield Overload(INSERT, "insert_key_value", (MAP_AB, A, B), MAP_AB, None)
    yield Overload(INSERT, "insert_map", (MAP_AB, MAP_AB), MAP_AB, None)


# --- arithmetic --------------------------------------------------------------------------------


def _arithmetic() -> Iterator[Overload]:
    def binary(
        name: str,
        suffix: str,
        left: Type,
        right: Type,
        result: Type,
        call: Callable[..., Any] | None,
        cost: Cost | None = None,
    ) -> Overload:
        return Overload(name, suffix, (left, right), result, call, cost=cost)

    yield binary(ast.ADD, "add_bytes", BYTES, BYTES, BYTES, operator.add, functions.both)
    yield binary(ast.ADD, "add_double", DOUBLE, DOUBLE, DOUBLE, operator.add)
    yield binary(
        ast.ADD,
        "add_duration_duration",
        DURATION,
        DURATION,
        DURATION,
        lambda a, b: duration(a.nanoseconds + b.nanoseconds),
    )
    yield binary(
        ast.ADD,
        "add_duration_timestamp",
        DURATION,
        TIMESTAMP,
        TIMESTAMP,
        lambda a, b: _shifted(b, a.nanoseconds),
    )
    yield binary(
        ast.ADD,
        "add_timestamp_duration",
        TIMESTAMP,
        DURATION,
        TIMESTAMP,
        lambda a, b: _shifted(a, b.nanoseconds),
    )
    yield binary(ast.ADD, "add_int64", INT, INT, INT, lambda a, b: integer(a + b))
    yield binary(ast.ADD, "add_list", LIST_A, LIST_A, LIST_A, None)
    yield binary(ast.ADD, "add_string", STRING, STRING, STRING, operator.add, functions.both)
    yield binary(ast.ADD, "add_uint64", UINT, UINT, UINT, lambda a, b: unsigned(int(a) + int(b)))
    yield binary(ast.SUBTRACT, "subtract_double", DOUBLE, DOUBLE, DOUBLE, operator.sub)
    yield binary(
        ast.SUBTRACT,
        "subtract_duration_duration",
        DURATION,
        DURATION,
        DURATION,
        lambda a, b: duration(a.nanoseconds - b.nanoseconds),
    )
    yield binary(ast.SUBTRACT, "subtract_int64", INT, INT, INT, lambda a, b: integer(a - b))
    yield binary(
        ast.SUBTRACT,
        "subtract_timestamp_duration",
        TIMESTAMP,
        DURATION,
        TIMESTAMP,
        lambda a, b: _shifted(a, -b.nanoseconds),
    )
    yield binary(
        ast.SUBTRACT,
        "subtract_timestamp_timestamp",
        TIMESTAMP,
        TIMESTAMP,
        DURATION,
        lambda a, b: duration(a.nanoseconds - b.nanoseconds),
    )
    yield binary(ast.SUBTRACT, "subtract_uint64", UINT, UINT, UINT, lambda a, b: unsigned(int(a) - int(b)))
    yield binary(ast.MULTIPLY, "multiply_double", DOUBLE, DOUBLE, DOUBLE, operator.mul)
    yield binary(ast.MULTIPLY, "multiply_int64", INT, INT, INT, lambda a, b: integer(a * b))
    yield binary(ast.MULTIPLY, "multiply_uint64", UINT, UINT, UINT, lambda a, b: unsigned(int(a) * int(b)))
    yield binary(ast.DIVIDE, "divide_double", DOUBLE, DOUBLE, DOUBLE, _divide_doubles)
    yield binary(ast.DIVIDE, "divide_int64", INT, INT, INT, _divide)
    yield binary(ast.DIVIDE, "divide_uint64", UINT, UINT, UINT, lambda a, b: Uint(_divide(int(a), int(b))))
    yield binary(ast.MODULO, "modulo_int64", INT, INT, INT, _modulo)
    yield binary(ast.MODULO, "modulo_uint64", UINT, UINT, UINT, lambda a, b: Uint(_modulo(int(a), int(b))))
    yield Overload(ast.NEGATE, "negate_double", (DOUBLE,), DOUBLE, operator.neg)
    yield Overload(ast.NEGATE, "negate_int64", (INT,), INT, lambda a: integer(-a))


def _shifted(moment: Timestamp, by: int) -> Timestamp:
    return timestamp(moment.nanoseconds + by, moment.offset)


def _divide(left: int, right: int) -> int:
    """Towards zero, as Go's."""
    if right == 0:
        raise EvaluationError("division by zero")
    quotient = abs(left) // abs(right)
    return integer(quotient if (left < 0) == (right < 0) else -quotient)


def _modulo(left: int, right: int) -> int:
    """With the sign of the left one, as Go's."""
    if right == 0:
        raise EvaluationError("modulus by zero")
    if left == -(2**63) and right == -1:
        raise convert.overflow("integer")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def _divide_doubles(left: float, right: float) -> float:
    """As IEEE 754 has it, which Python has not."""
    if right == 0:
        if left == 0 or math.isnan(left):
            return math.nan
        return math.copysign(math.inf, left) * math.copysign(1, right)
    return left / right


# --- comparisons -------------------------------------------------------------------------------

_ORDERS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    ast.LESS: ("less", operator.lt),
    ast.LESS_EQUAL: ("less_equals", lambda a, b: not b < a),
    ast.GREATER: ("greater", lambda a, b: b < a),
    ast.GREATER_EQUAL: ("greater_equals", lambda a, b: not a < b),
}
_NUMBERS = {"int64": INT, "uint64": UINT, "double": DOUBLE}


def _comparisons() -> Iterator[Overload]:
    for name, (identity, compare) in _ORDERS.items():
        for kind in (BOOL, TIMESTAMP, DURATION):
            yield Overload(name, f"{identity}_{kind}", (kind, kind), BOOL, compare)
        for kind in (STRING, BYTES):
            call = _by_bytes(compare) if kind is STRING else compare
            yield Overload(name, f"{identity}_{kind}", (kind, kind), BOOL, call, cost=functions.smaller)
        for left, left_type in _NUMBERS.items():
            for right, right_type in _NUMBERS.items():
                both = left if left == right else f"{left}_{right}"
                call = _numbers(compare) if DOUBLE in (left_type, right_type) else compare
                yield Overload(name, f"{identity}_{both}", (left_type, right_type), BOOL, call)


def _by_bytes(compare: Callable[[Any, Any], bool]) -> Callable[[str, str], bool]:
    """Texts are ordered as their UTF-8 is, which is the order of code points, as Python's; kept apart for its type."""
    return lambda left, right: compare(left, right)


def _numbers(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def call(left: Any, right: Any) -> bool:
        if left != left or right != right:  # NaN
            raise EvaluationError("NaN values cannot be ordered")
        return compare(float(left), float(right))  # as upstream, which loses what a double has no digits for

    return call


# --- conversions -------------------------------------------------------------------------------


def _conversions() -> Iterator[Overload]:
    table: tuple[tuple[str, Type, tuple[Type, ...], Callable[[Any], Any]], ...] = (
        ("bool", BOOL, (BOOL, STRING), convert.to_bool),
        ("bytes", BYTES, (BYTES, STRING), convert.to_bytes),
        ("double", DOUBLE, (DOUBLE, INT, STRING, UINT), convert.to_double),
        ("duration", DURATION, (DURATION, INT, STRING), convert.to_duration),
        ("int", INT, (INT, DOUBLE, DURATION, STRING, TIMESTAMP, UINT), convert.to_int),
        ("string", STRING, (STRING, BOOL, BYTES, DOUBLE, DURATION, INT, TIMESTAMP, UINT), convert.to_string),
        ("timestamp", TIMESTAMP, (TIMESTAMP, INT, STRING), convert.to_timestamp),
        ("uint", UINT, (UINT, DOUBLE, INT, STRING), convert.to_uint),
    )
    for name, result, sources, call in table:
        for source in sources:
            cost = functions.traversal(0) if {source, result} == {BYTES, STRING} else None
            if name == "duration" and source is INT:
                continue
            yield Overload(name, f"{source}_to_{name}", (source,), result, call, cost=cost)
    yield Overload("dyn", "to_dyn", (A,), DYN, lambda value: value)
    yield Overload("type", "type", (A,), types.type_of(A), lambda value: TypeValue(type_name(value)))


CONVERSIONS = frozenset(("bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"))


def order(left: Any, right: Any) -> int:
    """-1, 0, 1 of two values of one type that has an order; EvaluationError for others."""
    if (type(left) is type(right) or {type(left), type(right)} <= {int, float, Uint}) and isinstance(
        left, int | float | str | bytes | Timestamp | Duration
    ):
        return -1 if left < right else 1 if right < left else 0
    raise EvaluationError("no such overload")
