"""Finds the type of every part of an expression and which functions it calls (upstream: cel-go checker/checker.go)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import ast, types
from .ast import Node
from .errors import Issue
from .functions import Overload, Table
from .types import BOOL, DYN, ERROR, INT, NULL, OBJECT, Substitutions, Type, is_dynamic, optional_of, unwrapped
from .values import TypeValue, Uint

_LITERALS = {
    bool: BOOL, int: INT, Uint: types.UINT, float: types.DOUBLE, str: types.STRING, bytes: types.BYTES, type(None): NULL,
}  # fmt: skip


class Checker:
    """Checks one expression; the faults are in `issues`, the types on the nodes."""

    def __init__(self, variables: Mapping[str, Type], names: Mapping[str, Type], functions: Table) -> None:
        """`names` are those that stand for types, with the type each is of."""
        self.issues: list[Issue] = []
        self._variables, self._names, self._functions = variables, names, functions
        self._scopes: list[dict[str, Type]] = []
        self._substitutions = Substitutions()
        self._nodes: list[Node] = []

    def check(self, tree: Node) -> Type:
        """The type of the whole."""
        self._check(tree)
        for node in self._nodes:
            assert node.type is not None
            node.type = self._substitutions.resolve(node.type, dynamic=True)
        assert tree.type is not None
        return tree.type

    def _check(self, node: Node) -> Type:
        if node.type is not None:  # a node that a macro uses twice
            return node.type
        match node:
            case ast.Literal():
                type_ = _LITERALS[type(node.value)]
            case ast.Ident():
                type_ = self._ident(node)
            case ast.Select():
                type_ = self._select(node)
            case ast.Call():
                type_ = self._call(node)
            case ast.ListLiteral():
                type_ = self._list(node)
            case ast.MapLiteral():
                type_ = self._map(node)
            case ast.ObjectLiteral():
                type_ = self._object(node)
            case ast.Comprehension():
                type_ = self._comprehension(node)
            case _:
                raise TypeError(node)
        node.type = type_
        self._nodes.append(node)
        return type_

    def _error(self, node: Node, message: str) -> Type:
        self.issues.append(Issue(node.offset, message))
        return ERROR

    def _undeclared(self, node: Node, name: str) -> Type:
        return self._error(node, f"undeclared reference to '{name}' (in container '')")

    def _mismatch(self, node: Node, expected: Type, actual: Type) -> Type:
        resolve = self._substitutions.resolve
        return self._error(node, f"expected type '{resolve(expected)}' but found '{resolve(actual)}'")

    # --- names -------------------------------------------------------------------------------

    def _lookup(self, name: str) -> tuple[Type, str | None] | None:
        """A name's type, and the type that it stands for if it does."""
        if not name.startswith("."):
            for scope in reversed(self._scopes):
                if name in scope:
                    return scope[name], None
        name = name.removeprefix(".")
        if name in self._variables:
            return self._variables[name], None
        named = self._names.get(name)
        return (types.type_of(named), name) if named is not None else None

    def _ident(self, node: ast.Ident) -> Type:
        type_ = self._lookup(node.name)
        if type_ is None:
            return self._undeclared(node, node.name)
        if type_[1] is not None:
            node.constant = TypeValue(type_[1])
        return type_[0]

    def _select(self, node: ast.Select) -> Type:
        name = None if node.test else _dotted(node)
        if name is not None and not self._is_local(name.removeprefix(".").partition(".")[0]):
            declared = self._lookup(name)
            if declared is not None:
                node.qualified = ast.Ident(node.offset, name)
                node.qualified.constant = TypeValue(declared[1]) if declared[1] is not None else None
                node.qualified.type = declared[0]
                return declared[0]
        field = self._field(node, node.operand, node.name, False)
        return BOOL if node.test else self._substitutions.resolve(field)

    def _is_local(self, name: str) -> bool:
        return any(name in scope for scope in self._scopes)

    def _field(self, node: Node, operand: Node, name: str, optional: bool) -> Type:
        inner, was_optional = unwrapped(self._substitutions.resolve(self._check(operand)))
        match inner.kind:
            case "map":
                type_ = inner.parameters[1]
            case types.OBJECT:
                field = (inner.fields or {}).get(name)
                type_ = field if field is not None else self._error(node, f"undefined field '{name}'")
            case types.PARAMETER:
                self._substitutions.assignable([(DYN, inner)])
                type_ = DYN
            case _:
                if not is_dynamic(inner):
                    self._error(node, f"type '{inner}' does not support field selection")
                type_ = DYN
        return optional_of(type_) if optional or was_optional else type_

    # --- calls -------------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> Type:
        if node.function == ast.OPTIONAL_SELECT:
            name = node.arguments[1]
            assert isinstance(name, ast.Literal)
            name.type = types.STRING
            return self._substitutions.resolve(self._field(node, node.arguments[0], name.value, True))
        for argument in node.arguments:
            self._check(argument)
        if node.target is None:
            overloads = self._functions.get(node.function.removeprefix("."))
            return self._resolve(node, node.function, overloads, None)
        prefix = _dotted(node.target)
        if prefix is not None:
            qualified = f"{prefix.removeprefix('.')}.{node.function}"
            overloads = self._functions.get(qualified)
            if overloads is not None:
                node.target, node.function = None, qualified
                return self._resolve(node, qualified, overloads, None)
        self._check(node.target)
        return self._resolve(node, node.function, self._functions.get(node.function), node.target)

    def _resolve(self, node: ast.Call, name: str, overloads: Sequence[Overload] | None, target: Node | None) -> Type:
        if overloads is None:
            return self._undeclared(node, name)
        operands = node.arguments if target is None else [target, *node.arguments]
        given = [self._check(operand) for operand in operands]
        if name in (ast.AND, ast.OR):
            return self._logical(node, operands, given, overloads)
        result: Type | None = None
        matching = []
        for overload in overloads:
            if overload.member != (target is not None) or len(overload.parameters) != len(given):
                continue
            fresh = self._instantiated(overload)
            if not self._substitutions.assignable(list(zip(given, fresh[1:], strict=True))):
                continue
            matching.append(overload)
            resolved = self._substitutions.resolve(fresh[0])
            if result is None:
                result = resolved
            elif not is_dynamic(result) and resolved != result:
                result = DYN
        if result is None:
            shown = [str(self._substitutions.resolve(each, dynamic=True)) for each in given]
            receiver = f"{shown.pop(0)}." if target is not None else ""
            return self._error(
                node, f"found no matching overload for '{name}' applied to '{receiver}({', '.join(shown)})'"
            )
        node.overloads = tuple(matching)
        return result

    def _logical(
        self, node: ast.Call, operands: Sequence[Node], given: Sequence[Type], overloads: Sequence[Overload]
    ) -> Type:
        node.overloads = tuple(overloads)
        fits = [self._substitutions.assignable([(each, BOOL)]) for each in given]
        for operand, each, fit in zip(operands, given, fits, strict=True):
            if not fit:
                self._mismatch(operand, BOOL, each)
        return BOOL if all(fits) else ERROR

    def _instantiated(self, overload: Overload) -> list[Type]:
        """Result and parameters with type variables of their own."""
        kinds = [overload.result, *overload.parameters]
        if not any(kind.free for kind in kinds):
            return kinds
        variables: dict[str, Type] = {}

        def fresh(kind: Type) -> Type:
            if kind.kind == types.PARAMETER:
                return variables.setdefault(kind.name, self._substitutions.variable())
            return (
                Type(kind.kind, kind.name, [fresh(each) for each in kind.parameters], kind.fields)
                if kind.free
                else kind
            )

        return [fresh(kind) for kind in kinds]

    # --- literals ----------------------------------------------------------------------------

    def _unwrapped(self, node: Node, given: Type, optional: bool) -> Type:
        if not optional:
            return given
        inner, is_optional = unwrapped(self._substitutions.resolve(given))
        if not is_optional and not is_dynamic(inner):
            self._mismatch(node, optional_of(inner), inner)
        return inner

    def _joined(self, previous: Type | None, current: Type) -> Type:
        if previous is None:
            return current
        if self._substitutions.assignable([(previous, current)]):
            return types.most_general(previous, current)
        return DYN

    def _list(self, node: ast.ListLiteral) -> Type:
        element: Type | None = None
        for index, item in enumerate(node.elements):
            element = self._joined(element, self._unwrapped(item, self._check(item), index in node.optional))
        return types.list_of(element if element is not None else self._substitutions.variable())

    def _map(self, node: ast.MapLiteral) -> Type:
        key: Type | None = None
        value: Type | None = None
        for entry in node.entries:
            assert isinstance(entry.key, Node)
            key = self._joined(key, self._check(entry.key))
            value = self._joined(value, self._unwrapped(entry.value, self._check(entry.value), entry.optional))
        if key is None or value is None:
            key, value = self._substitutions.variable(), self._substitutions.variable()
        return types.map_of(key, value)

    def _object(self, node: ast.ObjectLiteral) -> Type:
        named = self._names.get(node.name.removeprefix("."))
        if named is None:
            return self._undeclared(node, node.name)
        if named.kind != OBJECT or named.fields is None:
            return self._error(node, f"'{named}' is not a message type")
        for entry in node.entries:
            assert isinstance(entry.key, str)
            given = self._unwrapped(entry.value, self._check(entry.value), entry.optional)
            place = ast.Literal(entry.offset, None)
            expected = named.fields.get(entry.key)
            if expected is None:
                self._error(place, f"undefined field '{entry.key}'")
            elif not self._substitutions.assignable([(expected, given)]):
                text = f"expected type of field '{entry.key}' is '{expected}' but provided type is '{given}'"
                self._error(place, text)
        return named

    # --- comprehensions ----------------------------------------------------------------------

    def _comprehension(self, node: ast.Comprehension) -> Type:
        over = self._substitutions.resolve(self._check(node.range))
        accumulated = self._check(node.initial)
        self._scopes.append({node.accumulator: accumulated})
        self._scopes.append(self._iterated(node, over))
        self._assert(node.condition, BOOL)
        self._assert(node.step, accumulated)
        self._scopes.pop()
        result = self._check(node.result)
        self._scopes.pop()
        return self._substitutions.resolve(result)

    def _iterated(self, node: ast.Comprehension, over: Type) -> dict[str, Type]:
        """The variables of the loop."""
        match over.kind:
            case "list":
                first, second = (INT, over.parameters[0]) if node.second else (over.parameters[0], DYN)
            case "map":
                first, second = over.parameters
            case "dyn" | "!error!" | types.PARAMETER:
                self._substitutions.assignable([(DYN, over)])
                first = second = DYN
            case _:
                text = f"expression of type '{over}' cannot be range of a comprehension (must be list, map, or dynamic)"
                first = second = self._error(node.range, text)
        return {node.variable: first, node.second: second} if node.second else {node.variable: first}

    def _assert(self, node: Node, expected: Type) -> None:
        given = self._check(node)
        if not self._substitutions.assignable([(expected, given)]):
            self._mismatch(node, expected, given)


def _dotted(node: Node) -> str | None:
    """a.b.c, if it is nothing but that."""
    names: list[str] = []
    while isinstance(node, ast.Select) and not node.test:
        names.append(node.name)
        node = node.operand
    if not isinstance(node, ast.Ident):
        return None
    return ".".join((node.name, *reversed(names)))
