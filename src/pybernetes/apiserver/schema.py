"""Schemas of kinds, compiled once: a typed decoder in C for the usual case, a walker that explains for the rest.

`decode` gives the object as a dict in the shape that Go would write it: unknown fields gone, zero values left out or written as
upstream's types say ("x-go" in the definitions), quantities and times canonical.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC
from importlib import resources
from typing import Annotated, Any, Literal, cast

import msgspec

from pybernetes.api import errors, times
from pybernetes.api.patch import FieldMerge
from pybernetes.api.quantity import Quantity, QuantityError

from .apply.schema import Schemas
from .resource import Object, Resource

Validation = Literal["Strict", "Warn", "Ignore"]
Definition = dict[str, Any]

_INT32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
MAX_UNKNOWN = 16  # field errors that one answer names


class _Canonical:
    """A value that is checked and rewritten: `text` is what goes on."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class _Quantity(_Canonical):
    pass


class _Time(_Canonical):
    pass


class _MicroTime(_Canonical):
    pass


_SCALARS: dict[str, Any] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _Quantity,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": int | str,
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": _Time,
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": _MicroTime,
}


@functools.lru_cache(maxsize=4096)
def _quantity(value: str) -> str:
    return str(Quantity.parse(value))


def _decode_hook(kind: type, value: Any) -> Any:
    if kind is _Quantity:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise QuantityError("quantities must be strings or numbers")
        return _Quantity(_quantity(str(value)))
    if not isinstance(value, str):
        raise ValueError("must be a string")
    moment = times.parse_time(value)
    return kind(times.format_time(moment) if kind is _Time else times.format_micro_time(moment.astimezone(UTC)))


def _encode_hook(value: Any) -> Any:
    return value.text


def _null() -> None:
    """Go writes a nil slice or map that is not `omitempty` as null."""


@functools.cache
def definitions() -> dict[str, Definition]:
    """Every definition by its full name."""
    data = resources.files("pybernetes.api").joinpath("data/definitions.json").read_bytes()
    found: dict[str, Definition] = msgspec.json.decode(data)
    return found


class Types:
    """msgspec types of a set of definitions, made when first asked for."""

    def __init__(self, source: Mapping[str, Definition]) -> None:
        self._source = source
        self._made: dict[str, Any] = {}

    def named(self, name: str) -> Any:
        """The type of a definition; Any within its own making (recursive schemas are checked by the walker only)."""
        if name in _SCALARS:
            return _SCALARS[name]
        if name not in self._made:
            self._made[name] = Any
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> Any:
        definition = self._source[name]
        properties = definition.get("properties")
        if not properties:
            return self.of({k: v for k, v in definition.items() if k != "$ref"})
        written: dict[str, str] = definition.get("x-go", dict.fromkeys(definition.get("required", ()), "a"))
        fields: list[Any] = []
        rename: dict[str, str] = {}
        for index, (key, schema) in enumerate(properties.items()):
            kind = self.of(schema)
            rename[f"f{index}"] = key
            fields.append((f"f{index}", *self._default(kind, written.get(key, ""))))
        short = name.rsplit(".", 1)[-1]
        return msgspec.defstruct(
            short, fields, rename=rename, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False
        )

    @staticmethod
    def _default(kind: Any, written: str) -> tuple[Any, Any]:
        """(annotation, default) so that to_builtins leaves out or writes zero values as Go does."""
        if kind is Any or kind in (_Time, _MicroTime) or not written:
            return (kind if kind is Any else kind | None, None)
        origin = getattr(kind, "__origin__", kind)
        zero: Any
        if origin in (list, dict):
            return (
                (kind | None, msgspec.field(default_factory=_null))
                if written == "a"
                else (kind, msgspec.field(default_factory=origin))
            )
        if kind is _Quantity:
            zero = functools.partial(_Quantity, "0")
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            if written == "z":
                return kind | None, None
            zero = kind
        else:
            scalar = int if kind in (_INT32, _INT64, int | str) else kind
            if written == "z":
                return kind, scalar()
            zero = functools.partial(scalar)
        return kind, msgspec.field(default_factory=zero)

    def of(self, schema: Definition) -> Any:
        """The type of a schema inside a definition."""
        if "$ref" in schema:
            return self.named(schema["$ref"].rsplit("/", 1)[1])
        match schema.get("type"):
            case "string":
                return bytes if schema.get("format") == "byte" else str
            case "integer":
                return _INT32 if schema.get("format") == "int32" else _INT64
            case "number":
                return float
            case "boolean":
                return bool
            case "array":
                return list[self.of(schema.get("items", {}))]  # type: ignore[misc]  # a type made at run time
            case "object" if "additionalProperties" in schema:
                return dict[str, self.of(schema["additionalProperties"])]  # type: ignore[misc]  # as above
            case "object":
                return dict[str, Any]
        return Any


