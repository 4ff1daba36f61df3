"""How high and how large a regular expression is, counted while it is read (upstream: Go's regexp/syntax, checkLimits)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

LITERAL_WEIGHT: Final = 2  # of a letter, in either case


class Op(Enum):
    """What matters for the height: a concatenation in a concatenation is one, and so are alternations; a string of literals is flat."""

    OTHER = "other"
    LITERAL = "literal"
    CONCATENATION = "concatenation"
    ALTERNATION = "alternation"


@dataclass(frozen=True, slots=True)
class Node:
    """What the limits ask of an expression: levels, instructions (of Go, of the library), and the product of the repetitions within."""

    height: int = 1
    size: int = 1
    weight: int = LITERAL_WEIGHT
    repeats: int = 1
    op: Op = Op.OTHER


LITERAL: Final = Node(op=Op.LITERAL)
_EMPTY: Final = Node(weight=1, repeats=0)


def _joined(whole: Node | None, addition: Node, op: Op) -> Node:
    """`whole` with another item, or alternative."""
    if whole is None:
        return addition
    if op is Op.CONCATENATION and whole.op is addition.op is Op.LITERAL:
        return Node(1, whole.size + addition.size, whole.weight + addition.weight, 1, Op.LITERAL)
    height = 1 + max(one.height - (one.op is op) for one in (whole, addition))
    fork = op is Op.ALTERNATION
    size, weight = whole.size + addition.size + fork, whole.weight + addition.weight + fork
    return Node(height, size, weight, max(whole.repeats, addition.repeats), op)


@dataclass(slots=True)
class Group:
    """An open parenthesis (or the whole pattern), and what was read of it."""

    captures: bool
    last: Node | None = None  # what a repetition would repeat
    before: Node | None = None  # the alternative so far, without `last`
    alternatives: Node | None = None

    def add(self, node: Node) -> None:
        if self.last is not None:
            self.before = _joined(self.before, self.last, Op.CONCATENATION)
        self.last = node

    def alternative(self) -> None:
        """The alternative ends."""
        node = self.last or _EMPTY
        if self.last is not None and self.before is not None:
            node = _joined(self.before, self.last, Op.CONCATENATION)
        self.alternatives = _joined(self.alternatives, node, Op.ALTERNATION)
        self.before = self.last = None

    def closed(self) -> Node:
        """The group as one expression; a capture is a level of its own."""
        self.alternative()
        node = self.alternatives or _EMPTY
        return Node(node.height + 1, node.size + 2, node.weight + 2, node.repeats) if self.captures else node
