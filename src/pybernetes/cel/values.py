"""Values of CEL in Python (upstream: cel-go common/types).

bool, int, float, str, bytes, None and list are themselves; a map is a dict whose boolean keys are `KEYS`, since True would be 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .doubletext import double_text
from .errors import CostExceeded

INT64, UINT64 = range(-(2**63), 2**63), range(2**64)
NANOSECONDS = 10**9
MIN_SECONDS, MAX_SECONDS = -62135596800, 253402300799  # of a timestamp: years 1 to 9999
MAX_STEPS = 1_000_000  # of one evaluation: half a second's work
MISSING: Any = object()


class Steps:
    """Counts what an evaluation looks at, whatever it is charged: a list that has a list twice is small, and twice as large with every level."""

    __slots__ = ("taken",)

    def __init__(self) -> None:
        self.taken = 0

    def take(self, count: int = 1) -> None:
        """Counts. CostExceeded when it is too much."""
        self.taken += count
        if self.taken > MAX_STEPS:
            raise CostExceeded


class Uint(int):
    """An unsigned integer: a type of its own, though equal to an int of its value."""

    __slots__ = ()


class Timestamp:
    """A point in time, in nanoseconds since 1970. `offset` is that of the zone it is written in, in seconds; nothing else sees it."""

    __slots__ = ("nanoseconds", "offset")

    def __init__(self, nanoseconds: int, offset: int = 0) -> None:
        self.nanoseconds, self.offset = nanoseconds, offset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timestamp) and self.nanoseconds == other.nanoseconds

    def __lt__(self, other: Timestamp) -> bool:
        return self.nanoseconds < other.nanoseconds

    def __hash__(self) -> int:
        return hash((Timestamp, self.nanoseconds))

    def __repr__(self) -> str:
        return f"Timestamp({self.nanoseconds})"


class Duration:
    """A length of time, in nanoseconds; 64 bits of them."""

    __slots__ = ("nanoseconds",)

    def __init__(self, nanoseconds: int) -> None:
        self.nanoseconds = nanoseconds

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self.nanoseconds == other.nanoseconds

    def __lt__(self, other: Duration) -> bool:
        return self.nanoseconds < other.nanoseconds

    def __hash__(self) -> int:
        return hash((Duration, self.nanoseconds))

    def __repr__(self) -> str:
        return f"Duration({self.nanoseconds})"


class Optional:
    """A value, or none: then `value` is MISSING."""

    __slots__ = ("value",)

    def __init__(self, value: Any = MISSING) -> None:
        self.value = value

    @property
    def present(self) -> bool:
        """Whether there is one."""
        return self.value is not MISSING

    def __repr__(self) -> str:
        return f"optional({self.value!r})" if self.present else "optional.none()"


NONE = Optional()


class TypeValue:
    """What type() answers."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypeValue) and self.name == other.name

    def __hash__(self) -> int:
        return hash((TypeValue, self.name))

    def __repr__(self) -> str:
        return self.name


class Opaque:
    """A value that only functions look into. `==` of Python is its equality; `size` counts for costs."""

    __slots__ = ()
    type_name = ""

    def size(self) -> int:
        """How much there is to look at."""
        return 1


class Object:
    """A value with fields, as rules see them. What is not set is absent."""

    __slots__ = ()
    type_name = "map"

    def get(self, name: str) -> Any:
        """A field's value, or MISSING. EvaluationError for data that is not of the field's type."""
        raise NotImplementedError

    def names(self) -> Iterator[str]:
        """Fields that are set."""
        raise NotImplementedError

    def size(self) -> int:
        """How many are set, those without a type too."""
        raise NotImplementedError

    def equals(self, other: Any, steps: Steps) -> bool:
        """Whether another value is the same."""
        raise NotImplementedError


class SetList(list[Any]):
    """A list whose order means nothing and whose elements are there once."""

    __slots__ = ()


class MapList(list[Any]):
    """A list of objects that are told apart by the values of `keys`, which are names as rules see them."""

    __slots__ = ("keys",)

    def __init__(self, items: list[Any], keys: tuple[str, ...]) -> None:
        super().__init__(items)
        self.keys = keys

    def identity(self, item: Any) -> Any:
        """What tells an element from others."""
        return tuple(key_of(field_of(item, key)) for key in self.keys)


def field_of(item: Any, name: str) -> Any:
    """A field of an object or a map; MISSING."""
    if isinstance(item, Object):
        return item.get(name)
    return item.get(name, MISSING) if isinstance(item, dict) else MISSING


class _BooleanKey:
    __slots__ = ("value",)

    def __init__(self, value: bool) -> None:
        self.value = value


KEYS: Mapping[bool, Any] = {False: _BooleanKey(False), True: _BooleanKey(True)}


