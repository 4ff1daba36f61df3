"""Macros: calls that the parser makes something else of (upstream: cel-go parser/macro.go, ext/comprehensions.go, cel/library.go)."""

from __future__ import annotations

from collections.abc import Callable

from . import ast
from .ast import ACCUMULATOR, Call, Comprehension, Ident, ListLiteral, Literal, MapLiteral, Node

UNUSED = "#unused"
INSERT = "cel.@mapInsert"
SORT_BY, SORT_INPUT = "@sortByAssociatedKeys", "@__sortBy_input__"
_FORMER_ACCUMULATOR = "__result__"
Expander = Callable[[int, Node, list[Node]], Node]


class MacroError(ValueError):
    """A macro whose arguments are not what it needs."""

    def __init__(self, offset: int, message: str) -> None:
        self.offset = offset
        super().__init__(message)


def expand(offset: int, function: str, target: Node | None, arguments: list[Node]) -> Node | None:
    """What a call stands for; None if it is no macro. `offset` is the place of all that the macro adds. MacroError."""
    expander = _MACROS.get((function, len(arguments), target is not None))
    if expander is None:
        return None
    return expander(offset, target if target is not None else Literal(offset, None), arguments)


def _variable(argument: Node, message: str = "argument is not an identifier") -> str:
    if not isinstance(argument, Ident) or argument.name.startswith("."):
        raise MacroError(argument.offset, message)
    if argument.name in (ACCUMULATOR, _FORMER_ACCUMULATOR):
        raise MacroError(argument.offset, "iteration variable overwrites accumulator variable")
    return argument.name


def _fold(  # a comprehension has as many parts
    offset: int, kind: str, over: Node, variables: tuple[str, str | None], initial: Node, step: Node, body: Node, *,
    where: Node | None = None, condition: Node | None = None, result: Node | None = None,
) -> Node:  # fmt: skip
    return Comprehension(
        offset, kind, over, *variables, ACCUMULATOR, initial, condition or Literal(offset, True), step,
        result or _accumulated(offset), where, body,
    )  # fmt: skip


def _call(offset: int, function: str, *arguments: Node) -> Node:
    return Call(offset, function, None, list(arguments))


def _accumulated(offset: int) -> Node:
    return Ident(offset, ACCUMULATOR)


# --- has, quantifiers --------------------------------------------------------------------------


def _has(offset: int, _: Node, arguments: list[Node]) -> Node:
    selected = arguments[0]
    if not isinstance(selected, ast.Select) or selected.test:
        raise MacroError(selected.offset, "invalid argument to has() macro")
    return ast.Select(offset, selected.operand, selected.name, test=True)


def _all(offset: int, target: Node, variables: tuple[str, str | None], predicate: Node) -> Node:
    condition = _call(offset, ast.NOT_STRICTLY_FALSE, _accumulated(offset))
    step = _call(offset, ast.AND, _accumulated(offset), predicate)
    return _fold(offset, "all", target, variables, Literal(offset, True), step, predicate, condition=condition)


def _exists(offset: int, target: Node, variables: tuple[str, str | None], predicate: Node) -> Node:
    negated = _call(offset, ast.NOT, _accumulated(offset))
    condition = _call(offset, ast.NOT_STRICTLY_FALSE, negated)
    step = _call(offset, ast.OR, _accumulated(offset), predicate)
    return _fold(offset, "exists", target, variables, Literal(offset, False), step, predicate, condition=condition)


def _exists_one(offset: int, target: Node, variables: tuple[str, str | None], predicate: Node) -> Node:
    one_more = _call(offset, ast.ADD, _accumulated(offset), Literal(offset, 1))
    step = _call(offset, ast.CONDITIONAL, predicate, one_more, _accumulated(offset))
    result = _call(offset, ast.EQUAL, _accumulated(offset), Literal(offset, 1))
    return _fold(offset, "existsOne", target, variables, Literal(offset, 0), step, predicate, result=result)


Quantifier = Callable[[int, Node, tuple[str, str | None], Node], Node]


def _quantifier(make: Quantifier) -> dict[int, Expander]:
    """Of one variable, or of two."""

    def one(offset: int, target: Node, arguments: list[Node]) -> Node:
        return make(offset, target, (_variable(arguments[0], "argument must be a simple name"), None), arguments[1])

    def two(offset: int, target: Node, arguments: list[Node]) -> Node:
        return make(offset, target, _variables(arguments), arguments[2])

    return {2: one, 3: two}


