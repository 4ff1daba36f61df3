"""Structural schemas as types of CEL, and JSON values as CEL values (upstream: apiserver/pkg/cel/common: schemas.go, valuesunstructured.go).

What is in no schema is in no type: no expression can speak of it, but equality sees it. Strings of the formats byte, date, date-time and
duration are bytes, times and durations; numbers are doubles; an x-kubernetes-int-or-string is dyn. A property that is null is absent.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from . import types
from .convert import parse_timestamp
from .errors import EvaluationError
from .escaping import escaped
from .formats import parse_date, parse_date_time, parse_openapi_duration
from .parser import RESERVED
from .types import Type
from .values import MISSING, MapList, Object, SetList, Steps, Timestamp, equal, type_name

Schema = Mapping[str, Any]
Reader = Callable[[Any], Any]

REQUEST_BYTES = 3 * 1024 * 1024  # of the largest request: nothing in an object is larger
_META = {"type": "object", "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}}


@dataclass(frozen=True, slots=True)
class Declaration:
    """A type with what is known of its values' sizes, for estimates (upstream: apiserver/pkg/cel/types.go, DeclType).

    `largest` is how many characters, elements or entries a value may have (0 of what has none), `smallest` how many bytes of JSON it has at
    least. `fields` are by escaped name; `element` is a list's or a map's.
    """

    type: Type
    largest: int
    smallest: int
    fields: Mapping[str, Declaration]
    element: Declaration | None = None


def with_object_meta(schema: Schema) -> Schema:
    """The schema with what is at the root of each resource: apiVersion, kind, metadata.name and metadata.generateName."""
    properties = schema.get("properties") or {}
    meta = (properties.get("metadata") or {}).get("properties") or {}
    if {"apiVersion", "kind"} <= set(properties) and {"name", "generateName"} <= set(meta):
        return schema
    text = {"type": "string"}
    return {
        **schema,
        "type": "object",
        "properties": {**properties, "apiVersion": text, "kind": text, "metadata": _META},
    }


def embedded(schema: Schema) -> bool:
    """Whether its values are resources within a resource."""
    return bool(schema.get("x-kubernetes-embedded-resource"))


# --- types -------------------------------------------------------------------------------------


def declaration(schema: Schema, root: bool = False, name: str = "selfType") -> Declaration | None:
    """The type of a schema's values, None if expressions may not speak of them. `root`: of the root of a resource."""
    if schema.get("x-kubernetes-int-or-string"):
        return _leaf(types.DYN, _length(schema, 4, REQUEST_BYTES - 2), 1)
    if root:
        schema = with_object_meta(schema)
    match schema.get("type"):
        case "array":
            return _list(schema, name)
        case "object":
            return _object(schema, name)
        case "string":
            return _string(schema)
        case "boolean":
            return _leaf(types.BOOL, 0, 4)
        case "number":
            return _leaf(types.DOUBLE, 0, 1)
        case "integer":
            return _leaf(types.INT, 0, 1)
    return None


def _leaf(kind: Type, largest: int, smallest: int) -> Declaration:
    return Declaration(kind, largest, smallest, {})


def _length(schema: Schema, factor: int, otherwise: int) -> int:
    """maxLength counts characters, of which each may have four bytes."""
    limit = schema.get("maxLength")
    return otherwise if limit is None else max(int(limit), 0) * factor


def _list(schema: Schema, name: str) -> Declaration | None:
    items = schema.get("items")
    element = declaration(items, embedded(items), f"{name}.@idx") if isinstance(items, Mapping) else None
    if element is None:
        return None
    limit = schema.get("maxItems")
    largest = (REQUEST_BYTES - 2) // (element.smallest + 1) if limit is None else max(int(limit), 0)
    return Declaration(types.list_of(element.type), largest, 2, {}, element)


