"""Which variables, types and functions an expression may use (upstream: apiserver/pkg/cel/environment), and what becomes of it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from typing import Any

from . import types
from .ast import Node, walk
from .checker import Checker
from .errors import CompileError, CostExceeded, EvaluationError, InstantiationError, Issue, report
from .evaluator import compiled
from .functions import Table
from .parser import parse
from .state import PER_CALL_LIMIT, Run, State
from .types import Type
from .validators import check_patterns, validate
from .values import MISSING

# A grammar rule within itself 250 times is some 3000 calls of ours. They are Python's own, which take no stack of the
# process, so that the limit may be higher than Python's default; it is for the whole process and never lowered again.
_CALLS = 10_000


class Program:
    """An expression that can be evaluated, as often as one likes."""

    __slots__ = ("_names", "_run", "_size", "source", "type", "variables")

    def __init__(self, source: str, tree: Node, names: tuple[str, ...]) -> None:
        assert tree.type is not None
        self.source, self.type, self._names = source, tree.type, names
        self._run: Run
        self._run, self._size = compiled(tree, names)
        self.variables = frozenset(_mentioned(tree)) & frozenset(names)  # those that it speaks of

    def evaluate(self, bindings: Mapping[str, Any], limit: int = PER_CALL_LIMIT) -> Any:
        """The value. EvaluationError; CostExceeded above `limit`."""
        return self.measure(bindings, limit)[0]

    def measure(self, bindings: Mapping[str, Any], limit: int = PER_CALL_LIMIT) -> tuple[Any, int]:
        """The value and what it cost. The errors of `evaluate` have the cost as their attribute `cost`."""
        variables = [bindings.get(name, MISSING) for name in self._names]
        variables += [MISSING] * (self._size - len(variables))
        state = State(variables, limit)
        try:
            value = self._run(state)
        except (EvaluationError, CostExceeded) as error:
            error.cost = state.total()
            raise
        cost = state.total()
        if cost > limit:
            exceeded = CostExceeded()
            exceeded.cost = cost
            raise exceeded
        return value, cost


class Environment:
    """Variables with their types, the types that expressions may name, and functions."""

    def __init__(self, variables: Mapping[str, Type], named: Mapping[str, Type], table: Table) -> None:
        self._variables, self._named, self._functions = dict(variables), named, table

    def compile(self, source: str, expected: Type | None = None) -> Program:
        """The expression, checked. CompileError, also for another type than `expected`; InstantiationError."""
        tree = self.check(source)
        if expected is not None and tree.type != expected:
            raise CompileError(f"must evaluate to {expected}")
        return self.program(source, tree)

    def program(self, source: str, tree: Node) -> Program:
        """Of a tree that `check` gave. InstantiationError."""
        try:
            check_patterns(tree)
            return Program(source, tree, tuple(self._variables))
        except (EvaluationError, ValueError) as error:  # of a constant
            raise InstantiationError(error) from None

    def check(self, source: str) -> Node:
        """The tree with its types. CompileError."""
        if sys.getrecursionlimit() < _CALLS:
            sys.setrecursionlimit(_CALLS)
        try:
            tree = parse(source)
            checker = Checker(self._variables, self._named, self._functions)
            checker.check(tree)
            if not checker.issues:
                checker.issues += validate(tree)
        except RecursionError:
            raise CompileError(report(source, [Issue(-1, "max recursion depth exceeded")])) from None
        if checker.issues:
            raise CompileError(report(source, checker.issues))
        return tree


def environment(variables: Mapping[str, Type], named: Mapping[str, Type] | None = None) -> Environment:
    """`named` are object types that an expression may make values of, besides the language's own types."""
    return Environment(variables, {**_names(), **(named or {})}, functions())


def mutating(variables: Mapping[str, Type]) -> Environment:
    """For expressions that make patches: Object{...}, JSONPatch{...} and jsonpatch.escapeKey."""
    from . import mutation

    return Environment(variables, mutation.Names(_names()), Table(mutation.overloads(), functions()))


@functools.cache
def functions() -> Table:
    """All that there are."""
    from . import library

    return Table([overload for overloads in library.ALL for overload in overloads()])


@functools.cache
def _names() -> Mapping[str, Type]:
    from .library import network

    dynamic = types.DYN
    return {
        **{kind.text: kind for kind in (types.BOOL, types.INT, types.UINT, types.DOUBLE, types.STRING, types.BYTES)},
        "null_type": types.NULL,
        "list": types.list_of(dynamic),
        "map": types.map_of(dynamic, dynamic),
        "type": types.type_of(dynamic),
        "google.protobuf.Timestamp": types.TIMESTAMP,
        "google.protobuf.Duration": types.DURATION,
        "optional_type": types.optional_of(dynamic),
        "net.IP": network.IP,
        "net.CIDR": network.CIDR,
    }


def _mentioned(tree: Node) -> set[str]:
    from . import ast

    return {node.name.removeprefix(".") for node in walk(tree) if isinstance(node, ast.Ident)}
