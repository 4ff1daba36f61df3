"""Schemas of kinds, compiled once: a typed decoder in C for the usual case, a walker that explains for the rest.

`decode` gives the object as a dict in the shape that Go would write it: unknown fields gone, zero values left out or written as
upstream's types say ("x-go" in the definitions), quantities and times canonical.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from importlib import resources
from typing import Annotated, Any, Literal, cast

import msgspec

from pybernetes.aio import apart
from pybernetes.api import errors, gosyntax
from pybernetes.api.quantity import Quantity, QuantityError
from pybernetes.api.strategicpatch import FieldMerge

from . import pieces
from .apply.schema import Schemas
from .resource import Object, Resource
from .schemawalker import INT_OR_STRING, MAX_STRICT_ERRORS, MICRO_TIME, QUANTITY, TIME, Refused, Walker, canonical_time

Validation = Literal["Strict", "Warn", "Ignore"]
Definition = dict[str, Any]

_INT32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
DIVIDED_NODES = 20_000  # members and items of a document, beyond which it is converted by pieces
UNREAD = "the object provided is unrecognized (must be of type {}): "
SUMMARY = 30  # bytes of a body that is not understood, in the message


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
    QUANTITY: _Quantity,
    INT_OR_STRING: _INT32 | str,
    TIME: _Time,
    MICRO_TIME: _MicroTime,
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
    text = canonical_time(value, kind is _MicroTime)
    if text is None:  # as good as unset, which the slow way can say
        raise ValueError("Go's zero time")
    return kind(text)


def _encode_hook(value: Any) -> Any:
    return value.text


def _null() -> None:
    """Go writes a nil slice or map that is not `omitempty` as null."""


@functools.cache
def definitions() -> dict[str, Definition]:
    """Every definition by its full name."""
    data = resources.files("pybernetes.api").joinpath("data/definitions.json").read_bytes()
    schemas: dict[str, Definition] = msgspec.json.decode(data)
    return schemas


_legacy: set[str] = set()


def legacy_names() -> Collection[str]:
    """Of the definitions that `load_legacy` has added."""
    return _legacy


@functools.cache
def load_legacy() -> dict[str, Definition]:
    """Adds the definitions of old group-versions to the others, and gives them: they are read only where one is served."""
    data = resources.files("pybernetes.api").joinpath("data/legacy.json").read_bytes()
    schemas: dict[str, Definition] = msgspec.json.decode(data)
    _legacy.update(schemas.keys() - definitions().keys())
    definitions().update({name: schemas[name] for name in _legacy})
    return schemas


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
            scalar = int if kind in (_INT32, _INT64, _INT32 | str) else kind
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
                below = self.of(schema["additionalProperties"])
                return dict[str, below | None if below is _Time else below]  # type: ignore[misc]  # null: Go's zero time
            case "object":
                return dict[str, Any]
        return Any


Nils = dict[str, Any]  # field -> what is below it; None: the field itself is a list or map that Go always writes


def _nil_paths(source: Mapping[str, Definition], name: str, above: tuple[str, ...]) -> Nils:
    """Where empty lists and maps become null: upstream stores protobuf, which does not tell empty from nil."""
    definition = source[name]
    written = definition.get("x-go", {})
    paths: Nils = {}
    for key, schema in definition.get("properties", {}).items():
        inner = schema
        while "$ref" not in inner and ("items" in inner or isinstance(inner.get("additionalProperties"), dict)):
            inner = inner.get("items") or inner["additionalProperties"]
        target = inner.get("$ref", "").rsplit("/", 1)[-1]
        below: Nils = {}
        if target and target not in above and target in source:
            below = _nil_paths(source, target, (*above, name))
        if schema.get("type") in ("array", "object") and written.get(key) == "a":
            paths[key] = below or None
        elif below:
            paths[key] = below
    return paths


def _nil_empties(value: Any, nils: Nils) -> None:
    for key, below in nils.items():
        child = value.get(key)
        if not child:
            if child is not None and isinstance(child, list):
                value[key] = None
        elif below:
            items = child if isinstance(child, list) else (child,)
            for item in items:
                if isinstance(item, dict):
                    _nil_empties(item, below)


@functools.cache
def _builtin_types() -> Types:
    return Types(definitions())


@functools.cache
def _builtin_nodes() -> Schemas:
    return Schemas(definitions())


def unreadable(body: bytes, kind: str, why: str) -> errors.StatusError:
    """400 for a body that does not even say what it is (upstream: handlers/rest.go transformDecodeError)."""
    return errors.bad_request(f"{UNREAD.format(kind)}{why} ({summary(body)})")


def too_deep(body: bytes, kind: str) -> errors.StatusError:
    """400 for a body whose lists and maps are nested deeper than the interpreter's stack."""
    return unreadable(body, kind, f"couldn't get version/kind; json parse error: {gosyntax.TOO_DEEP}")


