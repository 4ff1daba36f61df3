"""What a schema in a definition must obey (upstream: pkg/apis/apiextensions/validation, pkg/apiserver/schema/validation.go).

`openapi` checks keywords one by one, `structure` that the schema is structural, `default_values` that its defaults fit it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pybernetes.api import field, goregexp
from pybernetes.api.field import FieldError, Path
from pybernetes.api.jsoncopy import json_copy

from . import objectmeta, structural
from .structural import META, Structural
from .values import NOWHERE, Rules

Errors = list[FieldError]
Schema = Mapping[str, Any]
Level = Literal["root", "item", "field"]

TYPES = ("array", "boolean", "integer", "number", "object", "string")
UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
POINTERS = ("additionalItems", "dependencies", "$ref")  # of these also an empty one
BRANCHES = ("allOf", "oneOf", "anyOf")
LIST_TYPE, MAP_TYPE, MAP_KEYS = "x-kubernetes-list-type", "x-kubernetes-map-type", "x-kubernetes-list-map-keys"
EMBEDDED, PRESERVE = "x-kubernetes-embedded-resource", "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING, VALIDATIONS = "x-kubernetes-int-or-string", "x-kubernetes-validations"


def ruled(schema: Any) -> bool:
    """Whether there are rules in CEL anywhere in a schema."""
    if isinstance(schema, Mapping):
        return VALIDATIONS in schema or any(map(ruled, schema.values()))
    return isinstance(schema, list) and any(map(ruled, schema))


# --- keywords ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """Where in the schema: whether it is metadata, and why there may be no default."""

    root: bool = False
    in_metadata: bool = False
    no_default: str = ""
    any_type: bool = False


def openapi(schema: Schema, path: Path, no_default: str = "", any_type: bool = False) -> Errors:
    """Of a whole schema (ValidateCustomResourceDefinitionOpenAPISchema); `no_default`: why there may be no default anywhere."""
    return _openapi(schema, path, _Place(root=True, no_default=no_default, any_type=any_type))


def _openapi(schema: Schema, path: Path, place: _Place) -> Errors:
    errors = _keywords(schema, path, place)
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        errors.append(field.forbidden(path / "uniqueItems", why))
    below = replace(place, root=False)
    extra = schema.get("additionalProperties")
    if extra is not None and extra is not True and schema.get("properties"):
        why = "additionalProperties and properties are mutual exclusive"
        errors.append(field.forbidden(path / "additionalProperties", why))
    if isinstance(extra, Mapping):
        why = "inside additionalProperties applying to object metadata" if place.in_metadata else below.no_default
        errors += _openapi(extra, path / "additionalProperties", replace(below, no_default=why))
    for name, one in (schema.get("properties") or {}).items():
        errors += _openapi(one, (path / "properties").key(name), _of_property(schema, name, place))
    for name in ("patternProperties", "definitions"):
        for key, one in (schema.get(name) or {}).items():
            errors += _openapi(one, (path / name).key(key), below)
    if isinstance(schema.get("not"), Mapping):
        errors += _openapi(schema["not"], path / "not", below)
    for word in BRANCHES:
        for index, one in enumerate(schema.get(word) or ()):
            errors += _openapi(one, path / word / index, below)
    if isinstance(schema.get("items"), Mapping):
        errors += _openapi(schema["items"], path / "items", below)
    return errors + _extensions(schema, path)


def _of_property(schema: Schema, name: str, place: _Place) -> _Place:
    if name in META and (place.root or schema.get(EMBEDDED)):
        why = f"in top-level {name}" if place.root else place.no_default
        return _Place(in_metadata=True, no_default=why, any_type=place.any_type)
    return replace(place, root=False)


def _keywords(schema: Schema, path: Path, place: _Place) -> Errors:
    errors: Errors = []
    if schema.get("default") is not None and place.no_default:
        errors.append(field.forbidden(path / "default", f"must not be set {place.no_default}"))
    for name in UNSUPPORTED:
        if schema.get(name) is not None and (name in POINTERS or schema[name] not in ("", {})):
            errors.append(field.forbidden(path / name, f"{name} is not supported"))
    kind = schema.get("type") or ""
    if kind == "null":
        errors.append(field.forbidden(path / "type", "type cannot be set to null, use nullable as an alternative"))
    elif kind and kind not in TYPES and not place.any_type:
        errors.append(field.not_supported(path / "type", kind, TYPES))
    if isinstance(schema.get("items"), list):
        errors.append(field.forbidden(path / "items", "items must be a schema object and not an array"))
    if place.in_metadata and schema.get(EMBEDDED):
        errors.append(field.forbidden(path / EMBEDDED, "must not be used inside of resource meta"))
    return errors


def _extensions(schema: Schema, path: Path) -> Errors:
    errors: Errors = []
    if schema.get(PRESERVE) is False:
        errors.append(field.invalid(path / PRESERVE, False, "must be true or undefined"))
    if (map_type := schema.get(MAP_TYPE)) is not None:
        errors += _must_be("object", schema, path, f"must be object if {MAP_TYPE} is specified")
        if map_type not in ("atomic", "granular"):
            errors.append(field.not_supported(path / MAP_TYPE, map_type, ("atomic", "granular")))
    list_type, keys = schema.get(LIST_TYPE), schema.get(MAP_KEYS) or ()
    if list_type is not None:
        errors += _must_be("array", schema, path, f"must be array if {LIST_TYPE} is specified")
        if list_type not in ("atomic", "set", "map"):
            errors.append(field.not_supported(path / LIST_TYPE, list_type, ("atomic", "set", "map")))
    if keys and list_type != "map":
        why = f"must be map if {MAP_KEYS} is non-empty"
        at = path / LIST_TYPE
        errors.append(field.invalid(at, list_type, why) if list_type else field.required(at, why))
    if list_type == "map":
        errors += _map_list(schema, path, keys)
    return errors + _item_identity(schema, path, list_type, keys)


def _must_be(kind: str, schema: Schema, path: Path, why: str) -> Errors:
    given = schema.get("type")
    if given == kind:
        return []
    return [field.invalid(path / "type", given, why) if given else field.required(path / "type", why)]


def _map_list(schema: Schema, path: Path, keys: Iterable[str]) -> Errors:
    errors: Errors = []
    if not keys:
        errors.append(field.required(path / MAP_KEYS, f"must not be empty if {LIST_TYPE} is map"))
    items = schema.get("items")
    if items is None:
        return [*errors, field.required(path / "items", f"must have a schema if {LIST_TYPE} is map")]
    if not isinstance(items, Mapping):
        why = f"must only have a single schema if {LIST_TYPE} is map"
        return [*errors, field.invalid(path / "items", items, why)]
    if items.get("type") != "object":
        why = f"must be object if parent array's {LIST_TYPE} is map"
        return [*errors, field.invalid(path / "items" / "type", items.get("type") or "", why)]
    given, properties = list(keys), items.get("properties") or {}
    seen: set[str] = set()
    for key in given:
        kind = (properties.get(key) or {}).get("type")
        if key not in properties:
            errors.append(field.invalid(path / MAP_KEYS, given, "entries must all be names of item properties"))
        elif kind in ("array", "object"):
            why = f"must be a scalar type if parent array's {LIST_TYPE} is map"
            errors.append(field.invalid((path / "items" / "properties").key(key) / "type", items["type"], why))
        if key in seen:
            errors.append(field.invalid(path / MAP_KEYS, given, "must not contain duplicate entries"))
        seen.add(key)
    return errors


def _item_identity(schema: Schema, path: Path, list_type: Any, keys: Iterable[str]) -> Errors:
    """Items of sets and maps can be told apart (validateMapListKeysMapSet)."""
    items = schema.get("items")
    if not isinstance(items, Mapping) or list_type not in ("set", "map"):
        return []
    errors: Errors = []
    at = path / "items"
    if items.get("nullable"):
        errors.append(field.forbidden(at / "nullable", f"cannot be nullable when {LIST_TYPE} is {list_type}"))
    if list_type == "set":
        return errors + _atomic_items(items, at)
    for key in keys:
        one = (items.get("properties") or {}).get(key)
        if one is None:
            continue
        place = (at / "properties").key(key)
        if key not in (items.get("required") or ()) and one.get("default") is None:
            why = f"this property is in {MAP_KEYS}, so it must have a default or be a required property"
            errors.append(field.required(place / "default", why))
        if one.get("nullable"):
            why = f"this property is in {MAP_KEYS}, so it cannot be nullable"
            errors.append(field.forbidden(place / "nullable", why))
    return errors


def _atomic_items(items: Schema, path: Path) -> Errors:
    why = f"must be atomic as item of a list with {LIST_TYPE}=set"
    if items.get("type") == "array" and items.get(LIST_TYPE) not in (None, "atomic"):
        return [field.invalid(path / LIST_TYPE, items[LIST_TYPE], why)]
    if items.get("type") == "object" and items.get(MAP_TYPE) != "atomic":
        return [field.invalid(path / MAP_TYPE, items.get(LIST_TYPE), why)]  # upstream shows the other keyword's value
    return []


def unread_keyword(schema: Schema) -> str:
    """Why the schema cannot be read as a structural one; "" where it can (upstream: pkg/apiserver/schema/convert.go)."""
    for name in ("id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions"):
        value = schema.get(name)
        if value or (name == "additionalItems" and value is not None):
            return f"OpenAPIV3Schema '{name.removeprefix('$') if name == '$schema' else name}' is not supported"
    if isinstance(schema.get("items"), list):
        return "OpenAPIV3Schema 'items' must be a schema, but is an array"
    if schema.get(PRESERVE) is False:
        return f"internal error: '{PRESERVE}' must be true or undefined"
    below = [schema.get("not"), schema.get("items"), schema.get("additionalProperties")]
    below += [one for word in BRANCHES for one in schema.get(word) or ()]
    below += (schema.get("properties") or {}).values()
    return next((why for one in below if isinstance(one, Mapping) and (why := unread_keyword(one))), "")


# --- structural --------------------------------------------------------------------------------


def structure(schema: Schema, path: Path) -> Errors:
    """The invariants of structural schemas, in the order of their texts (ValidateStructural)."""
    errors = _invariants(schema, "root", path) + _complete(schema, path)
    return sorted(errors, key=str)


def _invariants(schema: Schema, level: Level, path: Path) -> Errors:
    errors: Errors = []
    items, extra, kind = schema.get("items"), schema.get("additionalProperties"), schema.get("type") or ""
    if kind == "array" and items is None:
        errors.append(field.required(path / "items", "must be specified"))
    if isinstance(items, Mapping):
        errors += _invariants(items, "item", path / "items")
    for name, one in (schema.get("properties") or {}).items():
        errors += _invariants(one, "field", (path / "properties").key(name))
    if extra is not None:
        if level == "root":
            errors.append(field.forbidden(path / "additionalProperties", "must not be used at the root"))
        if isinstance(extra, Mapping):
            errors += _invariants(extra, "field", path / "additionalProperties")
    if schema.get(INT_OR_STRING):
        for name in (PRESERVE, EMBEDDED):
            if schema.get(name):
                errors.append(field.invalid(path / name, True, f"must be false if {INT_OR_STRING} is true"))
    skip = "anyOf" if _int_or_string(schema.get("anyOf")) else ""
    errors += _value_validation(schema, path, skip_any=bool(skip), skip_first=_int_or_string_all_of(schema))
    return errors + _type(schema, kind, level, path) + _metadata(schema, level, path)


def _type(schema: Schema, kind: str, level: Level, path: Path) -> Errors:
    errors: Errors = []
    at, embedded = path / "type", schema.get(EMBEDDED)
    if embedded and kind != "object":
        why = f"must be object if {EMBEDDED} is true"
        errors.append(field.invalid(at, kind, why) if kind else field.required(at, why))
    elif not kind and not schema.get(INT_OR_STRING) and not schema.get(PRESERVE):
        where = {
            "root": "at the root",
            "item": "for specified array items",
            "field": "for specified object fields",
        }
        errors.append(field.required(at, f"must not be empty {where[level]}"))
    if embedded and schema.get("additionalProperties") is not None:
        why = f"must not be used if {EMBEDDED} is set"
        errors.append(field.forbidden(path / "additionalProperties", why))
    if level == "root" and kind and kind != "object":
        errors.append(field.invalid(at, kind, "must be object at the root"))
    if embedded and not schema.get(PRESERVE) and not schema.get("properties"):
        why = f"must not be empty if {EMBEDDED} is true without {PRESERVE}"
        errors.append(field.required(path / "properties", why))
    return errors


def _metadata(schema: Schema, level: Level, path: Path) -> Errors:
    """kind, apiVersion and metadata may be restricted a little, not redefined."""
    if level != "root" and not schema.get(EMBEDDED):
        return []
    errors: Errors = []
    properties = schema.get("properties") or {}
    for name in ("kind", "apiVersion"):
        kind = (properties.get(name) or {}).get("type") or ""
        if name in properties and kind != "string":
            errors.append(field.invalid((path / "properties").key(name) / "type", kind, "must be string"))
    if "metadata" not in properties:
        return errors
    given, at = properties["metadata"], (path / "properties").key("metadata")
    if given.get("type") != "object":
        errors.append(field.invalid(at / "type", given.get("type") or "", "must be object"))
    rest = {key: value for key, value in given.items() if key not in ("type", "properties", "default")}
    if level == "root" and (rest or set(given.get("properties") or ()) - {"name", "generateName"}):
        why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        errors.append(field.forbidden(at, why))
    return errors


def _int_or_string(branches: Any) -> bool:
    return bool(branches == [{"type": "integer"}, {"type": "string"}])


def _int_or_string_all_of(schema: Schema) -> bool:
    branches: Sequence[Schema] = schema.get("allOf") or ()
    return bool(branches) and _int_or_string(branches[0].get("anyOf"))


def _value_validation(schema: Schema, path: Path, *, skip_any: bool, skip_first: bool) -> Errors:
    errors: Errors = []
    if not skip_any:
        for index, one in enumerate(schema.get("anyOf") or ()):
            errors += _nested(one, path / "anyOf" / index)
    for index, one in enumerate(schema.get("allOf") or ()):
        errors += _nested(one, path / "allOf" / index, skip_any=skip_first and not index)
    for index, one in enumerate(schema.get("oneOf") or ()):
        errors += _nested(one, path / "oneOf" / index)
    if isinstance(schema.get("not"), Mapping):
        errors += _nested(schema["not"], path / "not")
    if pattern := schema.get("pattern"):
        errors += _pattern(pattern, path / "pattern")
    return errors


def _pattern(pattern: str, path: Path) -> Errors:
    try:
        goregexp.check(pattern)
    except goregexp.RegexpError as error:
        return [field.invalid(path, pattern, f"must be a valid regular expression, but isn't: {error}")]
    return []


_FORBIDDEN = (
    ("type", "must be empty to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    (PRESERVE, "must be false to be structural"),
    (EMBEDDED, "must be false to be structural"),
    (INT_OR_STRING, "must be false to be structural"),
    (MAP_KEYS, "must be empty to be structural"),
    (LIST_TYPE, "must be undefined to be structural"),
    (MAP_TYPE, "must be undefined to be structural"),
    (VALIDATIONS, "must be empty to be structural"),
)


def _nested(schema: Schema, path: Path, skip_any: bool = False) -> Errors:
    """Below allOf, anyOf, oneOf, not: only what restricts values."""
    errors = _value_validation(schema, path, skip_any=skip_any, skip_first=False)
    if isinstance(schema.get("items"), Mapping):
        errors += _nested(schema["items"], path / "items")
    for name, one in (schema.get("properties") or {}).items():
        errors += _nested(one, (path / "properties").key(name))
    if schema.get("additionalProperties") not in (None, False):
        errors.append(field.forbidden(path / "additionalProperties", "must be undefined to be structural"))
    errors += [field.forbidden(path / name, why) for name, why in _FORBIDDEN if schema.get(name)]
    if "metadata" in (schema.get("properties") or {}):
        why = "must not be specified in a nested context"
        errors.append(field.forbidden((path / "properties").key("metadata"), why))
    return errors


def _complete(schema: Schema, path: Path) -> Errors:
    """What a branch of the root restricts is declared outside of it, too; branches further in are not asked (upstream: complete.go)."""
    errors: Errors = []
    for one, at in _branches(schema, path):
        errors += _covered(schema, one, at, path)
    return errors


def _branches(schema: Schema, path: Path) -> Iterable[tuple[Schema, Path]]:
    for word in BRANCHES:
        for index, one in enumerate(schema.get(word) or ()):
            yield one, path / word / index
    if isinstance(schema.get("not"), Mapping):
        yield schema["not"], path / "not"


def _covered(outer: Schema, nested: Schema, at: Path, path: Path) -> Errors:
    errors: Errors = []
    for one, below in _branches(nested, at):
        errors += _covered(outer, one, below, path)
    if isinstance(nested.get("items"), Mapping):
        if isinstance(outer.get("items"), Mapping):
            errors += _covered(outer["items"], nested["items"], at / "items", path / "items")
        else:
            errors.append(field.required(path / "items", f"because it is defined in {at / 'items'}"))
    properties = outer.get("properties") or {}
    for name, one in (nested.get("properties") or {}).items():
        place, inner = (path / "properties").key(name), (at / "properties").key(name)
        if name in properties:
            errors += _covered(properties[name], one, inner, place)
        else:
            errors.append(field.required(place, f"because it is defined in {inner}"))
    return errors


# --- defaults ----------------------------------------------------------------------------------


def default_values(schema: Schema, path: Path) -> Errors:
    """Each default fits its schema, and loses nothing by pruning (ValidateDefaults)."""
    errors: Errors = []
    given = schema.get("default")
    if given is not None:
        errors += _default(schema, given, path / "default")
    if isinstance(schema.get("items"), Mapping):
        errors += default_values(schema["items"], path / "items")
    for name, one in (schema.get("properties") or {}).items():
        errors += default_values(one, (path / "properties").key(name))
    return errors


def _default(schema: Schema, given: Any, path: Path) -> Errors:
    compiled, pruned = Structural(schema), json_copy(given)
    errors: Errors = []
    if structural.prune(pruned, compiled):
        errors.append(field.invalid(path, given, "must not have unknown fields"))
    if embedded := objectmeta.validate_embedded(given, compiled, path):
        return errors + embedded
    return errors + [_placed(error, path) for error in Rules(schema).check(given)]


def _placed(error: FieldError, path: Path) -> FieldError:
    if error.field in ("", NOWHERE):
        return FieldError(error.reason, str(path), error.body)
    return FieldError(error.reason, f"{path}{'' if error.field.startswith('[') else '.'}{error.field}", error.body)
