"""Constants: what needs no evaluation and costs nothing."""

from __future__ import annotations

from typing import Any

from . import ast, operators
from .ast import Node
from .errors import EvaluationError
from .values import MISSING, key_of, text_of, type_name


def insert(built: dict[Any, Any], key: Any, value: Any) -> None:
    if not isinstance(key, str | int) and key.__class__ is not float:
        raise EvaluationError(f"unsupported key type: {type_name(key)}")
    name = key_of(key)
    if name in built:
        raise EvaluationError(f"Failed with repeated key: {text_of(key)}")
    built[name] = value


def constant(node: Node) -> Any:
    """The value of what needs no evaluation and costs nothing, or MISSING."""
    if node.folded is None:
        node.folded = (_fold(node),)
    return node.folded[0]


def _fold(node: Node) -> Any:
    match node:
        case ast.Literal():
            return node.value
        case ast.Ident():
            return node.constant if node.constant is not None else MISSING
        case ast.Select() if node.qualified is not None:
            return constant(node.qualified)
        case ast.ListLiteral() if not node.optional:
            values = [constant(element) for element in node.elements]
            return MISSING if any(value is MISSING for value in values) else values
        case ast.MapLiteral() if not any(entry.optional for entry in node.entries):
            return _constant_map(node)
        case ast.Call() if node.function in operators.CONVERSIONS and len(node.arguments) == 1 and node.target is None:
            value = constant(node.arguments[0])
            overload = next((each for each in node.overloads if value is not MISSING and each.takes((value,))), None)
            return overload.call(value) if overload is not None and overload.call is not None else MISSING
    return MISSING


def _constant_map(node: ast.MapLiteral) -> Any:
    built: dict[Any, Any] = {}
    for entry in node.entries:
        key, value = constant(ast.node_of(entry.key)), constant(entry.value)
        if key is MISSING or value is MISSING:
            return MISSING
        insert(built, key, value)
    return built
