"""What the fast decoder refuses goes through here, beside its schema: unknown fields are dropped, and words found for what is wrong.

Upstream: sigs.k8s.io/json (Go's encoding/json, case-sensitive and strict), and UnmarshalJSON of Quantity, Time and IntOrString.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from pybernetes.api import gobase64, times
from pybernetes.api.gosyntax import Members, Number
from pybernetes.api.quantity import Quantity

Definition = dict[str, Any]

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.Time"
MICRO_TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"
_INT32 = {"type": "integer", "format": "int32"}
MAX_STRICT_ERRORS = 100  # unknown and duplicate fields that are told of (upstream's limit, too)


class Refused(Exception):
    """A type that reads itself has refused its text: nothing further is read. The text is Go's."""


def untyped(document: Any) -> tuple[Any, list[str]]:
    """A document of no type (`gosyntax.read`) as Go holds it, and which fields it sets twice. Refused."""
    walker = Walker({}, from_map=False)
    value = walker._untyped(document, _Place())
    if walker.refusal:
        raise Refused(walker.refusal)
    return value, walker.strict


class Walker:
    """Goes through one document. Afterwards `refusal` has the first value of a wrong type, `strict` what only strictness minds."""

    def __init__(self, source: Mapping[str, Definition], from_map: bool) -> None:
        """`from_map`: whether 2.0 is an integer (upstream's converter of maps takes it, its decoder of JSON does not).

        The words are then the converter's, too (apimachinery/pkg/runtime/converter.go).
        """
        self._source = source
        self._from_map = from_map
        self._strict: dict[str, None] = {}
        self.refusal = ""

    @property
    def strict(self) -> list[str]:
        """`unknown field "a.b"`, `duplicate field "a.b"`, in the order of the document."""
        return list(self._strict)

    def root(self, value: Any, name: str) -> Any:
        """The value of a definition. Refused."""
        return self._walk(value, {"$ref": f"/{name}"}, _Place())

    def _walk(self, value: Any, schema: Definition, place: _Place) -> Any:
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            scalar = _SCALARS.get(name)
            if scalar is not None:
                return scalar(self, value, place)
            definition = self._source[name]
            if definition.get("properties"):
                return self._struct(value, name, definition, place)
            schema = definition
        match schema.get("type"):
            case "array":
                return self._list(value, schema, place)
            case "object":
                return self._map(value, schema, place)
            case "string" if schema.get("format") == "byte":
                return self._bytes(value, schema, place)
            case "string":
                return value if isinstance(value, str) else self._mistyped(value, schema, place, "")
            case "boolean":
                return value if isinstance(value, bool) else self._mistyped(value, schema, place, False)
            case "integer":
                return self._integer(value, schema, place)
            case "number":
                return self._float(value, schema, place)
        return self._untyped(value, place)

    def _struct(self, value: Any, name: str, definition: Definition, place: _Place) -> Any:
        if value is None:
            value = {}  # an item of a list or map: Go's zero value
        if not isinstance(value, dict):
            return self._mistyped(value, {"$ref": name}, place, {})
        properties, out = definition["properties"], {}
        twice = value.twice if isinstance(value, Members) else ()
        for key, item in value.items():
            if key not in properties:
                self._tell("unknown", place, key)
                continue
            if key in twice:
                self._tell("duplicate", place, key)
            if item is not None:
                out[key] = self._walk(item, properties[key], place.field(key, name))
        return out

    def _map(self, value: Any, schema: Definition, place: _Place) -> Any:
        if value is None:
            return {}
        if not isinstance(value, dict):
            return self._mistyped(value, schema, place, {})
        extra = schema.get("additionalProperties")
        if not isinstance(extra, dict):
            return self._untyped(value, place)
        self._twice(value, place)
        return {key: self._walk(item, extra, place.key(key)) for key, item in value.items()}

    def _list(self, value: Any, schema: Definition, place: _Place) -> Any:
        if value is None:
            return []
        if not isinstance(value, list):
            return self._mistyped(value, schema, place, [])
        items = schema.get("items", {})
        return [self._walk(item, items, place.index(index)) for index, item in enumerate(value)]

    def _bytes(self, value: Any, schema: Definition, place: _Place) -> Any:
        if isinstance(value, list):  # Go's bytes are a list of small numbers, too
            return gobase64.encode(bytes(self._byte(item, place.index(index)) for index, item in enumerate(value)))
        if not isinstance(value, str):
            return self._mistyped(value, schema, place, "")
        try:
            return gobase64.encode(gobase64.decode(value))
        except gobase64.IllegalBase64 as error:
            self.refusal = self.refusal or str(error)
        return ""

    def _byte(self, value: Any, place: _Place) -> int:
        text = _digits(value)
        if text and not text.startswith("-") and len(text) < 4 and int(text) < 256:
            return int(text)
        return 0 if value is None else self._refuse(value, "uint8", place, 0, number=True)

    def _integer(self, value: Any, schema: Definition, place: _Place, of_json: bool = False) -> Any:
        """`of_json`: for a type that reads itself."""
        bits = 31 if schema.get("format") == "int32" else 63
        if self._from_map and isinstance(value, float) and value.is_integer():
            value = int(value)
        text = _digits(value)
        if text and len(text) < 21 and -(2**bits) <= int(text) < 2**bits:
            return int(text)
        return self._mistyped(value, schema, place, 0, number=True, of_json=of_json)

    def _float(self, value: Any, schema: Definition, place: _Place) -> Any:
        if isinstance(value, Number):
            number = float(value.text)
            if number not in (float("inf"), float("-inf")):
                return number
        elif isinstance(value, int | float) and not isinstance(value, bool):
            return value
        return self._mistyped(value, schema, place, 0, number=True)

    def _untyped(self, value: Any, place: _Place) -> Any:
        """A value of any shape, with numbers as Go holds them."""
        if isinstance(value, Number):
            try:
                return value.value
            except OverflowError:
                return self._refuse(value, "float64", place, None, number=True)
        if isinstance(value, list):
            return [self._untyped(item, place.index(index)) for index, item in enumerate(value)]
        if isinstance(value, dict):
            self._twice(value, place)
            return {key: self._untyped(item, place.key(key)) for key, item in value.items()}
        return value

    # Types that read themselves: what they refuse is refused at once.

    def _quantity(self, value: Any, place: _Place) -> Any:
        text = value.strip() if isinstance(value, str) else _number_text(value) or "{}"
        try:
            return str(Quantity.parse("0" if value is None else text))
        except ValueError as error:
            raise Refused(str(error)) from None

    def _int_or_string(self, value: Any, place: _Place) -> Any:
        if isinstance(value, str):
            return value
        whole = self._integer(value, _INT32, place, of_json=True) if value is not None else 0
        if self.refusal:
            raise Refused(self.refusal)
        return whole

    def _time(self, value: Any, place: _Place) -> Any:
        return self._moment(value, place, micro=False)

    def _micro_time(self, value: Any, place: _Place) -> Any:
        return self._moment(value, place, micro=True)

    def _moment(self, value: Any, place: _Place, micro: bool) -> Any:
        if value is None or isinstance(value, str):
            try:
                return None if value is None else canonical_time(value, micro)
            except ValueError as error:
                raise Refused(str(error)) from None
        self._refuse(value, "string", place, None)
        raise Refused(self.refusal)

    # What is said.

    def _twice(self, value: dict[str, Any], place: _Place) -> None:
        for key in value if isinstance(value, Members) and value.twice else ():
            if isinstance(value, Members) and key in value.twice:
                self._tell("duplicate", place, key)

    def _tell(self, what: str, place: _Place, key: str) -> None:
        if len(self._strict) < MAX_STRICT_ERRORS:
            self._strict[f'{what} field "{place.key(key).path}"'] = None

    def _mistyped(
        self, value: Any, schema: Definition, place: _Place, zero: Any, number: bool = False, of_json: bool = False
    ) -> Any:
        """`zero`, which null stands for; anything else is refused."""
        if value is None:
            return zero
        if self._from_map and not of_json:
            self.refusal = self.refusal or _unconverted(value, schema, place.named_type())
            if self.refusal:
                return zero
        return self._refuse(value, place.named_type() or _go_type(schema, self._source), place, zero, number)

    def _refuse(self, value: Any, kind: str, place: _Place, zero: Any, number: bool = False) -> Any:
        """`number`: a number was expected, so that a wrong one is shown."""
        if not self.refusal:
            word = _json_word(value)
            shown = f"{word} {_number_text(value)}" if number and word == "number" else word
            told = place.owner and not self._from_map  # the converter has a value read, not the field
            where = f"Go struct field {place.owner}.{place.fields} of type" if told else "Go value of type"
            self.refusal = f"json: cannot unmarshal {shown} into {where} {kind}"
        return zero