def _variables(arguments: list[Node]) -> tuple[str, str]:
    first, second = (_variable(argument, "argument must be a simple name") for argument in arguments[:2])
    if first == second:
        raise MacroError(arguments[1].offset, f"duplicate variable name: {first}")
    return first, second


# --- transformations ---------------------------------------------------------------------------


def _list(offset: int, target: Node, variables: tuple[str, str | None], where: Node | None, element: Node) -> Node:
    step = _call(offset, ast.ADD, _accumulated(offset), ListLiteral(offset, [element]))
    if where is not None:
        step = _call(offset, ast.CONDITIONAL, where, step, _accumulated(offset))
    return _fold(offset, "map", target, variables, ListLiteral(offset, []), step, element, where=where)


def _map(offset: int, target: Node, arguments: list[Node]) -> Node:
    where = arguments[1] if len(arguments) == 3 else None
    return _list(offset, target, (_variable(arguments[0]), None), where, arguments[-1])


def _filter(offset: int, target: Node, arguments: list[Node]) -> Node:
    variable = _variable(arguments[0])
    return _list(offset, target, (variable, None), arguments[1], Ident(arguments[0].offset, variable))


def _transform_list(offset: int, target: Node, arguments: list[Node]) -> Node:
    return _list(offset, target, _variables(arguments), arguments[2] if len(arguments) == 4 else None, arguments[-1])


def _transform_into_map(entries: bool) -> Expander:
    """Of values, which get the keys of before, or of whole entries."""

    def expander(offset: int, target: Node, arguments: list[Node]) -> Node:
        variables, body = _variables(arguments), arguments[-1]
        inserted = [body] if entries else [Ident(offset, variables[0]), body]
        step, where = _call(offset, INSERT, _accumulated(offset), *inserted), None
        if len(arguments) == 4:
            where = arguments[2]
            step = _call(offset, ast.CONDITIONAL, where, step, _accumulated(offset))
        kind = "mapEntries" if entries else "mapValues"
        return _fold(offset, kind, target, variables, MapLiteral(offset, []), step, body, where=where)

    return expander


_transform_map, _transform_map_entry = _transform_into_map(False), _transform_into_map(True)


# --- bindings ----------------------------------------------------------------------------------


def _let(offset: int, variable: str, value: Node, within: Node) -> Node:
    """A fold over nothing, whose accumulator is the variable."""
    return Comprehension(
        offset, "let", ListLiteral(offset, []), UNUSED, None, variable, value,
        Literal(offset, False), Ident(offset, variable), within, None, within,
    )  # fmt: skip


def _optional_map(name: str, wraps: bool) -> Expander:
    def expander(offset: int, target: Node, arguments: list[Node]) -> Node:
        if not isinstance(arguments[0], Ident):
            raise MacroError(arguments[0].offset, f"{name}() variable name must be a simple identifier")
        value = Call(offset, "value", target, [])
        mapped = _let(offset, arguments[0].name, value, arguments[1])
        return _call(
            offset,
            ast.CONDITIONAL,
            Call(offset, "hasValue", target, []),  # the very same node: a copy of a copy would double with every link
            _call(offset, "optional.of", mapped) if wraps else mapped,
            _call(offset, "optional.none"),
        )

    return expander


def _sort_by(offset: int, target: Node, arguments: list[Node]) -> Node:
    if isinstance(target, Literal | MapLiteral | ast.ObjectLiteral):
        text = "sortBy can only be applied to a list, identifier, comprehension, call or select expression"
        raise MacroError(target.offset, text)
    keys = _map(offset, Ident(offset, SORT_INPUT), arguments)
    return _let(offset, SORT_INPUT, target, Call(offset, SORT_BY, Ident(offset, SORT_INPUT), [keys]))


_MACROS: dict[tuple[str, int, bool], Expander] = {
    ("has", 1, False): _has,
    ("map", 2, True): _map,
    ("map", 3, True): _map,
    ("filter", 2, True): _filter,
    ("optMap", 2, True): _optional_map("optMap", wraps=True),
    ("optFlatMap", 2, True): _optional_map("optFlatMap", wraps=False),
    ("sortBy", 2, True): _sort_by,
    **{(name, count, True): expander
       for name, make in (("all", _all), ("exists", _exists), ("exists_one", _exists_one), ("existsOne", _exists_one))
       for count, expander in _quantifier(make).items()},
    **{(name, count, True): expander
       for name, expander in (("transformList", _transform_list), ("transformMap", _transform_map), ("transformMapEntry", _transform_map_entry))
       for count in (3, 4)},
}  # fmt: skip
