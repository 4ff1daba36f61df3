"""Constant patterns of string.format: whether there is an argument of the right type for each clause (upstream: cel-go ext/formatting.go)."""

from __future__ import annotations

from collections.abc import Iterator

from . import ast, types
from .ast import Node
from .errors import EvaluationError, Issue
from .library.formatting import REFUSALS, clauses
from .values import type_name

_ALLOWED = {
    "s": frozenset(("list", "map", "int", "uint", "double", "bool", "string", "timestamp", "bytes", "duration", types.TYPE, "null")),
    "d": frozenset(("int", "uint")),
    "f": frozenset(("double", "string")),
    "e": frozenset(("double", "string")),
    "b": frozenset(("int", "uint", "bool")),
    "o": frozenset(("int", "uint")),
    "x": frozenset(("int", "uint", "string", "bytes")),
}  # fmt: skip


def format_issues(call: ast.Call) -> Iterator[Issue]:
    """Of a call of `format` whose pattern and list are written out."""
    pattern, arguments = call.target, call.arguments[0] if call.arguments else None
    if (
        not isinstance(pattern, ast.Literal)
        or not isinstance(pattern.value, str)
        or not isinstance(arguments, ast.ListLiteral)
    ):
        return
    count = 0
    try:
        for verb, _ in clauses(pattern.value):
            if count >= len(arguments.elements):
                yield Issue(call.offset, f"index {count} out of range")
                return
            wrong = _unfit(arguments.elements[count], verb.lower())
            if wrong is not None:
                yield Issue(
                    wrong.offset, f"error during formatting: {REFUSALS[verb.lower()]}, was given {_named(wrong)}"
                )
                return
            count += 1
    except EvaluationError as error:
        yield Issue(call.offset, str(error))
        return
    if len(arguments.elements) > count:
        text = f"too many arguments supplied to string.format (expected {count}, got {len(arguments.elements)})"
        yield Issue(call.offset, text)


def _unfit(node: Node, verb: str) -> Node | None:
    """What is of no type that the clause takes: the argument, or a part of it."""
    assert node.type is not None
    if node.type.kind != "dyn" and node.type.kind not in _ALLOWED[verb]:
        return node
    if verb == "s" and isinstance(node, ast.ListLiteral | ast.MapLiteral):
        return next((wrong for part in ast.children(node) if (wrong := _unfit(part, verb)) is not None), None)
    return None


def _named(node: Node) -> str:
    assert node.type is not None
    return type_name(node.value) if isinstance(node, ast.Literal) else node.type.name