_SCALARS = {
    QUANTITY: Walker._quantity,
    INT_OR_STRING: Walker._int_or_string,
    TIME: Walker._time,
    MICRO_TIME: Walker._micro_time,
}


class _Place:
    """Where a value stands: its whole path, and the names of struct fields alone, as which Go tells of a wrong type.

    `definition` is of the struct that has the field, `depth` how many lists and maps deep in it the value is.
    """

    __slots__ = ("definition", "depth", "fields", "path")

    def __init__(self, path: str = "", fields: str = "", definition: str = "", depth: int = 0) -> None:
        self.path, self.fields, self.definition, self.depth = path, fields, definition, depth

    @property
    def owner(self) -> str:
        """The struct, as Go calls it."""
        return self.definition.rsplit(".", 1)[-1]

    def field(self, name: str, definition: str) -> _Place:
        """A field of a struct."""
        return _Place(_joined(self.path, name), _joined(self.fields, name), definition)

    def key(self, name: str) -> _Place:
        """An entry of a map."""
        return _Place(_joined(self.path, name), self.fields, self.definition, self.depth + 1)

    def index(self, index: int) -> _Place:
        """An item of a list."""
        return _Place(f"{self.path}[{index}]", self.fields, self.definition, self.depth + 1)

    def named_type(self) -> str:
        """How Go calls the type here, where that has a name and is no struct (tools/read_go_names.py); else ""."""
        struct = ".".join(self.definition.rsplit(".", 3)[1:])
        text = go_types().get(struct, {}).get(self.fields.rsplit(".", 1)[-1], "")
        for _ in range(self.depth):
            if text.startswith("[]"):
                text = text[2:]
            elif text.startswith("map["):
                text = text.partition("]")[2]
            else:  # a list or map with a name of its own: what is in it is not said
                return ""
        return text