def _object(schema: Schema, name: str) -> Declaration | None:
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        element = declaration(extra, embedded(extra), f"{name}.@elem")
        if element is None:
            return None
        limit = schema.get("maxProperties")
        largest = (REQUEST_BYTES - 2) // (element.smallest + 6) if limit is None else max(int(limit), 0)
        return Declaration(types.map_of(types.STRING, element.type), largest, 2, {}, element)
    fields: dict[str, Declaration] = {}
    smallest = 2
    required = set(schema.get("required") or ())
    for key, below in (schema.get("properties") or {}).items():
        identifier = escaped(key)
        field = declaration(below, embedded(below), f"{name}.{identifier or key}")
        if field is None:
            continue
        if identifier is not None:
            fields[identifier] = field
        if key in required and below.get("default") is None:
            smallest += len(key) + field.smallest + 4
    kind = types.object_type(name, _with_keywords({key: field.type for key, field in fields.items()}))
    return Declaration(kind, 0, smallest, fields)


Field = TypeVar("Field")


def _with_keywords(fields: dict[str, Field]) -> dict[str, Field]:
    """With those fields by their own names, too, whose names are the language's keywords: behind a dot they are no keywords."""
    return {**{key[2:-2]: field for key, field in fields.items() if key[2:-2] in RESERVED}, **fields}


def _string(schema: Schema) -> Declaration:
    match schema.get("format"):
        case "byte":
            return _leaf(types.BYTES, _length(schema, 1, REQUEST_BYTES - 2), 2)
        case "duration":
            return _leaf(types.DURATION, 32, 3)
        case "date":
            return _leaf(types.TIMESTAMP, 12, 12)
        case "date-time":
            return _leaf(types.TIMESTAMP, 32, 21)
    if schema.get("maxLength") is not None or not schema.get("enum"):
        return _leaf(types.STRING, _length(schema, 4, REQUEST_BYTES - 2), 2)
    longest = max((len(value.encode()) for value in schema["enum"] if isinstance(value, str)), default=0)
    return _leaf(types.STRING, longest, 2)


ITEMS, EXTRA, PROPERTIES = "items", "additionalProperties", "properties"


def below(schema: Schema, declared: Declaration | None) -> Iterator[tuple[str, str, Schema, Declaration | None]]:
    """The places right below: which of the words above leads there, a property's name, its schema and its type.

    A property that expressions may not speak of has no type, and neither has anything below it.
    """
    for word in (ITEMS, EXTRA):
        place = schema.get(word)
        if isinstance(place, Mapping):
            yield word, "", place, declared.element if declared is not None else declaration(place, embedded(place))
            return
    for name, place in (schema.get(PROPERTIES) or {}).items():
        identifier = escaped(name)
        if identifier is None:
            yield PROPERTIES, name, place, declaration(place, embedded(place))
        elif declared is not None:
            yield PROPERTIES, name, place, declared.fields.get(identifier)


# --- values ------------------------------------------------------------------------------------


def _same(value: Any) -> Any:
    return value


def reader(schema: Schema, root: bool = False) -> Reader:
    """Makes JSON values of a schema CEL values. What needs no change is handed through, and nothing is ever changed in place.

    The readers raise EvaluationError for data that is not of the schema, where they come to see it.
    """
    read = _reader(with_object_meta(schema) if root else schema)
    if read is _same:
        return _same
    if schema.get("nullable"):
        return lambda value: None if value is None else read(value)
    return read


def _reader(schema: Schema) -> Reader:
    if schema.get("x-kubernetes-int-or-string"):
        return _same
    match schema.get("type"):
        case "object":
            return _object_reader(schema)
        case "array":
            return _list_reader(schema)
        case "string":
            return _STRINGS.get(schema.get("format") or "", _same)
        case "number":
            return _number
        case "integer" | "boolean":
            return _same
    return _Unknown


def _object_reader(schema: Schema) -> Reader:
    is_embedded, properties = embedded(schema), schema.get("properties")
    if is_embedded:
        properties = with_object_meta(schema)["properties"]
    extra = schema.get("additionalProperties")
    if not is_embedded and properties is None and isinstance(extra, Mapping):
        read = reader(extra, embedded(extra))
        if read is _same:
            return _same
        return lambda value: {key: read(item) for key, item in _checked(value, dict).items()}
    fields = {}
    for key, below in (properties or {}).items():
        identifier = escaped(key)
        fields[identifier if identifier is not None else f"\0{key}"] = (key, reader(below, embedded(below)))
    shape = _Shape(fields)
    return lambda value: _Typed(shape, _checked(value, dict))


