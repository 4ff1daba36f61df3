"""ValidatingAdmissionPolicy of admissionregistration.k8s.io/v1 (upstream: pkg/registry/admissionregistration/validatingadmissionpolicy)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..conditions import validate_conditions
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec, keep_status
from ..validation import qualified_name
from . import policies

SPEC = Path("spec")
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
MAX_ANNOTATIONS = 20
EITHER = "validations or auditAnnotations must contain at least one item"


def prepare_create(policy: Object) -> None:
    """Its types are not checked yet."""
    policy["status"] = {}


def validate(policy: Object) -> Errors:
    """ValidateValidatingAdmissionPolicy."""
    spec = policy.get("spec") or {}
    errors = policies.validate(spec)
    validations, annotations = spec.get("validations") or (), spec.get("auditAnnotations") or ()
    if not validations and not annotations:
        return errors + [field.required(SPEC / name, EITHER) for name in ("validations", "auditAnnotations")]
    for index, item in enumerate(validations):
        errors += _validation(SPEC / "validations" / index, item)
    at = SPEC / "auditAnnotations"
    if len(annotations) > MAX_ANNOTATIONS:
        why = f"must not have more than {MAX_ANNOTATIONS} auditAnnotations"
        errors.append(field.invalid(at, list(annotations), why))
    seen: set[str] = set()
    for index, item in enumerate(annotations):
        key = item.get("key") or ""
        errors += qualified_name(at / index / "key", key) if key else [field.required(at / index / "key")]
        if key and key in seen:
            errors.append(field.duplicate(at / index / "key", key))
        seen.add(key)
        if not (item.get("valueExpression") or "").strip():
            errors.append(field.required(at / index / "valueExpression", "valueExpression is not specified"))
    return errors


def _validation(path: Path, item: Mapping[str, Any]) -> Errors:
    errors: Errors = []
    if not (item.get("expression") or "").strip():
        errors.append(field.required(path / "expression", "expression is not specified"))
    message, computed = item.get("message") or "", item.get("messageExpression") or ""
    if message and not message.strip():
        errors.append(field.invalid(path / "message", message, "message must be non-empty if specified"))
    elif "\n" in message.strip():
        errors.append(field.invalid(path / "message", message, "message must not contain line breaks"))
    if computed and not computed.strip():
        why = "must be non-empty if specified"
        errors.append(field.invalid(path / "messageExpression", computed, why))
    reason = item.get("reason")
    if reason is not None and reason not in REASONS:
        errors.append(field.not_supported(path / "reason", reason, REASONS))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


def validate_status(new: Object, old: Object) -> Errors:
    """Its conditions."""
    return validate_conditions(Path("status.conditions"), (new.get("status") or {}).get("conditions") or ())


def row(policy: Object, now: datetime) -> list[Any]:
    """Name, Validations, ParamKind, Age."""
    count = len((policy.get("spec") or {}).get("validations") or ())
    return [policy["metadata"]["name"], count, policies.param_kind(policy), object_age(policy, now)]


RESOURCE = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    name="validatingadmissionpolicies",
    kind="ValidatingAdmissionPolicy",
    schema="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
    namespaced=False,
    categories=("api-extensions",),
    status=True,
    default=policies.default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    allow_unconditional_update=False,
    validate_status=validate_status,
    warnings=policies.warnings,
    columns=(
        NAME,
        Column("Validations", type="integer", description="How many validations there are"),
        Column("ParamKind", description="The kind of the policy's parameters"),
        AGE,
    ),
    row=row,
)