@functools.cache
def go_types() -> dict[str, dict[str, str]]:
    """core.v1.Container -> field -> type; only read where something is refused."""
    data = resources.files("pybernetes.api").joinpath("data/go_types.json").read_bytes()
    types_by_kind: dict[str, dict[str, str]] = json.loads(data)
    return types_by_kind


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def canonical_time(text: str, micro: bool) -> str | None:
    """As it is stored and answered; None for Go's zero time. TimeError."""
    moment = times.parse_rfc3339(text, micro)
    if moment == times.ZERO:
        return None
    return times.format_micro_time(moment) if micro else times.format_time(moment)


def _number_text(value: Any) -> str:
    """A number as it is written; "" for anything else."""
    if isinstance(value, Number):
        return value.text
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _digits(value: Any) -> str:
    """The text of a number without point and exponent; "" for anything else."""
    text = _number_text(value)
    return text if text.removeprefix("-").isdecimal() else ""


def _json_word(value: Any) -> str:
    """A JSON value's type, as Go's decoder calls it."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "number"


_KINDS = ((bool, "bool"), (str, "string"), (int, "int64"), (float, "float64"), (list, "slice"), (dict, "map"))


def _unconverted(value: Any, schema: Definition, named: str) -> str:
    """Why the converter does not take a value; "" for an integer that is too large, which it cuts off. `named`: the type, if it has a name."""
    kind = next(name for one, name in _KINDS if isinstance(value, one))
    if "$ref" in schema:
        return f"cannot restore struct from: {kind}"
    match schema.get("type"):
        case "array":
            return f"cannot restore slice from {kind}"
        case "object":
            return f"cannot restore map from {kind}"
        case "integer" if kind == "int64":
            return ""
        case "integer" if kind == "float64":
            return f"cannot convert float64 to {named or schema.get('format', 'int64')}"
        case "integer":
            return f"unrecognized type: {schema.get('format', 'int64')}"
        case "boolean":
            return "unrecognized type: bool"
        case "number":
            return "unrecognized type: float64"
    if schema.get("format") == "byte":
        return f"cannot restore slice from {kind}"
    return f"cannot convert int64 to {named or 'string'}" if kind == "int64" else "unrecognized type: string"


def _go_type(schema: Definition, source: Mapping[str, Definition]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        version, short = name.rsplit(".", 2)[1:]
        return f"{version}.{short}"
    match schema.get("type"):
        case "array":
            return f"[]{_go_type(schema.get('items', {}), source)}"
        case "object":
            extra = schema.get("additionalProperties")
            return f"map[string]{_go_type(extra, source)}" if isinstance(extra, dict) else "map[string]interface {}"
        case "boolean":
            return "bool"
        case "integer":
            return str(schema.get("format", "int64"))
        case "number":
            return "float64"
    return "[]uint8" if schema.get("format") == "byte" else "string"