def summary(body: bytes) -> str:
    """Of a body that is not understood: how it begins."""
    if not body:
        return "<empty>"
    start, rest = body[:SUMMARY], " ..." if len(body) > SUMMARY else ""
    return (start.decode("utf-8", "go-replace") if body.startswith(b"{") else start.hex()) + rest


def read_json(body: bytes, kind: str) -> Any:
    """A body that the fast decoder refuses, as Go reads it (`gosyntax.read`). StatusError 400 for what is no JSON."""
    try:
        return gosyntax.read(body)
    except (ValueError, RecursionError):
        words = gosyntax.syntax_error(body)
        raise unreadable(body, kind, f"couldn't get version/kind; json parse error: {words}") from None


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
        try:
            if len(body) >= pieces.LARGE:
                plain, twice = self._by_pieces(body)
            else:
                plain = self._plain(self._decoder.decode(body))
                twice = validation != "Ignore" and pieces.has_duplicates(body)
            if validation == "Ignore" or not twice:
                return plain, []
        except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # the slow way finds the words, or knows better
        return self._explain(read_json(body, self._kind), validation, from_map=False)

    def _by_pieces(self, body: bytes) -> tuple[Object, bool]:
        """The object, and whether a field is there twice."""
        reader = pieces.Reader(_decode_hook, _encode_hook)
        plain: Object = reader.read(body, self._type)
        _nil_empties(plain, self._nils)
        return plain, reader.has_duplicates(body)

    def normalize(
        self, document: Any, validation: Validation = "Ignore", from_map: bool = True
    ) -> tuple[Object, list[str]]:
        """As decode, for what is decoded already (a patched object). `from_map`: as a strategic patch leaves it, which upstream reads otherwise."""
        try:
            return self._converted(document), []
        except (msgspec.ValidationError, UnicodeEncodeError):
            return self._explain(document, validation, from_map)

    def _converted(self, document: Any) -> Object:
        """msgspec.ValidationError, UnicodeEncodeError."""
        if apart.is_apart() and pieces.nodes(document, DIVIDED_NODES) > DIVIDED_NODES:
            return self._by_pieces(b"".join(pieces.encode(document)))[0]
        return self._plain(msgspec.convert(document, self._type, dec_hook=_decode_hook, builtin_types=()))

    def _explain(self, document: Any, validation: Validation, from_map: bool) -> tuple[Object, list[str]]:
        """The slow way: drops what is unknown, and finds the words for what is wrong."""
        walker = Walker(definitions(), from_map)
        try:
            clean = walker.root(document, self._name)
        except Refused as error:
            raise self.refused(str(error)) from None
        except RecursionError:
            raise self.refused(gosyntax.TOO_DEEP) from None
        if walker.refusal:
            raise self.refused(walker.refusal)
        warnings = self._strict(walker.strict, validation)
        try:
            return self._converted(clean), warnings
        except msgspec.ValidationError as error:
            raise self.refused(str(error)) from None

    def _strict(self, problems: list[str], validation: Validation) -> list[str]:
        """What is warned of; StatusError 400 where it is not only warned of."""
        if problems and validation == "Strict":
            raise self.refused(f"strict decoding error: {', '.join(problems[:MAX_STRICT_ERRORS])}")
        return problems[:MAX_STRICT_ERRORS] if validation == "Warn" else []

    def refused(self, why: str) -> errors.StatusError:
        """400: a body that is none of the kind, and why."""
        version = self._api_version.rsplit("/", 1)[-1]
        return errors.bad_request(f'{self._kind} in version "{version}" cannot be handled as a {self._kind}: {why}')

    def _plain(self, typed: Any) -> Object:
        plain: Object = msgspec.to_builtins(typed, enc_hook=_encode_hook)
        _nil_empties(plain, self._nils)
        return plain


class MergeTable:
    """A definition as a MergeSchema of strategic merge patches."""

    def __init__(self, source: Mapping[str, Definition], name: str) -> None:
        self._source = source
        self._properties: dict[str, Definition] = source[name].get("properties", {})
        self._struct = name.rsplit(".", 1)[-1]
        self._known: dict[str, FieldMerge] = {}

    def lookup(self, name: str) -> FieldMerge:
        """How a field merges."""
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def _find(self, name: str) -> FieldMerge:
        schema = self._properties.get(name)
        if schema is None:
            return FieldMerge(undeclared_in=self._struct)
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
