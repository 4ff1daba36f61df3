"""The syntax tree (upstream: cel-go common/ast). Operators are calls of functions whose names no source can spell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .types import Type

# Names of operators, as messages show them.
CONDITIONAL, AND, OR, NOT, NEGATE = "_?_:_", "_&&_", "_||_", "!_", "-_"
EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL = "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"
ADD, SUBTRACT, MULTIPLY, DIVIDE, MODULO = "_+_", "_-_", "_*_", "_/_", "_%_"
INDEX, OPTIONAL_INDEX, OPTIONAL_SELECT, IN = "_[_]", "_[?_]", "_?._", "@in"
NOT_STRICTLY_FALSE = "@not_strictly_false"
ACCUMULATOR = "@result"


@dataclass(slots=True, eq=False)
class Node:
    """`offset` is its place in the source, of which faults are told; `type` is what the checker found.

    `folded` is the evaluator's: what it found out of a constant's value.
    """

    offset: int
    type: Type | None = field(default=None, init=False)
    folded: tuple[Any, ...] | None = field(default=None, init=False)


@dataclass(slots=True, eq=False)
class Literal(Node):
    """A value of a simple type, as values.py has them."""

    value: Any


@dataclass(slots=True, eq=False)
class Ident(Node):
    """A variable or the name of a type; the checker says which type (`constant`)."""

    name: str
    constant: Any = field(default=None, init=False)


@dataclass(slots=True, eq=False)
class Select(Node):
    """`operand.name`, or with `test` the macro has() of it. `qualified` is the dotted variable that the checker took it for."""

    operand: Node
    name: str
    test: bool = False
    qualified: Ident | None = field(default=None, init=False)


@dataclass(slots=True, eq=False)
class Call(Node):
    """A function or, with `target`, a method. `overloads` are those that the types allow."""

    function: str
    target: Node | None
    arguments: list[Node]
    overloads: tuple[Any, ...] = field(default=(), init=False)


@dataclass(slots=True, eq=False)
class ListLiteral(Node):
    """`optional` holds the indices of `?element`."""

    elements: list[Node]
    optional: frozenset[int] = frozenset()


@dataclass(slots=True, eq=False)
class Entry:
    """`key: value` of a map, or of an object, whose keys are names."""

    offset: int
    key: Node | str
    value: Node
    optional: bool


@dataclass(slots=True, eq=False)
class MapLiteral(Node):
    """{key: value}"""

    entries: list[Entry]


@dataclass(slots=True, eq=False)
class ObjectLiteral(Node):
    """name{field: value}"""

    name: str
    entries: list[Entry]


@dataclass(slots=True, eq=False)
class Comprehension(Node):
    """A fold: what macros over lists and maps become. With `second`, the first variable is the index or key.

    The checker looks at all its parts. The evaluator, which has a loop of its own for each `kind`, needs `filter` and
    `body` alone: they are nodes of `step`.
    """

    kind: str
    range: Node
    variable: str
    second: str | None
    accumulator: str
    initial: Node
    condition: Node
    step: Node
    result: Node
    filter: Node | None
    body: Node


def node_of(key: Node | str) -> Node:
    """The key of an entry that is no object's."""
    assert isinstance(key, Node)
    return key


def walk(tree: Node) -> Iterator[Node]:
    """All nodes, each once."""
    nodes, seen = [tree], {id(tree)}
    while nodes:
        node = nodes.pop()
        yield node
        for child in children(node):
            if id(child) not in seen:
                seen.add(id(child))
                nodes.append(child)


def children(node: Node) -> Sequence[Node]:
    """The nodes right below, in order of the source."""
    match node:
        case Select():
            return (node.operand,)
        case Call():
            return node.arguments if node.target is None else (node.target, *node.arguments)
        case ListLiteral():
            return node.elements
        case MapLiteral() | ObjectLiteral():
            return [part for entry in node.entries for part in (entry.key, entry.value) if isinstance(part, Node)]
        case Comprehension():
            return node.range, node.initial, node.condition, node.step, node.result
    return ()
