"""MutatingAdmissionPolicy of admissionregistration.k8s.io/v1 (upstream: pkg/registry/admissionregistration/mutatingadmissionpolicy)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from . import policies, rules

if TYPE_CHECKING:
    from ...cel.expressions import Compiler

SPEC = Path("spec")
PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def default(policy: Object) -> None:
    """As validating ones; it is not asked again."""
    policies.default(policy)


def validate(policy: Object, old: Object | None = None) -> Errors:
    """ValidateMutatingAdmissionPolicy."""
    spec = policy.get("spec") or {}
    compiler = policies.compiler_of(spec, composed=True)
    before = (old.get("spec") or {}) if old is not None else None
    errors = policies.validate(spec, before, compiler, rules.MUTATING_OPERATIONS)
    mutations = spec.get("mutations") or ()
    if not mutations:
        errors.append(field.required(SPEC / "mutations", "mutations must contain at least one item"))
    for index, item in enumerate(mutations):
        errors += _mutation(SPEC / "mutations" / index, item, compiler)
    policy_name, at = spec.get("reinvocationPolicy") or "", SPEC / "reinvocationPolicy"
    if not policy_name:
        errors.append(field.required(at))
    elif policy_name not in rules.REINVOCATION_POLICIES:
        errors.append(field.not_supported(at, policy_name, rules.REINVOCATION_POLICIES))
    return errors


def _mutation(path: Path, item: Mapping[str, Any], compiler: Compiler) -> Errors:
    from ...cel import expressions

    kind = item.get("patchType") or ""
    if kind not in PATCHES:
        missing = field.required(path / "patchType")
        return [field.not_supported(path / "patchType", kind, tuple(PATCHES)) if kind else missing]
    errors: Errors = []
    own, at = PATCHES[kind], path / PATCHES[kind]
    if item.get(own) is None:
        errors.append(field.required(at, f"must be specified when patchType is {kind}"))
    elif not (expression := (item[own].get("expression") or "").strip()):
        errors.append(field.required(at / "expression"))
    else:
        expected = expressions.JSON_PATCH if own == "jsonPatch" else expressions.APPLY_CONFIGURATION
        errors += policies.compile_errors(at / "expression", compiler.compile(expression, expected, patches=True))
    for other, name in PATCHES.items():
        if other != kind and item.get(name) is not None:
            why = f"must not be specified when patchType is {kind}"
            errors.append(field.invalid(path / name, f"{{{name}}}", why))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new, old)


def row(policy: Object, now: datetime) -> list[Any]:
    """Name, Mutations, ParamKind, Age."""
    count = len((policy.get("spec") or {}).get("mutations") or ())
    return [policy["metadata"]["name"], count, policies.param_kind(policy), object_age(policy, now)]


RESOURCE = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    name="mutatingadmissionpolicies",
    kind="MutatingAdmissionPolicy",
    schema="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicy",
    namespaced=False,
    categories=("api-extensions",),
    default=default,
    validate=validate,
    validate_update=validate_update,
    allow_unconditional_update=False,
    columns=(
        NAME,
        Column("Mutations", type="integer", description="How many mutations there are"),
        Column("ParamKind", description="The kind of the policy's parameters"),
        AGE,
    ),
    row=row,
)
