"""Metadata of custom resources, and of the resources embedded in them (upstream: pkg/apiserver/schema/objectmeta)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path

from ..kinds import meta
from ..kinds.validation import dns1035_label_errors
from ..resource import Object
from .structural import Structural

NAME = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
EMPTY = "must not be empty"

# A metadata object as it is kept, and its fields that there are not. StatusError where it is none.
Clean = Callable[[Any], tuple[Object, list[str]]]


def clean_embedded(value: Any, schema: Structural, clean: Clean, path: str = "") -> list[str]:
    """Rewrites the metadata of each embedded resource, in place; the paths of unknown fields in them."""
    if not schema.embeds:
        return []
    unknown: list[str] = []
    if isinstance(value, dict):
        if schema.embedded and isinstance(value.get("metadata"), dict):
            value["metadata"], names = clean(value["metadata"])
            unknown += [f"{path}metadata.{name}" for name in names]
        for key, item in value.items():
            below = schema.properties.get(key, schema.additional)
            if below is not None and below.embeds:
                unknown += clean_embedded(item, below, clean, f"{path}{key}.")
    elif isinstance(value, list) and schema.items is not None:
        for index, item in enumerate(value):
            unknown += clean_embedded(item, schema.items, clean, f"{path[:-1]}[{index}].")
    return unknown


def validate_embedded(value: Any, schema: Structural, path: Path) -> list[FieldError]:
    """Kind, version and metadata of each embedded resource."""
    if not schema.embeds:
        return []
    errors: list[FieldError] = []
    if isinstance(value, dict):
        if schema.embedded:
            errors += _embedded(value, path)
        for key, item in value.items():
            below = schema.properties.get(key, schema.additional)
            if below is not None and below.embeds:
                errors += validate_embedded(item, below, path / key if key in schema.properties else path.key(key))
    elif isinstance(value, list) and schema.items is not None:
        for index, item in enumerate(value):
            errors += validate_embedded(item, schema.items, path / index)
    return errors


def _embedded(obj: Object, path: Path) -> list[FieldError]:
    errors = [field.required(path / name, EMPTY) for name in ("apiVersion", "kind") if name not in obj]
    if "apiVersion" in obj:
        errors += _type_field(obj["apiVersion"], path / "apiVersion", _version_errors)
    if "kind" in obj:
        errors += _type_field(obj["kind"], path / "kind", _kind_errors)
    metadata = obj.get("metadata")
    if isinstance(metadata, dict):
        named = metadata if metadata.get("name") else {**metadata, "name": "fakename"}
        namespaced = bool(metadata.get("namespace"))
        check = meta.path_segment_errors
        errors += meta.validate_object_meta(named, namespaced, check, path / "metadata", known_finalizers=False)
    elif metadata is not None:
        errors.append(field.invalid(path / "metadata", metadata, "must be an object"))
    return errors


def _type_field(value: Any, path: Path, check: Callable[[str], list[str]]) -> list[FieldError]:
    if not isinstance(value, str):
        return [field.invalid(path, value, "must be a string")]
    if not value:
        return [field.invalid(path, value, EMPTY)]
    return [field.invalid(path, value, why) for why in check(value)]


def _version_errors(value: str) -> list[str]:
    return [f"unexpected GroupVersion string: {value}"] if value.count("/") > 1 else []


def _kind_errors(value: str) -> list[str]:
    why = dns1035_label_errors(value.lower())
    return [f"may have mixed case, but should otherwise match: {','.join(why)}"] if why else []
