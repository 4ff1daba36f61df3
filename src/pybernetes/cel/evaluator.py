"""Makes a checked tree a chain of closures that count what they cost (upstream: cel-go interpreter, with runtimecost.go).

Costs are upstream's, unit by unit: a variable and each field or index of it 1, a call by its overload, a list 10, a map 30.
They are compared with the limit wherever something can repeat or grow; what is left is no longer than the expression.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from . import ast, types
from .access import Made, field, find, find_any, if_present, present
from .ast import Node, node_of
from .calling import direct, dispatched, summed
from .errors import CostExceeded, EvaluationError, NoSuchOverload
from .folding import constant, insert
from .functions import LIST_COST, MAP_COST, OBJECT_COST, TRAVERSAL
from .loops import elements, exists_one, into_map, mapped, pairs, quantifier
from .state import Run, State
from .types import unwrapped
from .values import MISSING, Object, Opaque, Optional, equal, key_of, size_of, text_of


def compiled(tree: Node, names: Sequence[str]) -> tuple[Run, int]:
    """What evaluates a tree, and how many variables its state must have: first `names`, then its own."""
    compiler = _Compiler(names)
    run = compiler.compile(tree)
    return run, compiler.size


class _Compiler:
    def __init__(self, names: Sequence[str]) -> None:
        self._scopes: list[dict[str, int]] = [{name: index for index, name in enumerate(names)}]
        self._shared: dict[int, Run] = {}
        self.size = len(names)

    def compile(self, node: Node) -> Run:
        run = self._shared.get(id(node))
        if run is None:
            run = self._shared[id(node)] = self._compile(node)
        return run

    def _compile(self, node: Node) -> Run:
        value = constant(node)
        if value is not MISSING:
            return lambda state: value
        match node:
            case ast.Ident():
                return self._ident(node.name)
            case ast.Select() if node.qualified is not None:
                return self._ident(node.qualified.name)
            case ast.Select():
                return self._select(node)
            case ast.Call():
                return self._call(node)
            case ast.ListLiteral():
                return self._list(node)
            case ast.MapLiteral():
                return self._map(node)
            case ast.ObjectLiteral():
                return self._object(node)
            case ast.Comprehension():
                return self._comprehension(node)
        raise TypeError(node)

    # --- variables and fields ----------------------------------------------------------------

    def _ident(self, name: str) -> Run:
        index = self._index_of(name)

        def run(state: State) -> Any:
            state.cost += 1
            value = state.variables[index]
            if value is MISSING:
                raise EvaluationError(f"no such attribute(s): {name.removeprefix('.')}")
            return value

        return run

    def _index_of(self, name: str) -> int:
        scopes = self._scopes if not name.startswith(".") else self._scopes[:1]
        return next(scope[name.removeprefix(".")] for scope in reversed(scopes) if name.removeprefix(".") in scope)

    def _select(self, node: ast.Select) -> Run:
        operand, name, cost = self.compile(node.operand), node.name, 1 + _relative(node.operand)
        is_optional = unwrapped(_type(node.operand))[1]
        if node.test:
            cost -= 1  # presence tests have none (PresenceTestHasCost(false))

            def test(state: State) -> bool:
                value = operand(state)
                state.cost += cost
                return field(value, name) is not MISSING

            return test

        def run(state: State) -> Any:
            value = operand(state)
            state.cost += cost
            if isinstance(value, Optional):
                selected = field(value.value, name) if value.present else MISSING
                return if_present(state, selected)
            selected = value.get(name, MISSING) if value.__class__ is dict else field(value, name)
            if selected is MISSING:
                raise EvaluationError(f"no such key: {name}")
            return selected

        def of_object(state: State) -> Any:
            value = operand(state)
            state.cost += cost
            selected = value.get(name) if isinstance(value, Object) else field(value, name)
            if selected is MISSING:
                raise EvaluationError(f"no such key: {name}")
            return selected

        return of_object if _type(node.operand).kind == types.OBJECT and not is_optional else run

    # --- calls -------------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> Run:
        match node.function:
            case ast.AND:
                return self._logical(node, decisive=False)
            case ast.OR:
                return self._logical(node, decisive=True)
            case ast.CONDITIONAL:
                return self._conditional(node)
            case ast.EQUAL | ast.NOT_EQUAL:
                return self._equality(node)
            case ast.IN:
                return self._in(node)
            case ast.INDEX:
                return self._index(node)
            case ast.OPTIONAL_INDEX | ast.OPTIONAL_SELECT:
                return self._optional_index(node)
            case "or" | "orValue" if node.target is not None:
                return self._or_value(node, node.target)
        operands = node.arguments if node.target is None else [node.target, *node.arguments]
        runs = [self.compile(operand) for operand in operands]
        if node.function == ast.ADD and any(overload.identity == "add_list" for overload in node.overloads):
            return summed(runs, node.overloads)
        certain = len(node.overloads) == 1 and not any(
            _uncertain(operand, parameter)
            for operand, parameter in zip(operands, node.overloads[0].parameters, strict=True)
        )
        return direct(node.overloads[0], runs) if certain else dispatched(node.function, node.overloads, runs)

    def _logical(self, node: ast.Call, decisive: bool) -> Run:
        """Either side decides, whatever goes wrong on the other one."""
        left, right = (self.compile(argument) for argument in node.arguments)

        def run(state: State) -> Any:
            failure: EvaluationError | None = None
            try:
                value = left(state)
                if value is decisive:
                    return decisive
                if value is not (not decisive):
                    failure = NoSuchOverload("no such overload")
            except EvaluationError as error:
                failure = error
            try:
                value = right(state)
            except EvaluationError as error:
                raise failure or error from None
            if value is decisive:
                return decisive
            if failure is not None:
                raise failure
            if value is not (not decisive):
                raise NoSuchOverload("no such overload")
            return not decisive

        return run

    def _conditional(self, node: ast.Call) -> Run:
        optional = _optional_mapping(node)
        if optional is not None:
            return self._optional_mapping(*optional)
        condition, accepted, refused = (self.compile(argument) for argument in node.arguments)
        # A variable as a branch is looked up by the condition itself, which costs nothing.
        if_accepted, if_refused = (int(_is_attribute(argument)) for argument in node.arguments[1:])

        def run(state: State) -> Any:
            value = condition(state)
            if value is True:
                state.cost -= if_accepted
                return accepted(state)
            if value is False:
                state.cost -= if_refused
                return refused(state)
            raise NoSuchOverload("no such overload")

        return run

    def _optional_mapping(self, target: Node, let: ast.Comprehension, wraps: bool) -> Run:
        """optMap and optFlatMap, whose target stands twice in the tree: it is evaluated once, and paid for twice."""
        optional = self.compile(target)
        index = self.size
        self.size += 1
        self._scopes.append({let.accumulator: index})
        body = self.compile(let.body)
        self._scopes.pop()

        def run(state: State) -> Any:
            before = state.cost
            value = optional(state)
            if not isinstance(value, Optional):
                raise NoSuchOverload("no such overload")
            if not value.present:
                state.cost += 2
                return value
            state.cost += state.cost - before + 2
            if state.cost > state.limit:
                raise CostExceeded
            state.variables[index] = value.value
            result = body(state)
            state.cost += wraps
            return Optional(result) if wraps else result

        return run

    def _equality(self, node: ast.Call) -> Run:
        left, right = (self.compile(argument) for argument in node.arguments)
        positive = node.function == ast.EQUAL
        own = 1 if positive else 0

        def run(state: State) -> bool:
            first, second = left(state), right(state)
            if own and isinstance(first, Opaque):
                state.cost += 1
            else:
                state.cost += math.ceil(min(size_of(first), size_of(second)) * TRAVERSAL)
            return equal(first, second, state.steps) is positive

        return run

    def _in(self, node: ast.Call) -> Run:
        item = self.compile(node.arguments[0])
        listed = constant(node.arguments[1])
        if (
            isinstance(listed, list)
            and len({type(each) for each in listed}) <= 1
            and all(isinstance(each, str | int) for each in listed)
        ):
            members = {key_of(each) for each in listed}
            strings = bool(listed) and type(listed[0]) is str

            def member(state: State) -> bool:
                value = item(state)
                if strings:
                    return value.__class__ is str and value in members
                return isinstance(value, bool | int | float) and key_of(value) in members

            return member if listed else lambda state: False
        container = self.compile(node.arguments[1])

        def run(state: State) -> bool:
            value, within = item(state), container(state)
            if isinstance(within, list):
                state.cost += len(within)
                if state.cost > state.limit:
                    raise CostExceeded
                return any(equal(value, each, state.steps) for each in within)
            state.cost += 1
            return find(within, value) is not MISSING

        return run

    def _index(self, node: ast.Call) -> Run:
        operand, index = (self.compile(argument) for argument in node.arguments)
        cost = 1 + _relative(node.arguments[0]) - _is_attribute(node.arguments[1])

        def run(state: State) -> Any:
            value, at = operand(state), index(state)
            state.cost += cost
            if isinstance(value, Optional):
                return if_present(state, find_any(value.value, at) if value.present else MISSING)
            item = find_any(value, at)
            if item is MISSING:
                raise EvaluationError(
                    f"index out of bounds: {text_of(at)}" if isinstance(value, list) else f"no such key: {text_of(at)}"
                )
            return item

        return run

    def _optional_index(self, node: ast.Call) -> Run:
        operand, index = (self.compile(argument) for argument in node.arguments)
        cost = 1 + _relative(node.arguments[0]) - _is_attribute(node.arguments[1])
        find = field if node.function == ast.OPTIONAL_SELECT else find_any

        def run(state: State) -> Optional:
            value, at = operand(state), index(state)
            state.cost += cost
            if isinstance(value, Optional):
                return if_present(state, find(value.value, at) if value.present else MISSING)
            return if_present(state, find(value, at))

        return run

    def _or_value(self, node: ast.Call, target: Node) -> Run:
        operand, other = self.compile(target), self.compile(node.arguments[0])
        unwraps = node.function == "orValue"

        def run(state: State) -> Any:
            value = operand(state)
            if not isinstance(value, Optional):
                raise NoSuchOverload("no such overload")
            if value.present:
                return value.value if unwraps else value
            return other(state)

        return run

    # --- literals ----------------------------------------------------------------------------

    def _list(self, node: ast.ListLiteral) -> Run:
        runs = [self.compile(element) for element in node.elements]
        if not node.optional:

            def run(state: State) -> list[Any]:
                values = [element(state) for element in runs]
                state.cost += LIST_COST
                return values

            return run
        optional = node.optional

        def with_optionals(state: State) -> list[Any]:
            values = []
            for index, element in enumerate(runs):
                value = element(state)
                if index not in optional:
                    values.append(value)
                elif present(value):
                    values.append(value.value)
            state.cost += LIST_COST
            return values

        return with_optionals

    def _map(self, node: ast.MapLiteral) -> Run:
        entries = [
            (self.compile(node_of(entry.key)), self.compile(entry.value), entry.optional) for entry in node.entries
        ]

        def run(state: State) -> dict[Any, Any]:
            built: dict[Any, Any] = {}
            for key_run, value_run, optional in entries:
                key, value = key_run(state), value_run(state)
                if optional:
                    if not present(value):
                        continue
                    value = value.value
                insert(built, key, value)
            state.cost += MAP_COST
            return built

        return run

    def _object(self, node: ast.ObjectLiteral) -> Run:
        entries = [(str(entry.key), self.compile(entry.value), entry.optional) for entry in node.entries]
        name = str(node.type)

        def run(state: State) -> Made:
            fields: dict[str, Any] = {}
            for key, value_run, optional in entries:
                value = value_run(state)
                if not optional:
                    fields[key] = value
                elif present(value):
                    fields[key] = value.value
            state.cost += OBJECT_COST
            return Made(name, fields)

        return run

    # --- comprehensions ----------------------------------------------------------------------

    def _comprehension(self, node: ast.Comprehension) -> Run:
        if node.kind == "let":
            return self._let(node)
        over = self.compile(node.range)
        first, second = self.size, self.size + 1
        self.size += 2
        self._scopes.append({node.variable: first, **({node.second: second} if node.second else {})})
        body = self.compile(node.body)
        where = self.compile(node.filter) if node.filter is not None else None
        self._scopes.pop()
        both = node.second is not None

        def items(state: State) -> Iterator[None]:
            """Sets the variables to one item after the other."""
            variables = state.variables
            value = over(state)
            if both:
                for variables[first], variables[second] in pairs(value):
                    yield
                    if state.cost > state.limit:
                        raise CostExceeded
            else:
                for variables[first] in elements(value):
                    yield
                    if state.cost > state.limit:
                        raise CostExceeded

        match node.kind:
            case "all":
                return quantifier(items, body, decisive=False, cost=3)
            case "exists":
                return quantifier(items, body, decisive=True, cost=4)
            case "existsOne":
                return exists_one(items, body)
            case "map":
                added_cost = 2 + (LIST_COST if constant(node.body) is MISSING else 0)
                return mapped(items, where, body, added_cost)
        key = first if node.kind == "mapValues" else -1
        return into_map(items, where, body, key)

    def _let(self, node: ast.Comprehension) -> Run:
        value = self.compile(node.initial)
        index = self.size
        self.size += 1
        self._scopes.append({node.accumulator: index})
        body = self.compile(node.body)
        self._scopes.pop()

        def run(state: State) -> Any:
            state.variables[index] = value(state)
            return body(state)

        return run


def _optional_mapping(node: ast.Call) -> tuple[Node, ast.Comprehension, bool] | None:
    """Target, binding, and whether the result is to be made optional, of what optMap and optFlatMap became."""
    test, mapped, _ = node.arguments
    if not isinstance(test, ast.Call) or test.function != "hasValue" or test.target is None:
        return None
    wraps = isinstance(mapped, ast.Call) and mapped.function == "optional.of"
    let = mapped.arguments[0] if isinstance(mapped, ast.Call) and wraps else mapped
    if not isinstance(let, ast.Comprehension) or let.kind != "let" or not isinstance(let.initial, ast.Call):
        return None
    return (test.target, let, wraps) if let.initial.target is test.target else None


def _type(node: Node) -> types.Type:
    assert node.type is not None
    return node.type


def _relative(node: Node) -> int:
    """What it costs to look into a value that is no variable: such an expression becomes one."""
    if isinstance(node, ast.Ident | ast.Select):
        return 0
    attributes = (ast.INDEX, ast.OPTIONAL_INDEX, ast.OPTIONAL_SELECT, ast.CONDITIONAL)
    return 0 if isinstance(node, ast.Call) and node.function in attributes else 1


def _is_attribute(node: Node) -> bool:
    """Whether it is a variable, or a field or index of anything."""
    if isinstance(node, ast.Select):
        return not node.test and constant(node) is MISSING
    if isinstance(node, ast.Ident):
        return constant(node) is MISSING
    return isinstance(node, ast.Call) and node.function in (ast.INDEX, ast.OPTIONAL_INDEX, ast.OPTIONAL_SELECT)


def _uncertain(operand: Node, expected: types.Type) -> bool:
    """Whether an argument of the type that the checker found may turn out to be none for a parameter."""
    given = _type(operand)
    if expected.kind in ("dyn", types.PARAMETER):
        return False
    return types.is_dynamic(given) or given.kind == "null"
