"""What the tables of refusals have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pybernetes.api.field import FieldError

Object = dict[str, Any]


def fields(errors: list[FieldError]) -> list[str]:
    """Where, with the kind of refusal: `spec.a Required`."""
    return [f"{error.field} {error.reason.removeprefix('FieldValue')}" for error in errors]


def merged(base: Object, change: Object) -> Object:
    """A copy with some fields changed, None for left out (RFC 7386)."""
    made = {**base}
    for key, value in change.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            made[key] = merged(base[key], value)
        else:
            made[key] = value
    return made


def refusals(validate: Callable[[Object], list[FieldError]], base: Object, change: Object) -> list[str]:
    """Of the base with some fields changed."""
    return fields(validate(merged(base, change)))