def _list_reader(schema: Schema) -> Reader:
    items = schema.get("items")
    if not isinstance(items, Mapping):
        return _Unknown
    read = reader(items, embedded(items))
    match schema.get("x-kubernetes-list-type"):
        case "set":
            return lambda value: SetList([read(item) for item in _checked(value, list)])
        case "map":
            keys = tuple(escaped(key) or f"\0{key}" for key in schema.get("x-kubernetes-list-map-keys") or ())
            return lambda value: MapList([read(item) for item in _checked(value, list)], keys)
    if read is _same:
        return _same
    return lambda value: [read(item) for item in _checked(value, list)]


_WORDS: Mapping[type, str] = {
    dict: "a map for the provided schema with type=object",
    list: "an array for the provided schema with type=array",
}


def _checked(value: Any, kind: type) -> Any:
    if isinstance(value, kind):
        return value
    if value is None:
        raise EvaluationError("invalid data, got null for schema with nullable=false")
    raise EvaluationError(f"invalid data, expected {_WORDS[kind]}")


def _number(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _text_reader(parse: Callable[[str], Any], what: str) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise EvaluationError(
                f"invalid data, expected string, got {type_name(value) if value is not None else 'null'}"
            )
        try:
            return parse(value)
        except (ValueError, binascii.Error, EvaluationError) as error:
            raise EvaluationError(f"Invalid {what} {value}: {error}") from None

    return read


def _date(text: str) -> Timestamp:
    return parse_timestamp(f"{parse_date(text).isoformat()}T00:00:00Z")


_STRINGS: Mapping[str, Reader] = {
    "byte": _text_reader(lambda text: base64.b64decode(text, validate=True), "byte formatted string"),
    "date": _text_reader(_date, "date formatted string"),
    "date-time": _text_reader(parse_date_time, "date-time formatted string"),
    "duration": _text_reader(parse_openapi_duration, "duration"),
}


class _Unknown(Object):
    """Data without a type: it can be compared, nothing else."""

    __slots__ = ("_value",)
    type_name = "unknown"

    def __init__(self, value: Any) -> None:
        self._value = value

    def get(self, name: str) -> Any:
        return MISSING

    def names(self) -> Iterator[str]:
        return iter(())

    def size(self) -> int:
        return 1

    def equals(self, other: Any, steps: Steps) -> bool:
        return isinstance(other, _Unknown) and _same_json(self._value, other._value)


class _Shape:
    """The fields of objects of one schema: by identifier, the property's name and the reader of its value."""

    __slots__ = ("fields", "identifiers")

    def __init__(self, fields: Mapping[str, tuple[str, Reader]]) -> None:
        self.fields = _with_keywords(dict(fields))
        self.identifiers = {name: identifier for identifier, (name, _) in fields.items()}


class _Typed(Object):
    """A JSON object whose properties are read when an expression asks for them, each once."""

    __slots__ = ("_read", "_shape", "_value")

    def __init__(self, shape: _Shape, value: Mapping[str, Any]) -> None:
        self._shape, self._value = shape, value
        self._read: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        read = self._read.get(name, MISSING)
        if read is not MISSING:
            return read
        field = self._shape.fields.get(name)
        if field is None:
            return MISSING
        value = self._value.get(field[0])
        if value is None:
            return MISSING
        typed = self._read[name] = field[1](value)
        return typed

    def names(self) -> Iterator[str]:
        identifiers = self._shape.identifiers
        return (identifiers[name].removeprefix("\0") for name in self._value if name in identifiers)

    def size(self) -> int:
        return len(self._value)

    def equals(self, other: Any, steps: Steps) -> bool:
        if not isinstance(other, _Typed) or self.size() != other.size():
            return False
        steps.take(self.size())
        identifiers = self._shape.identifiers
        for name, value in self._value.items():
            identifier = identifiers.get(name)
            if identifier is None:
                if name in other._value and not _same_json(value, other._value[name]):
                    return False
                continue
            mine, theirs = self.get(identifier), other.get(identifier)
            if (mine is MISSING) != (theirs is MISSING):
                return False
            if mine is not MISSING and not equal(mine, theirs, steps):
                return False
        return True


def _same_json(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)
