"""JSONSchemaProps at any depth: types checked, unknown and empty fields gone (upstream: pkg/apis/apiextensions/v1/types_jsonschema.go).

The generic decoder stops at schemas that hold schemas; this goes on from there.
"""

from __future__ import annotations

import functools
from decimal import Decimal
from typing import Any

from ..resource import Object
from ..schema import CompiledSchema, Validation

NAME = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition"

STRINGS = ("$schema", "description", "format", "id", "pattern", "title", "type")
POINTERS = ("$ref", "x-kubernetes-list-type", "x-kubernetes-map-type")  # text of which "" is said, too
FLAGS = (
    *("exclusiveMaximum", "exclusiveMinimum", "nullable", "uniqueItems"),
    *("x-kubernetes-embedded-resource", "x-kubernetes-int-or-string"),
)
FLAG_POINTERS = ("x-kubernetes-preserve-unknown-fields",)
INTEGERS = ("maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties")
NUMBERS = ("maximum", "minimum", "multipleOf")
TEXT_LISTS = ("required", "x-kubernetes-list-map-keys")
SCHEMAS = ("not",)
SCHEMA_LISTS = ("allOf", "anyOf", "oneOf")
SCHEMA_MAPS = ("definitions", "patternProperties", "properties")
ANYTHING = ("default", "example")
RULE = {
    "rule": str,
    "message": str,
    "messageExpression": str,
    "reason": str,
    "fieldPath": str,
    "optionalOldSelf": bool,
}


class Mistyped(Exception):
    """A field of the wrong type; the text is Go's."""


class DefinitionSchema(CompiledSchema):
    """The definition's own schema in one of its versions."""

    @classmethod
    @functools.cache
    def made(cls, version: str = "v1") -> DefinitionSchema:
        """Of a version the only one."""
        return cls(NAME.replace(".v1.", f".{version}."), f"apiextensions.k8s.io/{version}", "CustomResourceDefinition")

    def decode(self, body: bytes, validation: Validation = "Warn") -> tuple[Object, list[str]]:
        obj, warnings = super().decode(body, validation)
        return obj, warnings + self._deep(obj, validation)

    def normalize(
        self, document: Any, validation: Validation = "Ignore", from_map: bool = True
    ) -> tuple[Object, list[str]]:
        obj, warnings = super().normalize(document, validation, from_map)
        return obj, warnings + self._deep(obj, validation)

    def _deep(self, obj: Object, validation: Validation) -> list[str]:
        unknown: list[str] = []
        spec = obj.get("spec") or {}
        holders = [("spec.validation", spec.get("validation") or {})]  # in v1beta1
        for index, version in enumerate(spec.get("versions") or ()):
            holders.append((f"spec.versions[{index}].schema", version.get("schema") or {}))
        for place, holder in holders:
            if holder.get("openAPIV3Schema") is not None:
                at = f"{place}.openAPIV3Schema"
                try:
                    holder["openAPIV3Schema"] = clean(holder["openAPIV3Schema"], at, unknown)
                except Mistyped as error:
                    raise self.refused(str(error)) from None
        parts = [("spec", spec), *((f"spec.versions[{i}]", v) for i, v in enumerate(spec.get("versions") or ()))]
        for place, part in parts:
            status = (part.get("subresources") or {}).get("status") or {}
            unknown += [f"{place}.subresources.status.{name}" for name in status]
            status.clear()  # a struct without fields
        return self._strict([f'unknown field "{path}"' for path in unknown], validation)


def clean(schema: Any, path: str, unknown: list[str]) -> Any:
    """The schema as Go keeps it."""
    if schema is None:
        return {}  # of a list or map: Go's zero value
    if not isinstance(schema, dict):
        raise _mistyped(schema, path, "v1.JSONSchemaProps")
    cleaned: Object = {}
    for key, value in schema.items():
        at = f"{path}.{key}"
        if value is None:
            continue
        kept = _field(key, value, at, unknown)
        if kept is not None:
            cleaned[key] = kept
    return cleaned


def _field(key: str, value: Any, at: str, unknown: list[str]) -> Any:
    """None for what Go would not write."""
    if key in STRINGS or key in POINTERS:
        return _typed(value, str, at, "string") or ("" if key in POINTERS else None)
    if key in FLAGS or key in FLAG_POINTERS:
        return _typed(value, bool, at, "bool") or (False if key in FLAG_POINTERS else None)
    if key in INTEGERS:
        return _typed(value, int, at, "int64")
    if key in NUMBERS:
        if type(value) not in (int, float):
            raise _mistyped(value, at, "float64")
        return _float64(float(value))
    if key in TEXT_LISTS:
        items = _typed(value, list, at, "[]string")
        return ["" if item is None else _typed(item, str, at, "string") for item in items] or None
    if key in ANYTHING:
        return value
    if key == "enum":
        return _typed(value, list, at, "[]v1.JSON") or None
    if key == "externalDocs":
        return {k: v for k, v in _typed(value, dict, at, "v1.ExternalDocumentation").items() if v}
    if key == "x-kubernetes-validations":
        return [_rule(item, f"{at}[{i}]") for i, item in enumerate(_typed(value, list, at, "v1.ValidationRules"))]
    return _schemas(key, value, at, unknown)


def _float64(value: float) -> int | float:
    """As Go writes it: without an exponent below 1e21, in as few digits as tell it from its neighbours."""
    return int(Decimal(repr(value))) if value.is_integer() and abs(value) < 1e21 else value


def _schemas(key: str, value: Any, at: str, unknown: list[str]) -> Any:
    if key in SCHEMAS:
        return clean(value, at, unknown)
    if key in SCHEMA_LISTS:
        items = _typed(value, list, at, "[]v1.JSONSchemaProps")
        return [clean(item, f"{at}[{i}]", unknown) for i, item in enumerate(items)] or None
    if key in SCHEMA_MAPS:
        items = _typed(value, dict, at, "map[string]v1.JSONSchemaProps")
        return {name: clean(item, f"{at}.{name}", unknown) for name, item in items.items()} or None
    if key in ("additionalItems", "additionalProperties"):
        return value if isinstance(value, bool) else clean(value, at, unknown)
    if key == "items":
        if isinstance(value, list):
            return [clean(item, f"{at}[{i}]", unknown) for i, item in enumerate(value)]
        return clean(value, at, unknown)
    if key == "dependencies":
        items = _typed(value, dict, at, "v1.JSONSchemaDependencies")
        return {k: v if isinstance(v, list) else clean(v, f"{at}.{k}", unknown) for k, v in items.items()} or None
    unknown.append(at)
    return None


def _rule(rule: Any, at: str) -> Object:
    given = _typed(rule, dict, at, "v1.ValidationRule")
    cleaned = {
        k: _typed(v, RULE[k], f"{at}.{k}", RULE[k].__name__)
        for k, v in given.items()
        if k in RULE and v not in (None, "")
    }
    return {"rule": "", **cleaned}


def _typed(value: Any, kind: type, at: str, name: str) -> Any:
    if type(value) is not kind:
        raise _mistyped(value, at, name)
    return value


def _mistyped(value: Any, path: str, name: str) -> Mistyped:
    words = {str: "string", bool: "bool", int: "number", float: f"number {value}", list: "array", dict: "object"}
    place = "".join(part.split("]", 1)[-1] for part in path.split("["))
    word = words.get(type(value), "null")
    return Mistyped(f"json: cannot unmarshal {word} into Go struct field JSONSchemaProps.{place} of type {name}")