Nils = dict[str, Any]  # field -> what is below it; None: the field itself is a list or map that Go always writes


def _nil_paths(source: Mapping[str, Definition], name: str, above: tuple[str, ...]) -> Nils:
    """Where empty lists and maps become null: upstream stores protobuf, which does not tell empty from nil."""
    definition = source[name]
    written = definition.get("x-go", {})
    found: Nils = {}
    for key, schema in definition.get("properties", {}).items():
        inner = schema
        while "$ref" not in inner and ("items" in inner or isinstance(inner.get("additionalProperties"), dict)):
            inner = inner.get("items") or inner["additionalProperties"]
        target = inner.get("$ref", "").rsplit("/", 1)[-1]
        below: Nils = {}
        if target and target not in above and target in source:
            below = _nil_paths(source, target, (*above, name))
        if schema.get("type") in ("array", "object") and written.get(key) == "a":
            found[key] = below or None
        elif below:
            found[key] = below
    return found


def _nil_empties(value: Any, nils: Nils) -> None:
    for key, below in nils.items():
        found = value.get(key)
        if not found:
            if found is not None and isinstance(found, list):
                value[key] = None
        elif below:
            items = found if isinstance(found, list) else (found,)
            for item in items:
                if isinstance(item, dict):
                    _nil_empties(item, below)


@functools.cache
def _builtin_types() -> Types:
    return Types(definitions())


@functools.cache
def _builtin_nodes() -> Schemas:
    return Schemas(definitions())


