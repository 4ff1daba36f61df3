"""Optional values (upstream: cel-go cel/library.go). `or`, `orValue` and indices are the evaluator's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import ast, types
from ..errors import EvaluationError
from ..functions import Overload
from ..types import BOOL, DYN, INT, STRING, optional_of
from ..values import MIN_SECONDS, NANOSECONDS, NONE, Duration, Object, Optional, Timestamp, text_of
from .declare import function, method

_K, _V = types.parameter("K"), types.parameter("V")
_LIST, _MAP, _OPTIONAL = types.list_of(_V), types.map_of(_K, _V), optional_of(_V)


def overloads() -> Iterator[Overload]:
    """All of them."""
    yield function("optional.of", "optional_of", (_V,), _OPTIONAL, Optional)
    yield function(
        "optional.ofNonZeroValue",
        "optional_ofNonZeroValue",
        (_V,),
        _OPTIONAL,
        lambda value: NONE if _is_zero(value) else Optional(value),
    )
    yield function("optional.none", "optional_none", (), _OPTIONAL, lambda: NONE)
    yield function("optional.unwrap", "optional_unwrap", (types.list_of(_OPTIONAL),), _LIST, _unwrap)
    yield method("unwrapOpt", "optional_unwrapOpt", (types.list_of(_OPTIONAL),), _LIST, _unwrap)
    yield method("value", "optional_value", (_OPTIONAL,), _V, _value)
    yield method("hasValue", "optional_hasValue", (_OPTIONAL,), BOOL, lambda optional: optional.present)
    yield method("first", "list_first", (_LIST,), _OPTIONAL, lambda items: Optional(items[0]) if items else NONE)
    yield method("last", "list_last", (_LIST,), _OPTIONAL, lambda items: Optional(items[-1]) if items else NONE)
    yield Overload("or", "optional_or_optional", (_OPTIONAL, _OPTIONAL), _OPTIONAL, None, member=True)
    yield Overload("orValue", "optional_orValue_value", (_OPTIONAL, _V), _V, None, member=True)
    yield Overload(ast.OPTIONAL_SELECT, "select_optional_field", (DYN, STRING), _OPTIONAL, None)
    yield Overload(ast.OPTIONAL_INDEX, "list_optindex_optional_int", (_LIST, INT), _OPTIONAL, None)
    yield Overload(
        ast.OPTIONAL_INDEX, "optional_list_optindex_optional_int", (optional_of(_LIST), INT), _OPTIONAL, None
    )
    yield Overload(ast.OPTIONAL_INDEX, "map_optindex_optional_value", (_MAP, _K), _OPTIONAL, None)
    yield Overload(ast.OPTIONAL_INDEX, "optional_map_optindex_optional_value", (optional_of(_MAP), _K), _OPTIONAL, None)
    yield Overload(ast.INDEX, "optional_list_index_int", (optional_of(_LIST), INT), _OPTIONAL, None)
    yield Overload(ast.INDEX, "optional_map_index_value", (optional_of(_MAP), _K), _OPTIONAL, None)


def _value(optional: Optional) -> Any:
    if not optional.present:
        raise EvaluationError("optional.none() dereference")
    return optional.value


def _unwrap(optionals: list[Any]) -> list[Any]:
    for optional in optionals:
        if not isinstance(optional, Optional):
            raise EvaluationError(f"value {text_of(optional)} is not optional")
    return [optional.value for optional in optionals if optional.present]


def _is_zero(value: Any) -> bool:
    if value is None or (isinstance(value, Optional) and not value.present):
        return True
    if isinstance(value, bool | int | float | str | bytes | list | dict):
        return not value
    if isinstance(value, Duration):
        return value.nanoseconds == 0
    if isinstance(value, Timestamp):
        return value.nanoseconds == MIN_SECONDS * NANOSECONDS
    return isinstance(value, Object) and value.size() == 0
