"""DeleteOptions as they were given, checked (upstream: meta/v1/validation ValidateDeleteOptions)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pybernetes.api import errors
from pybernetes.api.field import FieldError, Path, invalid

from ..authentication.user import User
from ..generic.options import DeleteOptions
from ..resource import Object

GIVEN = ("gracePeriodSeconds", "preconditions", "orphanDependents", "propagationPolicy")  # what admission is told
POLICIES = ("Foreground", "Background", "Orphan")

_encode = msgspec.json.Encoder().encode


def supported(value: Any, allowed: Sequence[str]) -> str:
    """What a value is not."""
    listed = ", ".join(f'"{a}"' for a in allowed)
    return f"Unsupported value: {_encode(value).decode()}: supported values: {listed}"


def dry_run_problems(values: Sequence[str]) -> list[FieldError]:
    """It is All or left out; empty text is neither (upstream: apimachinery validation.ValidateDryRun)."""
    if all(value == "All" for value in values):
        return []
    return [FieldError("FieldValueNotSupported", "dryRun", supported(values, ("All",)))]


def delete_options(given: Object, user: User) -> DeleteOptions:
    """StatusError 422 for what does not go together."""
    conditions, dry_run = given.get("preconditions") or {}, given.get("dryRun") or []
    propagation, orphan = given.get("propagationPolicy"), given.get("orphanDependents")
    problems: list[FieldError] = []
    if orphan is not None and propagation is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        problems.append(invalid(Path("propagationPolicy"), propagation, why))
    if propagation not in (None, *POLICIES):
        cause = supported(propagation, (*POLICIES, "nil"))
        problems.append(FieldError("FieldValueNotSupported", "propagationPolicy", cause))
    problems += dry_run_problems(dry_run)
    if problems:
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", problems)
    if orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    return DeleteOptions(
        user=user,
        dry_run=bool(dry_run),
        grace_period_seconds=given.get("gracePeriodSeconds"),
        uid=conditions.get("uid"),
        resource_version=conditions.get("resourceVersion"),
        propagation=propagation or "",
        cascades=orphan is False,
        given={name: given[name] for name in GIVEN if given.get(name) is not None},
    )