def without_nulls(value: Any) -> Any:
    """null stands for the zero value everywhere."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(v) for v in value] if isinstance(value, list) else value


class _Pairs(dict[str, Any]):
    """An object that remembers which of its keys were there twice."""

    twice: tuple[str, ...] = ()


def _pairs(pairs: list[tuple[str, Any]]) -> _Pairs:
    made = _Pairs(pairs)
    if len(made) < len(pairs):
        counted = Counter(name for name, _ in pairs)
        made.twice = tuple(name for name in made if counted[name] > 1)
    return made


def duplicates(body: bytes) -> list[str]:
    """`duplicate field "a.b"` for each field that a JSON body sets twice.

    Decoding keeps the last and does not tell. So the body is decoded and encoded again in C: where that has as many colons
    after quotes as the body, nothing was there twice. Only else the slow way is gone. (That costs 1 µs for a small object;
    to decode once, untyped, and convert that was tried, and is slower.)
    """
    if msgspec.json.encode(msgspec.json.decode(body)).count(b'":') == body.count(b'":'):
        return []
    found: list[str] = []

    def walk(value: Any, path: str) -> None:
        if isinstance(value, _Pairs):
            found.extend(f'duplicate field "{path}{name}"' for name in value.twice)
            for name, item in value.items():
                walk(item, f"{path}{name}.")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                walk(item, f"{path[:-1]}[{index}].")

    walk(json.loads(body, object_pairs_hook=_pairs), "")
    return found


class CompiledSchema:
    """One kind's schema."""

    def __init__(self, name: str, api_version: str, kind: str) -> None:
        self._name, self._api_version, self._kind = name, api_version, kind
        self._type = _builtin_types().named(name)
        self._decoder: Any = msgspec.json.Decoder(self._type, dec_hook=_decode_hook)
        self._nils = _nil_paths(definitions(), name, ())
        self.merge_schema = MergeTable(definitions(), name)
        self.apply_node = _builtin_nodes().named(name)
        self.top_fields: tuple[str, ...] = tuple(definitions()[name].get("properties", ()))

    @functools.cached_property
    def zero(self) -> Object:
        """The empty object, as Go writes it; shared: never change it."""
        return self.normalize({})[0]

    def decode(self, body: bytes, validation: Validation = "Warn") -> tuple[Object, list[str]]:
        """The object and warnings. StatusError 400 for what cannot be read."""
        if body.strip() == b"null":  # to Go an empty object
            body = b"{}"
        try:
            plain = self._plain(self._decoder.decode(body))
            twice = [] if validation == "Ignore" else duplicates(body)
            return plain, self._strict(twice, validation) if twice else twice
        except msgspec.ValidationError:
            pass
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._malformed(error) from None
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._malformed(error) from None
        return self._explain(document, validation, [] if validation == "Ignore" else duplicates(body))

    def _strict(self, problems: list[str], validation: Validation) -> list[str]:
        """What is warned of; StatusError 400 where it is not only warned of."""
        if problems and validation == "Strict":
            version = f'{self._kind} in version "{self._version}" cannot be handled as a {self._kind}'
            raise errors.bad_request(f"{version}: strict decoding error: {', '.join(problems[:MAX_UNKNOWN])}")
        return problems if validation == "Warn" else []

    def _malformed(self, error: Exception) -> errors.StatusError:
        version = f'{self._kind} in version "{self._version}" cannot be handled as a {self._kind}'
        return errors.bad_request(f"{version}: {error}")

    def normalize(self, document: Any, validation: Validation = "Ignore") -> tuple[Object, list[str]]:
        """As decode, for what is decoded already (a patched object, YAML)."""
        try:
            return self._plain(msgspec.convert(document, self._type, dec_hook=_decode_hook, builtin_types=())), []
        except msgspec.ValidationError:
            return self._explain(document, validation)

    @property
    def _version(self) -> str:
        return self._api_version.rsplit("/", 1)[-1]

    def _plain(self, typed: Any) -> Object:
        plain: Object = msgspec.to_builtins(typed, enc_hook=_encode_hook)
        _nil_empties(plain, self._nils)
        return plain

    def _explain(
        self, document: Any, validation: Validation, twice: list[str] | None = None
    ) -> tuple[Object, list[str]]:
        """The slow way: drops what is unknown, and finds the words for what is wrong."""
        walker = _Walker(definitions())
        clean = walker.walk(without_nulls(document), {"$ref": f"/{self._name}"}, "", "")
        if walker.refusal:
            version = f'{self._kind} in version "{self._version}" cannot be handled as a {self._kind}'
            raise errors.bad_request(f"{version}: {walker.refusal}")
        unknown = self._strict([*(twice or ()), *(f'unknown field "{path}"' for path in walker.unknown)], validation)
        try:
            typed = msgspec.convert(clean, self._type, dec_hook=_decode_hook, builtin_types=())
        except msgspec.ValidationError as error:
            version = f'{self._kind} in version "{self._version}" cannot be handled as a {self._kind}'
            raise errors.bad_request(f"{version}: {error}") from None
        return self._plain(typed), unknown


