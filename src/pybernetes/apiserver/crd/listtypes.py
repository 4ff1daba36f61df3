"""Lists that are sets or maps hold nothing twice (upstream: pkg/apiserver/schema/listtype)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path

from .structural import Structural

_encode = msgspec.json.Encoder(order="sorted").encode


def duplicates(value: Any, schema: Structural, path: Path) -> list[FieldError]:
    """One error for each item that another is equal to, or has the keys of."""
    if not schema.lists:
        return []
    errors: list[FieldError] = []
    if isinstance(value, dict):
        for key, item in value.items():
            below = schema.properties.get(key, schema.additional)
            if below is not None and below.lists:
                errors += duplicates(item, below, path / key if key in schema.properties else path.key(key))
    elif isinstance(value, list):
        if schema.list_type == "set":
            errors += _twice(value, value, path)
        elif schema.list_type == "map":
            errors += _twice([_keys(item, schema.keys) for item in value], value, path)
        if schema.items is not None and schema.items.lists:
            for index, item in enumerate(value):
                errors += duplicates(item, schema.items, path / index)
    return errors


def _keys(item: Any, keys: Sequence[str]) -> Any:
    return {key: item[key] for key in keys if key in item} if isinstance(item, dict) else item


def _twice(identities: Sequence[Any], items: Sequence[Any], path: Path) -> list[FieldError]:
    seen: set[bytes] = set()
    errors = []
    for index, identity in enumerate(identities):
        text = _encode(identity)
        if text in seen:
            errors.append(field.duplicate(path / index, identity))
        seen.add(text)
    return errors
