"""additionalPrinterColumns as columns of a table (upstream: pkg/registry/customresource/tableconvertor)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ..kinds.printing import AGE, NAME, age
from ..resource import Column, Object
from . import jsonpath

AGE_COLUMN = {"name": "Age", "type": "date", "description": AGE.description, "jsonPath": ".metadata.creationTimestamp"}

Given = Sequence[Mapping[str, Any]]


def columns(given: Given) -> list[Column]:
    """The name, then what is given; without any, the age."""
    return [NAME, *(_column(one) for one in given or (AGE_COLUMN,))]


def _column(given: Mapping[str, Any]) -> Column:
    path = given.get("jsonPath", "")
    described = given.get("description") or f"Custom resource definition column (in JSONPath format): {path}"
    kind, form = given.get("type") or "string", given.get("format") or ""
    return Column(given.get("name", ""), kind, form, described, given.get("priority") or 0)


def row(given: Given) -> Callable[[Object, datetime], list[Any]]:
    """The cells of an object; null for what is missing or of another type."""
    finders = [(_finder(one.get("jsonPath", "")), one.get("type") or "string") for one in given or (AGE_COLUMN,)]

    def cells(obj: Object, now: datetime) -> list[Any]:
        cells = [obj["metadata"]["name"]]
        for find, kind in finders:
            values = find(obj)
            cells.append(_cell(values[0], kind, now) if values else None)
        return cells

    return cells


def _finder(path: str) -> Callable[[Any], list[Any]]:
    try:
        return jsonpath.compiled(path)
    except jsonpath.JSONPathError:
        return lambda obj: []  # upstream shows such a column as empty, too


def _cell(value: Any, kind: str, now: datetime) -> Any:
    if value is None:
        return None
    match kind:
        case "string":
            return _text(value)
        case "integer":
            return int(value) if type(value) in (int, float) else None
        case "number":
            return value if type(value) in (int, float) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return _since(value, now) if isinstance(value, str) else None
    return None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return str(value)


def _since(value: str, now: datetime) -> str:
    try:
        return age(value, now)
    except ValueError:
        return "<invalid>"