class _Walker:
    """Goes through a document beside its schema."""

    def __init__(self, source: Mapping[str, Definition]) -> None:
        self._source = source
        self.unknown: list[str] = []
        self.refusal = ""

    def walk(self, value: Any, schema: Definition, path: str, owner: str) -> Any:
        """The value without unknown fields; `owner` is the Go struct that holds it."""
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            if name in _SCALARS:
                return self._scalar(value, name, path, owner)
            definition = self._source[name]
            if definition.get("properties"):
                return self._struct(value, name, definition, path, owner)
            schema = definition
        match schema.get("type"):
            case "array":
                if not isinstance(value, list):
                    return self._refuse(value, schema, path, owner)
                items = schema.get("items", {})
                return [self.walk(item, items, f"{path}[{i}]", owner) for i, item in enumerate(value)]
            case "object":
                if not isinstance(value, dict):
                    return self._refuse(value, schema, path, owner)
                extra = schema.get("additionalProperties")
                if isinstance(extra, dict):
                    return {k: self.walk(v, extra, f"{path}.{k}", owner) for k, v in value.items()}
                return value
            case "string" if not isinstance(value, str):
                return self._refuse(value, schema, path, owner)
            case "boolean" if not isinstance(value, bool):
                return self._refuse(value, schema, path, owner)
            case "integer":
                return self._integer(value, schema, path, owner)
            case "number" if isinstance(value, bool) or not isinstance(value, int | float):
                return self._refuse(value, schema, path, owner)
        return value

    def _struct(self, value: Any, name: str, definition: Definition, path: str, owner: str) -> Any:
        short = name.rsplit(".", 1)[-1]
        if not isinstance(value, dict):
            return self._refuse(value, {"$ref": name}, path, owner)
        properties = definition["properties"]
        out = {}
        for key, item in value.items():
            place = f"{path}.{key}" if path else key
            if key not in properties:
                self.unknown.append(place)
            else:
                out[key] = self.walk(item, properties[key], place, short)
        return out

    def _integer(self, value: Any, schema: Definition, path: str, owner: str) -> Any:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        bits = 31 if schema.get("format") == "int32" else 63
        if isinstance(value, bool) or not isinstance(value, int) or not -(2**bits) <= value < 2**bits:
            return self._refuse(value, schema, path, owner)
        return value

    def _scalar(self, value: Any, name: str, path: str, owner: str) -> Any:
        short = name.rsplit(".", 1)[-1]
        try:
            if short == "IntOrString":
                if isinstance(value, bool) or not isinstance(value, int | str):
                    return self._refuse(value, {"$ref": name}, path, owner)
            else:
                _decode_hook(_SCALARS[name], value)
        except QuantityError as error:
            self.refusal = self.refusal or str(error)
        except ValueError:
            layout = "2006-01-02T15:04:05.000000Z07:00" if short == "MicroTime" else "2006-01-02T15:04:05Z07:00"
            text = f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"'
            self.refusal = self.refusal or text
        return value

    def _refuse(self, value: Any, schema: Definition, path: str, owner: str) -> Any:
        if not self.refusal:
            plain = "".join(part.split("]", 1)[-1] for part in path.split("["))
            place = f"Go struct field {owner}.{plain} of type" if owner else "Go value of type"
            self.refusal = f"json: cannot unmarshal {_json_word(value)} into {place} {_go_type(schema, self._source)}"
        return value


def _json_word(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return f"number {value}" if isinstance(value, float) else "number"
    return "array" if isinstance(value, list) else "object"


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
    return "string"


class MergeTable:
    """A definition as a MergeSchema of strategic merge patches."""

    def __init__(self, source: Mapping[str, Definition], name: str) -> None:
        self._source = source
        self._properties: dict[str, Definition] = source[name].get("properties", {})
        self._known: dict[str, FieldMerge] = {}

    def lookup(self, name: str) -> FieldMerge:
        """How a field merges."""
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def _find(self, name: str) -> FieldMerge:
        schema = self._properties.get(name)
        if schema is None:
            return FieldMerge()
        inner = schema
        while "$ref" not in inner and ("items" in inner or isinstance(inner.get("additionalProperties"), dict)):
            inner = inner.get("items") or inner["additionalProperties"]
        target = inner.get("$ref", "").rsplit("/", 1)[-1]
        nested = MergeTable(self._source, target) if self._source.get(target, {}).get("properties") else None
        return FieldMerge(
            nested, schema.get("x-kubernetes-patch-strategy", ""), schema.get("x-kubernetes-patch-merge-key", "")
        )


@functools.cache
def compiled_type(name: str, api_version: str, kind: str) -> CompiledSchema:
    """The schema of a definition; made at its first use."""
    return CompiledSchema(name, api_version, kind)


def compiled(resource: Resource) -> CompiledSchema:
    """The schema of a resource; made at its first use."""
    if resource.compile is not None:
        return cast(CompiledSchema, resource.compile())
    return compiled_type(resource.schema, resource.api_version, resource.kind)