def key_of(value: Any, steps: Steps | None = None) -> Any:
    """A value as a key of a dict. Numbers that are equal are one key."""
    if value is True or value is False:
        return KEYS[value]
    if isinstance(value, list | dict | Object):
        parts: list[Any] = []
        _canonical(value, steps or Steps(), parts)
        return tuple(parts)
    return value


def _canonical(value: Any, steps: Steps, parts: list[Any]) -> None:
    """Adds what is in a value, so that equal ones are alike."""
    steps.take()
    if isinstance(value, list):
        parts.append("[")
        for item in value:
            _canonical(item, steps, parts)
        parts.append("]")
    elif isinstance(value, dict | Object):
        names = value if isinstance(value, dict) else value.names()
        parts.append("{")
        for name in sorted(names, key=str):
            parts.append(name)
            _canonical(field_of(value, name), steps, parts)
        parts.append("}")
    else:
        parts.append(key_of(value))


def from_key(key: Any) -> Any:
    """The value that a key of a dict stands for."""
    return key.value if key.__class__ is _BooleanKey else key


_NAMES: Mapping[type, str] = {
    bool: "bool", int: "int", Uint: "uint", float: "double", str: "string", bytes: "bytes", type(None): "null_type",
    list: "list", SetList: "list", MapList: "list", dict: "map", Optional: "optional_type", TypeValue: "type",
    Timestamp: "google.protobuf.Timestamp", Duration: "google.protobuf.Duration",
}  # fmt: skip


def type_name(value: Any) -> str:
    """As type() and messages name it."""
    name = _NAMES.get(value.__class__)
    return name if name is not None else str(value.type_name)


def size_of(value: Any) -> int:
    """How large a value is for costs: characters, bytes, elements; 1 for anything else."""
    kind = value.__class__
    if kind is str or kind is bytes or kind is list or kind is dict or isinstance(value, list):
        return len(value)
    if isinstance(value, Opaque | Object):
        return value.size()
    if kind is Optional and value.present:
        return size_of(value.value)
    return 1


_NUMBERS = (int, Uint, float)


def equal(left: Any, right: Any, steps: Steps | None = None) -> bool:
    """CEL's equality: numbers by value whatever their type, everything else only within a type."""
    kind, other = left.__class__, right.__class__
    if kind is other and (kind is str or kind is int or kind is bool or kind is bytes or kind is float):
        return bool(left == right)
    if kind in _NUMBERS:
        if other not in _NUMBERS:
            return False
        return float(left) == float(right) if kind is float or other is float else left == right
    if left is None or right is None:
        return left is right
    steps = steps or Steps()
    steps.take()
    if isinstance(left, list):
        return isinstance(right, list) and _equal_lists(left, right, steps)
    if isinstance(left, Object):
        return left.equals(right, steps)
    if isinstance(right, Object):
        return right.equals(left, steps)
    if kind is dict:
        return (
            other is dict
            and len(left) == len(right)
            and all(key in right and equal(value, right[key], steps) for key, value in left.items())
        )
    if kind is Optional:
        if other is not Optional or not left.present or not right.present:
            return other is Optional and left.present == right.present
        return equal(left.value, right.value, steps)
    return kind is other and bool(left == right)


def _equal_lists(left: list[Any], right: list[Any], steps: Steps) -> bool:
    if len(left) != len(right):
        return False
    steps.take(len(left))
    if isinstance(left, SetList):
        keys = {key_of(item) for item in left}
        return len(keys) == len({key_of(item) for item in right}) and all(key_of(item) in keys for item in right)
    if isinstance(left, MapList):
        items = {left.identity(item): item for item in left}
        seen = set()
        for item in right:
            identity = left.identity(item)
            if identity not in items or not equal(items[identity], item, steps):
                return False
            seen.add(identity)
        return len(seen) == len(items)
    return all(equal(one, two, steps) for one, two in zip(left, right, strict=True))


def added(left: list[Any], right: list[Any]) -> list[Any]:
    """The sum of two lists: of sets a union, of lists with keys a merge in which the right one wins."""
    if isinstance(left, SetList):
        seen = {key_of(item) for item in left}
        return SetList([*left, *_unseen(right, seen)])
    if isinstance(left, MapList):
        merged = {left.identity(item): item for item in left}
        merged.update((left.identity(item), item) for item in right)
        return MapList(list(merged.values()), left.keys)
    return [*left, *right]


def _unseen(items: list[Any], seen: set[Any]) -> Iterator[Any]:
    for item in items:
        key = key_of(item)
        if key not in seen:
            seen.add(key)
            yield item


def text_of(value: Any) -> str:
    """As Go prints it in messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return double_text(value)
    return str(value)
