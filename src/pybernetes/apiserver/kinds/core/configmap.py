"""ConfigMap of v1 (upstream: core validation, ValidateConfigMap)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..validation import WHOLE_OBJECT, config_key_errors, each, same

MAX_SIZE = 1024 * 1024
SET_IMMUTABLE = "field is immutable when `immutable` is set"


def decoded_size(text: str) -> int:
    """Bytes behind a base64 text."""
    return len(text) * 3 // 4 - text[-2:].count("=")


def key_errors(path: Path, keys: Mapping[str, str]) -> Errors:
    """Each key can be the name of a file."""
    return [error for key in keys for error in each(path.key(key), key, config_key_errors(key))]


def immutable_errors(new: Object, old: Object, *names: str) -> Errors:
    """Once marked immutable, the data and the mark stay."""
    if not old.get("immutable"):
        return []
    errors: Errors = []
    if not new.get("immutable"):
        errors.append(field.forbidden(Path("immutable"), SET_IMMUTABLE))
    changed = [name for name in names if not same(new.get(name) or {}, old.get(name) or {})]
    return errors + [field.forbidden(Path(name), SET_IMMUTABLE) for name in changed]


def validate(config: Object) -> Errors:
    """Keys, and the size of all together."""
    data, binary = config.get("data") or {}, config.get("binaryData") or {}
    errors, path = list[FieldError](), Path("data")
    for key in data:
        errors += each(path.key(key), key, config_key_errors(key))
        if key in binary:
            errors.append(field.invalid(path.key(key), key, "duplicate of key present in binaryData"))
    errors += key_errors(Path("binaryData"), binary)
    size = sum(len(text.encode()) for text in data.values()) + sum(decoded_size(text) for text in binary.values())
    if size > MAX_SIZE:
        errors.append(field.too_long(WHOLE_OBJECT, MAX_SIZE))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation, and what is marked immutable stays."""
    return immutable_errors(new, old, "data", "binaryData") + validate(new)


def row(config: Object, now: datetime) -> list[Any]:
    """Name, Data, Age."""
    count = len(config.get("data") or {}) + len(config.get("binaryData") or {})
    return [config["metadata"]["name"], count, object_age(config, now)]


RESOURCE = Resource(
    group="",
    version="v1",
    name="configmaps",
    kind="ConfigMap",
    schema="io.k8s.api.core.v1.ConfigMap",
    meta_again=1,
    short_names=("cm",),
    generation=False,
    validate=validate,
    validate_update=validate_update,
    columns=(NAME, Column("Data"), AGE),
    row=row,
)
