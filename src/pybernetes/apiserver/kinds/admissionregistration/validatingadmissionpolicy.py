"""ValidatingAdmissionPolicy of admissionregistration.k8s.io/v1 (upstream: pkg/registry/admissionregistration/validatingadmissionpolicy)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..conditions import validate_conditions
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec, keep_status
from ..validation import qualified_name
from . import policies

if TYPE_CHECKING:
    from ...cel.expressions import Compiler

SPEC = Path("spec")
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
MAX_ANNOTATIONS = 20
MAX_VALUE_EXPRESSION = 5 * 1024  # bytes; what comes of it may have twice as many
EITHER = "validations or auditAnnotations must contain at least one item"


def prepare_create(policy: Object) -> None:
    """Its types are not checked yet."""
    policy["status"] = {}


def validate(policy: Object, old: Object | None = None) -> Errors:
    """ValidateValidatingAdmissionPolicy."""
    spec = policy.get("spec") or {}
    compiler = policies.compiler_of(spec, composed=bool(spec.get("variables")))
    errors = policies.validate(spec, (old.get("spec") or {}) if old is not None else None, compiler)
    validations, annotations = spec.get("validations") or (), spec.get("auditAnnotations") or ()
    if not validations and not annotations:
        return errors + [field.required(SPEC / name, EITHER) for name in ("validations", "auditAnnotations")]
    for index, item in enumerate(validations):
        errors += _validation(SPEC / "validations" / index, item, compiler)
    at = SPEC / "auditAnnotations"
    if len(annotations) > MAX_ANNOTATIONS:
        why = f"must not have more than {MAX_ANNOTATIONS} auditAnnotations"
        errors.append(field.invalid(at, list(annotations), why))
    again = {index for index, _ in field.repeats([item.get("key") or "" for item in annotations])}
    for index, item in enumerate(annotations):
        errors += _annotation(at / index, (policy.get("metadata") or {}).get("name") or "", item, compiler)
        if index in again:
            errors.append(field.duplicate(at / index / "key", item.get("key") or ""))
    return errors


def _validation(path: Path, item: Mapping[str, Any], compiler: Compiler) -> Errors:
    from ...cel import expressions

    errors: Errors = []
    expression = item.get("expression") or ""
    if not expression.strip():
        errors.append(field.required(path / "expression", "expression is not specified"))
    else:
        compiled = compiler.compile(expression, expressions.CONDITION)
        errors += policies.compile_errors(path / "expression", compiled)
    message, computed = item.get("message") or "", item.get("messageExpression") or ""
    if computed and not computed.strip():
        errors.append(field.invalid(path / "messageExpression", computed, "must be non-empty if specified"))
    elif computed:
        compiled = compiler.compile(computed, expressions.MESSAGE, authorizer=False)
        errors += policies.compile_errors(path / "messageExpression", compiled)
    if message and not message.strip():
        errors.append(field.invalid(path / "message", message, "must be non-empty if specified"))
    elif any(end in message.strip() for end in "\n\r"):
        errors.append(field.invalid(path / "message", message, "must not contain line breaks"))
    reason = item.get("reason")
    if reason is not None and reason not in REASONS:
        errors.append(field.not_supported(path / "reason", reason, REASONS))
    return errors


def _annotation(path: Path, policy: str, item: Mapping[str, Any], compiler: Compiler) -> Errors:
    from ...cel import expressions

    key, expression = item.get("key") or "", (item.get("valueExpression") or "").strip()
    nameless = [field.invalid(path / "key", key, "requires metadata.name be non-empty")]
    errors = qualified_name(path / "key", f"{policy}/{key}") if policy else nameless
    at = path / "valueExpression"
    if not expression:
        errors.append(field.required(at, "valueExpression is not specified"))
    elif len(expression.encode()) > MAX_VALUE_EXPRESSION:
        errors.append(field.required(at, f"must not exceed {MAX_VALUE_EXPRESSION} bytes in length"))
    else:
        errors += policies.compile_errors(at, compiler.compile(expression, expressions.ANNOTATION))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new, old)


def validate_status(new: Object, old: Object) -> Errors:
    """Its conditions, and that warnings say what and of which field."""
    status = new.get("status") or {}
    errors: Errors = []
    at = Path("status.typeChecking.expressionWarnings")
    for index, warning in enumerate((status.get("typeChecking") or {}).get("expressionWarnings") or ()):
        errors += [field.required(at / index / name) for name in ("warning", "fieldRef") if not warning.get(name)]
    return errors + validate_conditions(Path("status.conditions"), status.get("conditions") or ())


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
    columns=(
        NAME,
        Column("Validations", type="integer", description="How many validations there are"),
        Column("ParamKind", description="The kind of the policy's parameters"),
        AGE,
    ),
    row=row,
)
