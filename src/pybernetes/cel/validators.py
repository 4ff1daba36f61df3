"""What an expression of right types may still not have (upstream: cel-go cel/validator.go, apiserver/pkg/cel/environment/base.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pybernetes.api import goregexp

from . import ast, convert
from .ast import Node, children, walk
from .errors import EvaluationError, Issue
from .types import Type, unwrapped

MIXED_IN = "format"  # the function whose lists may have values of any types


def validate(tree: Node) -> list[Issue]:
    """Constants that are no durations, times or regular expressions; lists and maps of several types."""
    issues: list[Issue] = []
    seen: set[tuple[int, bool]] = set()
    nodes: list[tuple[Node, bool]] = [(tree, False)]
    while nodes:
        node, exempt = nodes.pop()
        if (id(node), exempt) in seen:
            continue
        seen.add((id(node), exempt))
        if isinstance(node, ast.Call):
            issues += _constant_argument(node)
            if node.function == MIXED_IN:
                from .formatclauses import format_issues  # the libraries are loaded with the first expression

                issues += format_issues(node)
            exempt = exempt or node.function == MIXED_IN
        if not exempt:
            issues += _mixed(node)
        nodes += [(child, exempt) for child in children(node)]
    return issues


def _matches(text: Any) -> None:
    if isinstance(text, str):
        goregexp.check(text)


_CONSTANTS: Mapping[str, Callable[[Any], object]] = {
    "duration": convert.to_duration, "timestamp": convert.to_timestamp, "matches": _matches,
}  # fmt: skip


def _constant_argument(call: ast.Call) -> Iterator[Issue]:
    parse = _CONSTANTS.get(call.function)
    if parse is None or not call.arguments:
        return
    argument = call.arguments[-1 if call.function == "matches" else 0]
    if (
        isinstance(argument, ast.Literal)
        and isinstance(argument.value, str | int)
        and not isinstance(argument.value, bool)
    ):
        try:
            parse(argument.value)
        except (EvaluationError, ValueError):
            yield Issue(argument.offset, f"invalid {call.function} argument")


def check_patterns(tree: Node) -> None:
    """Constant patterns of find and findAll, which are compiled with the expression. RegexpError."""
    for node in walk(tree):
        if isinstance(node, ast.Call) and node.function in ("find", "findAll") and node.arguments:
            pattern = node.arguments[0]
            if isinstance(pattern, ast.Literal) and isinstance(pattern.value, str):
                goregexp.check(pattern.value)


def _mixed(node: Node) -> Iterator[Issue]:
    match node:
        case ast.ListLiteral():
            pairs = [(item, index in node.optional) for index, item in enumerate(node.elements)]
            yield from list(_unlike(pairs))[:1]
        case ast.MapLiteral():
            yield from _unlike([(entry.key, False) for entry in node.entries if isinstance(entry.key, Node)])
            yield from _unlike([(entry.value, entry.optional) for entry in node.entries])


def _unlike(nodes: list[tuple[Node, bool]]) -> Iterator[Issue]:
    first: Type | None = None
    for node, optional in nodes:
        assert node.type is not None
        given = unwrapped(node.type)[0] if optional else node.type
        if first is None:
            first = given
        elif first != given:
            yield Issue(node.offset, f"expected type '{first}' but found '{given}'")
