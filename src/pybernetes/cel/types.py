"""Types of CEL expressions and the rules of which fits which (upstream: cel-go common/types, checker/types.go)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .errors import CompileError

OBJECT, PARAMETER, OPAQUE, TYPE = "object", "parameter", "opaque", "type"
MAX_TEXT = 100_000  # characters of a type's text: a few bindings of {a: a} in each other would double it without end


class Type:
    """`kind` says which rules apply, `name` which type of the kind it is; `fields` are an object type's, by name.

    Two types are equal if their texts are: an object type's name is unique within an environment.
    """

    __slots__ = ("fields", "kind", "name", "parameters", "text")

    def __init__(
        self, kind: str, name: str, parameters: Sequence[Type] = (), fields: Mapping[str, Type] | None = None
    ) -> None:
        self.kind, self.name, self.parameters, self.fields = kind, name, tuple(parameters), fields
        self.text: str = f"{name}({', '.join(p.text for p in self.parameters)})" if self.parameters else name
        if len(self.text) > MAX_TEXT:
            raise CompileError(f"the type of an expression is too large: {self.text[:80]}...")

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Type) and self.kind == other.kind and self.text == other.text)

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return self.text

    @property
    def free(self) -> bool:
        """Whether a type parameter is in it."""
        return self.kind == PARAMETER or any(parameter.free for parameter in self.parameters)


def _simple(name: str) -> Type:
    return Type(name, name)


BOOL, INT, UINT, DOUBLE, STRING, BYTES = map(_simple, ("bool", "int", "uint", "double", "string", "bytes"))
NULL, DYN, ERROR = _simple("null"), _simple("dyn"), _simple("!error!")
TIMESTAMP, DURATION = _simple("timestamp"), _simple("duration")


def list_of(element: Type) -> Type:
    """list(element)"""
    return Type("list", "list", (element,))


def map_of(key: Type, value: Type) -> Type:
    """map(key, value)"""
    return Type("map", "map", (key, value))


def type_of(inner: Type) -> Type:
    """The type of a type, as `int` has it."""
    return Type(TYPE, TYPE, (inner,))


def parameter(name: str) -> Type:
    """A type variable."""
    return Type(PARAMETER, name)


def opaque(name: str, *parameters: Type) -> Type:
    """A type of values that only functions look into."""
    return Type(OPAQUE, name, parameters)


def optional_of(inner: Type) -> Type:
    """optional_type(inner)"""
    return opaque("optional_type", inner)


def object_type(name: str, fields: Mapping[str, Type]) -> Type:
    """An object with exactly these fields."""
    return Type(OBJECT, name, (), fields)


def is_dynamic(given: Type) -> bool:
    """Whether anything may be made of it: what is faulty already is not told of twice."""
    return given.kind in ("dyn", "!error!")


def unwrapped(given: Type) -> tuple[Type, bool]:
    """What an optional type has, and whether it is one."""
    if given.kind == OPAQUE and given.name == "optional_type":
        return given.parameters[0], True
    return given, False


class Substitutions:
    """What type parameters stand for so far. A try that fails leaves no trace: what it bound is in the journal."""

    __slots__ = ("_bound", "_fresh", "_journal")

    def __init__(self) -> None:
        self._bound: dict[str, Type] = {}
        self._journal: list[tuple[str, Type | None]] = []
        self._fresh: Iterator[int] = iter(range(1 << 62))

    def variable(self) -> Type:
        """A parameter that nothing else has."""
        return parameter(f"_var{next(self._fresh)}")

    def assignable(self, pairs: Sequence[tuple[Type, Type]]) -> bool:
        """Whether each left type takes its right one; the parameters are bound only if all do."""
        before = len(self._journal)
        if all(self._takes(left, right) for left, right in pairs):
            return True
        while len(self._journal) > before:
            name, former = self._journal.pop()
            if former is None:
                del self._bound[name]
            else:
                self._bound[name] = former
        return False

    def _bind(self, name: str, given: Type) -> None:
        self._journal.append((name, self._bound.get(name)))
        self._bound[name] = given

    def resolve(self, given: Type, dynamic: bool = False) -> Type:
        """The type with its parameters replaced; those that stand for nothing are dyn if `dynamic`."""
        if given.kind == PARAMETER:
            bound = self._bound.get(given.name)
            if bound is not None:
                return self.resolve(bound, dynamic)
            return DYN if dynamic else given
        if not given.parameters or not given.free:
            return given
        return Type(given.kind, given.name, [self.resolve(p, dynamic) for p in given.parameters], given.fields)

    def _takes(self, left: Type, right: Type) -> bool:
        if right.kind == PARAMETER:
            valid, bound = self._substitutes(left, right)
            if valid or bound:
                return valid
        if left.kind == PARAMETER:
            return self._substitutes(right, left)[0]
        if is_dynamic(left) or is_dynamic(right):
            return True
        if left.kind == "null" or right.kind == "null":
            return _nullable(right if left.kind == "null" else left)
        if left.kind == TYPE:
            return right.kind == TYPE
        if left.kind in (OPAQUE, "list", "map"):
            return (
                left.kind == right.kind
                and left.name == right.name
                and len(left.parameters) == len(right.parameters)
                and all(map(self._takes, left.parameters, right.parameters))
            )
        return left == right

    def _substitutes(self, given: Type, variable: Type) -> tuple[bool, bool]:
        """Whether `variable` may stand for `given`, and whether it stood for something before."""
        if given == variable:
            return True, True
        bound = self._bound.get(variable.name)
        if bound is None:
            if self._absent(variable, given):
                self._bind(variable.name, given)
                return True, False
            return False, False
        if given == bound:
            return True, True
        if not self._takes(given, bound):
            return False, True
        general = most_general(given, bound)
        if self._absent(variable, general):
            self._bind(variable.name, general)
        return True, True

    def _absent(self, variable: Type, within: Type) -> bool:
        """Whether a type would not have itself as a part."""
        if variable == within:
            return False
        if within.kind == PARAMETER:
            bound = self._bound.get(within.name)
            return bound is None or self._absent(variable, bound)
        return all(self._absent(variable, p) for p in within.parameters)


def _nullable(given: Type) -> bool:
    return given.kind in ("null", OPAQUE, OBJECT, "duration", "timestamp")


def most_general(left: Type, right: Type) -> Type:
    """Of two types that fit, the one that takes more."""
    return left if _less_specific(left, right) else right


def _less_specific(left: Type, right: Type) -> bool:
    if left.kind in ("dyn", PARAMETER):
        return True
    if right.kind in ("dyn", PARAMETER) or left.kind != right.kind:
        return False
    if left.kind in (OPAQUE, "list", "map"):
        return (
            left.name == right.name
            and len(left.parameters) == len(right.parameters)
            and all(map(_less_specific, left.parameters, right.parameters))
        )
    return left.kind == TYPE or left == right


_GO_NAMES = {"null": "null_type", "timestamp": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration"}


def go_text(given: Type) -> str:
    """A type as messages of Kubernetes have it; those of the language itself have `text`."""
    name = _GO_NAMES.get(given.kind, given.name)
    return f"{name}({', '.join(map(go_text, given.parameters))})" if given.parameters else name
