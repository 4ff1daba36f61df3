"""Structural schemas compiled for walking: pruning and defaulting (upstream: pkg/apiserver/schema/{pruning,defaulting})."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pybernetes.api.jsoncopy import json_copy

from ..resource import Object

_encode = msgspec.json.Encoder().encode

META = frozenset({"apiVersion", "kind", "metadata"})
MAX_JSON_INTEGER = 2**53
ABSENT: Any = object()  # no default: a default may be any value

Schema = Mapping[str, Any]


class Structural:
    """One place of a schema. `additional`: what other keys hold, None where there may be none."""

    __slots__ = (
        "additional",
        "default",
        "defaults",
        "embedded",
        "embeds",
        "items",
        "keys",
        "list_type",
        "lists",
        "nullable",
        "preserve",
        "properties",
    )

    def __init__(self, schema: Schema, root: bool = False) -> None:
        self.properties: dict[str, Structural] = {
            name: Structural(below) for name, below in (schema.get("properties") or {}).items()
        }
        if root:
            for name in META:
                self.properties.pop(name, None)  # checked as metadata, whatever the schema says of it
        items, additional = schema.get("items"), schema.get("additionalProperties")
        self.items = Structural(items) if isinstance(items, Mapping) else None
        self.additional: Structural | None = None
        if isinstance(additional, Mapping):
            self.additional = Structural(additional)
        elif additional:
            self.additional = NOTHING
        self.preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        self.embedded = bool(schema.get("x-kubernetes-embedded-resource"))
        self.nullable = bool(schema.get("nullable"))
        self.default = ABSENT if schema.get("default") is None else schema["default"]
        self.list_type: str = schema.get("x-kubernetes-list-type") or ""
        self.keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        below = [*self.properties.values(), *(s for s in (self.items, self.additional) if s is not None)]
        # Whether there is anything below to look for: most schemas have neither, and are not walked then.
        self.defaults: bool = any(s.defaults or s.default is not ABSENT for s in below)
        self.embeds: bool = self.embedded or any(s.embeds for s in below)
        self.lists: bool = self.list_type in ("set", "map") or any(s.lists for s in below)


NOTHING = Structural({})  # of `additionalProperties: true`: values without a schema, in which objects keep nothing


def prune(value: Any, schema: Structural, root: bool = False) -> list[str]:
    """Takes out what the schema does not name, in place; the paths of that. `root`: a whole resource."""
    unknown: list[str] = []
    _prune(value, schema, root, "", unknown)
    return unknown


def _prune(value: Any, schema: Structural, meta: bool, path: str, unknown: list[str]) -> None:
    if type(value) is dict:
        properties = schema.properties
        others = value.keys() - properties.keys()
        if others:
            if meta or schema.embedded:
                others -= META
            if schema.additional is not None:
                for key in others:
                    if type(value[key]) in (dict, list):
                        _prune(value[key], schema.additional, False, f"{path}{key}.", unknown)
            elif not schema.preserve:
                for key in sorted(others):
                    del value[key]
                    unknown.append(f"{path}{key}")
        for key, below in properties.items():
            item = value.get(key)
            if type(item) is dict or type(item) is list:
                _prune(item, below, False, f"{path}{key}.", unknown)
    elif type(value) is list:
        if schema.items is None and schema.preserve:
            return
        each = schema.items or NOTHING
        for index, item in enumerate(value):
            if type(item) is dict or type(item) is list:
                _prune(item, each, False, f"{path[:-1]}[{index}].", unknown)


def apply_defaults(value: Any, schema: Structural) -> None:
    """Fills in defaults, in place: where a field is absent, or null and may not be."""
    if not schema.defaults:
        return
    if type(value) is dict:
        for key, below in schema.properties.items():
            if below.default is not ABSENT and (value[key] is None and not below.nullable if key in value else True):
                value[key] = json_copy(below.default)
            if below.defaults and key in value:
                apply_defaults(value[key], below)
        extra = schema.additional
        if extra is not None:
            for key in value.keys() - schema.properties.keys():
                _default_item(value, key, extra)
    elif type(value) is list and schema.items is not None:
        for index in range(len(value)):
            _default_item(value, index, schema.items)


def _default_item(holder: Any, key: Any, schema: Structural) -> None:
    if holder[key] is None and not schema.nullable and schema.default is not ABSENT:
        holder[key] = json_copy(schema.default)
    apply_defaults(holder[key], schema)


def drop_nulls(value: Any, schema: Structural) -> None:
    """Takes out null where it may not be and nothing stands for it (PruneNonNullableNullsWithoutDefaults)."""
    if type(value) is dict:
        for key, below in schema.properties.items():
            if key not in value:
                continue
            if value[key] is None:
                if not below.nullable and below.default is ABSENT:
                    del value[key]
            else:
                drop_nulls(value[key], below)
        if schema.additional is not None and schema.additional is not NOTHING:
            for key in value.keys() - schema.properties.keys():
                drop_nulls(value[key], schema.additional)
    elif type(value) is list and schema.items is not None:
        for item in value:
            drop_nulls(item, schema.items)


def whole_numbers(value: Any) -> Any:
    """1.0 as 1, in place: Go writes it so, and reads it back as an integer. What is no int64 is a float to Go.

    Beyond 2^53 floats are no integers (upstream: swag.IsFloat64AJSONInteger): they stay what they are.
    """
    if type(value) is float and value.is_integer() and abs(value) < MAX_JSON_INTEGER:
        return int(value)
    if type(value) is int and not -(2**63) <= value < 2**63:
        return float(value)
    if type(value) is dict:
        for key, item in value.items():
            value[key] = whole_numbers(item)
    elif type(value) is list:
        for index, item in enumerate(value):  # no comprehension: that is a frame a level
            value[index] = whole_numbers(item)
    return value


def prepare(obj: Object, schema: Structural) -> None:
    """Defaults and nulls of a whole resource."""
    apply_defaults(obj, schema)
    if b"null" in _encode(obj):  # in C, and seldom true
        drop_nulls(obj, schema)
