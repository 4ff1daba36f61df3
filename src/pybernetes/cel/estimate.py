"""What an expression may cost at most, by the sizes that a schema allows (upstream: cel-go checker/cost.go).

It decides which rules a definition may have, so each number is upstream's, oddities included. A place of a value is a path such as
("self", "list", "@items"); `sizes` tells how large values there may be. What the libraries' functions cost is in `callestimates`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import ast
from .ast import ACCUMULATOR, Node
from .callestimates import Subject, call_estimate
from .functions import LIST_COST, MAP_COST, OBJECT_COST, TRAVERSAL, Overload
from .ranges import MOST, UNKNOWN, Range, exactly
from .schematypes import Declaration
from .types import Type

Path = tuple[str, ...]
Sizes = Callable[[Path], Range | None]

ONE = exactly(1)
_ORDERS = ("less", "less_equals", "greater", "greater_equals")
_COMPARED = ("equals", "not_equals", *(f"{order}_{kind}" for order in _ORDERS for kind in ("string", "bytes")))


@dataclass(frozen=True, slots=True)
class _Entries:
    """How large the keys and values of a list or map are; `kind` says which it is."""

    kind: str
    key: Range
    value: Range

    def union(self, other: _Entries | None) -> _Entries | None:
        return None if other is None else _Entries(self.kind, self.key.union(other.key), self.value.union(other.value))


@dataclass(frozen=True, slots=True)
class _Local:
    path: Path
    size: Range | None
    entries: _Entries | None


def sizes_of(declared: Declaration) -> Sizes:
    """By the type of `self`."""

    def sizes(path: Path) -> Range | None:
        place: Declaration | None = declared
        for name in path[1:]:
            if place is None:
                return None
            if name == "@keys":
                place = _KEY if place.element is not None and place.type.kind == "map" else None
            elif name in ("@items", "@values"):
                place = place.element
            else:
                place = place.fields.get(name)
        return Range(0, place.largest) if place is not None and path else None

    return sizes


_KEY = Declaration(Type("string", "string"), 0, 2, {})


def estimate(tree: Node, sizes: Sizes) -> Range:
    """The cost of evaluating a checked tree."""
    return _Estimator(sizes).cost(tree)


class _Estimator:
    def __init__(self, sizes: Sizes) -> None:
        self._estimated = sizes
        self._costs: dict[int, Range] = {}
        self._paths: dict[int, Path] = {}
        self._sizes: dict[int, Range] = {}
        self._entries: dict[int, _Entries] = {}
        self._locals: dict[str, list[_Local]] = {}

    def cost(self, node: Node) -> Range:
        cost = self._costs.get(id(node))
        if cost is None:
            cost = self._costs[id(node)] = self._cost(node)
        return cost

    def _cost(self, node: Node) -> Range:
        match node:
            case ast.Ident():
                return self._ident(node, node.name)
            case ast.Select():
                return self._select(node)
            case ast.Call():
                return self._call(node)
            case ast.ListLiteral():
                return self._list(node)
            case ast.MapLiteral():
                return self._map(node)
            case ast.ObjectLiteral():
                return self._sum([entry.value for entry in node.entries]).plus(exactly(OBJECT_COST))
            case ast.Comprehension():
                return self._let(node) if node.kind == "let" else self._comprehension(node)
        return exactly(0)

    def _sum(self, nodes: list[Node]) -> Range:
        total = exactly(0)
        for node in nodes:
            total = total.plus(self.cost(node))
        return total

    def _ident(self, node: Node, name: str) -> Range:
        local = self._local(name)
        self._paths[id(node)] = local.path if local is not None else (name,)
        return ONE

    def _select(self, node: ast.Select) -> Range:
        if node.qualified is not None:
            return self._ident(node, node.qualified.name)
        cost = self.cost(node.operand)
        if node.test:
            return cost
        if _type(node.operand).kind in ("map", "object", "parameter"):
            cost = cost.plus(ONE)
        self._paths[id(node)] = (*self._path(node.operand), node.name)
        return cost

    # --- calls -------------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> Range:
        arguments = node.arguments
        if node.function == "dyn" and node.target is None:
            cost = self.cost(arguments[0])
            self._copy(node, arguments[0])
            return cost.plus(ONE)
        costs = [self.cost(argument) for argument in arguments]
        subjects = [self._subject(argument) for argument in arguments]
        overloads = node.overloads
        if node.function == ast.OPTIONAL_SELECT:
            overloads = (_OPTIONAL_SELECT,)
        if not overloads:
            return exactly(0)
        total, target = exactly(0), None
        if node.target is not None:
            total = self.cost(node.target)
            target = self._subject(node.target)
        calls, size = Range(MOST, 0), None
        for overload in overloads:
            cost, result_size = self._function(node, overload, target, subjects, costs)
            calls = calls.union(cost)
            if result_size is not None:
                size = result_size if size is None else size.union(result_size)
            if overload.identity in ("index_list", "index_map"):
                entries = self._entries_of(arguments[0])
                size = entries.value if entries is not None else None
                place = "@items" if overload.identity == "index_list" else "@values"
                self._paths[id(node)] = (*self._path(arguments[0]), place)
            if size is None:
                size = self._size(node)
        if size is not None:
            self._sizes[id(node)] = size
        return total.plus(calls)

    def _function(
        self, node: ast.Call, overload: Overload, target: Subject | None, arguments: list[Subject], costs: list[Range]
    ) -> tuple[Range, Range | None]:
        """What a call costs with its arguments, and how large its result is."""
        total = exactly(0)
        for cost in costs:
            total = total.plus(cost)
        estimated = call_estimate(overload, target, arguments)
        if estimated is not None:
            return estimated[0].plus(total), estimated[1]
        sizes = [argument.computed or UNKNOWN for argument in arguments]
        match overload.identity:
            case "string_format":
                own = (target.computed if target is not None else None) or UNKNOWN
                return own.scaled(TRAVERSAL).plus(total), None
            case "string_to_bytes":
                return sizes[0].scaled(TRAVERSAL).plus(total), Range(sizes[0].least, (sizes[0].most * 4) & MOST)
            case "bytes_to_string":
                return sizes[0].scaled(TRAVERSAL).plus(total), Range(sizes[0].least // 4, sizes[0].most)
            case "strings_quote":
                return sizes[0].scaled(TRAVERSAL).plus(total), Range(sizes[0].least + 2, (sizes[0].most * 2 + 2) & MOST)
            case "starts_with_string" | "ends_with_string":
                return sizes[0].scaled(TRAVERSAL).plus(total), None
            case "in_list":
                return sizes[1].plus(total), None
            case "matches_string" | "contains_string":
                own = (target.computed if target is not None else None) or UNKNOWN
                if overload.identity == "contains_string":
                    return own.scaled(TRAVERSAL).times(sizes[0].scaled(TRAVERSAL)).plus(total), None
                return own.plus(ONE).scaled(TRAVERSAL).times(sizes[0].scaled(0.25)).plus(total), None
            case "logical_and" | "logical_or":
                return Range(costs[0].least, costs[0].plus(costs[1]).most), None
            case "conditional":
                self._join(node, arguments[1].node, arguments[2].node)
                return costs[0].plus(costs[1].union(costs[2])), sizes[1].union(sizes[2])
            case "add_string" | "add_bytes" | "add_list":
                self._join(node, arguments[0].node, arguments[1].node)
                size = sizes[0].plus(sizes[1])
                cost = ONE if overload.identity == "add_list" else size.scaled(TRAVERSAL)
                return cost.plus(total), size
        if overload.identity in _COMPARED:
            most = min(sizes[0].most, sizes[1].most)
            return Range(1 if most else 0, most).scaled(TRAVERSAL).plus(total), None
        return ONE.plus(total), None

    def _join(self, node: Node, left: Node | None, right: Node | None) -> None:
        entries = self._entries_of(left) if left is not None else None
        other = self._entries_of(right) if right is not None else None
        joined = entries.union(other) if entries is not None else None
        if joined is not None:
            self._entries[id(node)] = joined

    # --- literals ----------------------------------------------------------------------------

    def _list(self, node: ast.ListLiteral) -> Range:
        total, size = self._sum(node.elements), Range(MOST, 0) if node.elements else Range(0, 0)
        for element in node.elements:
            size = size.union(self._size(element) or UNKNOWN)
        self._entries[id(node)] = _Entries("list", ONE, size)
        return total.plus(exactly(LIST_COST))

    def _map(self, node: ast.MapLiteral) -> Range:
        total = exactly(0)
        key = value = Range(MOST, 0) if node.entries else Range(0, 0)
        for entry in node.entries:
            assert isinstance(entry.key, Node)
            total = total.plus(self.cost(entry.key)).plus(self.cost(entry.value))
            key = key.union(self._size(entry.key) or UNKNOWN)
            value = value.union(self._size(entry.value) or UNKNOWN)
        self._entries[id(node)] = _Entries("map", key, value)
        return total.plus(exactly(MAP_COST))

    # --- comprehensions ----------------------------------------------------------------------

    def _comprehension(self, node: ast.Comprehension) -> Range:
        total = self.cost(node.range).plus(self.cost(node.initial))
        self._push(node.accumulator, self._local_of(node.initial))
        variables = self._iterated(node)
        for name, local in variables.items():
            self._push(name, local)
        loop = self.cost(node.condition).plus(self.cost(node.step))
        for name in variables:
            self._locals[name].pop()
        total = total.plus(self.cost(node.result))
        self._locals[node.accumulator].pop()
        count = self._size(node.range) or UNKNOWN
        total = total.plus(count.times(loop))
        if isinstance(node.initial, ast.Literal):
            size = self._size(node.initial)
            if size is not None:
                self._sizes[id(node)] = size
        else:
            self._sizes[id(node)] = count
            entries = self._entries_of(node.step)
            if entries is not None:
                self._entries[id(node)] = entries
        return total

    def _iterated(self, node: ast.Comprehension) -> dict[str, _Local]:
        entries, path = self._entries_of(node.range), self._path(node.range)
        kind = entries.kind if entries is not None else _type(node.range).kind
        key = entries.key if entries is not None else None
        value = entries.value if entries is not None else None
        keys = _Local((*path, "@indices" if kind == "list" else "@keys"), key, None)
        values = _Local((*path, "@items" if kind == "list" else "@values"), value, None)
        if node.second is not None:
            return {node.variable: keys, node.second: values}
        return {node.variable: values if kind == "list" else keys}

    def _let(self, node: ast.Comprehension) -> Range:
        total = self.cost(node.range).plus(self.cost(node.initial))
        self._push(node.accumulator, self._local_of(node.initial))
        total = total.plus(self.cost(node.result))
        self._locals[node.accumulator].pop()
        self._copy(node, node.result)
        return total

    # --- what is known of nodes --------------------------------------------------------------

    def _local(self, name: str) -> _Local | None:
        locals_ = self._locals.get(name)
        return locals_[-1] if locals_ else None

    def _push(self, name: str, local: _Local) -> None:
        self._locals.setdefault(name, []).append(local)

    def _local_of(self, node: Node) -> _Local:
        return _Local(self._path(node), self._size(node), self._entries_of(node))

    def _path(self, node: Node) -> Path:
        if isinstance(node, ast.Ident):
            local = self._local(node.name)
            if local is not None:
                return local.path
        return self._paths.get(id(node), ())

    def _subject(self, node: Node) -> Subject:
        path = self._path(node)
        if path and path[0] == ACCUMULATOR:
            path = ()
        return Subject(node, _type(node), path, self._size(node), self._estimated)

    def _size(self, node: Node) -> Range | None:
        size = self._sizes.get(id(node)) or _literal_size(node)
        if size is not None:
            return size
        path = self._path(node)
        estimated = self._estimated(path) if path else None
        if estimated is not None:
            self._sizes[id(node)] = estimated
            return estimated
        if _is_scalar(_type(node)):
            return ONE
        local = self._local(node.name) if isinstance(node, ast.Ident) else None
        return local.size if local is not None else None

    def _entries_of(self, node: Node) -> _Entries | None:
        entries = self._entries.get(id(node))
        if entries is None and isinstance(node, ast.Ident):
            local = self._local(node.name)
            return local.entries if local is not None else None
        return entries

    def _copy(self, node: Node, source: Node) -> None:
        size, entries = self._size(source), self._entries_of(source)
        if size is not None:
            self._sizes[id(node)] = size
        if entries is not None:
            self._entries[id(node)] = entries


_OPTIONAL_SELECT = Overload(ast.OPTIONAL_SELECT, "select_optional_field", (), Type("dyn", "dyn"), None)


def _type(node: Node) -> Type:
    assert node.type is not None
    return node.type


def _literal_size(node: Node) -> Range | None:
    match node:
        case ast.Literal():
            return exactly(len(node.value)) if isinstance(node.value, str | bytes) else ONE
        case ast.ListLiteral():
            return exactly(len(node.elements))
        case ast.MapLiteral():
            return exactly(len(node.entries))
    return None


def _is_scalar(given: Type) -> bool:
    if given.name == "optional_type":
        return _is_scalar(given.parameters[0])
    return given.kind in ("bool", "double", "duration", "int", "timestamp", "uint")
