"""metav1.Conditions (upstream: apimachinery/pkg/apis/meta/v1/validation, ValidateConditions)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from .validation import Errors, qualified_name, regex_error

STATUSES = ("False", "True", "Unknown")
MAX_REASON, MAX_MESSAGE = 1024, 32 * 1024
_REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
_REASON_TEXT = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_'"
)


def validate_conditions(path: Path, conditions: Sequence[Mapping[str, Any]]) -> Errors:
    """Each is complete, and each type is there once."""
    errors: Errors = []
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        kind = condition.get("type") or ""
        if kind in seen:
            errors.append(field.duplicate(path / index / "type", kind))
        seen.add(kind)
        errors += _condition(path / index, condition)
    return errors


def _condition(path: Path, condition: Mapping[str, Any]) -> Errors:
    errors = qualified_name(path / "type", condition.get("type") or "")
    if condition.get("status") not in STATUSES:
        errors.append(field.not_supported(path / "status", condition.get("status") or "", STATUSES))
    generation = condition.get("observedGeneration") or 0
    if generation < 0:
        why = "must be greater than or equal to zero"
        errors.append(field.invalid(path / "observedGeneration", generation, why))
    if not condition.get("lastTransitionTime"):
        errors.append(field.required(path / "lastTransitionTime", "must be set"))
    reason = condition.get("reason") or ""
    if not reason:
        errors.append(field.required(path / "reason", "must be set"))
    elif not _REASON.fullmatch(reason):
        text = regex_error(
            _REASON_TEXT, _REASON.pattern, "my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"
        )
        errors.append(field.invalid(path / "reason", reason, text))
    for name, limit in (("reason", MAX_REASON), ("message", MAX_MESSAGE)):
        if len((condition.get(name) or "").encode()) > limit:
            errors.append(field.too_long(path / name, limit))
    return errors
