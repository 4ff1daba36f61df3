"""ValidatingAdmissionPolicyBinding and MutatingAdmissionPolicyBinding of admissionregistration.k8s.io/v1: where a policy holds.

They differ in one field. Upstream: pkg/registry/admissionregistration/{validating,mutating}admissionpolicybinding.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..meta import path_segment_errors
from ..printing import AGE, NAME, go_selector, object_age
from ..validation import dns_subdomain, each, label_selector
from . import rules

SPEC = Path("spec")
NOT_FOUND_ACTIONS, ACTIONS = ("Deny", "Allow"), ("Audit", "Deny", "Warn")


def default(binding: Object) -> None:
    """Missing parameters refuse."""
    spec = binding.setdefault("spec", {})
    if spec.get("matchResources") is not None:
        rules.default_match(spec["matchResources"])
    reference = spec.get("paramRef")
    if reference is not None and reference.get("parameterNotFoundAction") is None:
        reference["parameterNotFoundAction"] = "Deny"


def _common(spec: Mapping[str, Any]) -> Errors:
    name, at = spec.get("policyName") or "", SPEC / "policyName"
    errors = dns_subdomain(at, name) if name else [field.required(at)]
    if (reference := spec.get("paramRef")) is not None:
        errors += _reference(SPEC / "paramRef", reference)
    if (match := spec.get("matchResources")) is not None:
        errors += rules.match_resources(SPEC / "matchResources", match)
    return errors


def _reference(path: Path, reference: Mapping[str, Any]) -> Errors:
    errors: Errors = []
    name, selector = reference.get("name") or "", reference.get("selector")
    if name:
        errors += each(path / "name", name, path_segment_errors(name))
        if selector is not None:
            errors.append(field.forbidden(path / "name", "name and selector are mutually exclusive"))
    if selector is not None:
        errors += label_selector(path / "selector", selector)
        if name:
            errors.append(field.forbidden(path / "selector", "name and selector are mutually exclusive"))
    if not name and selector is None:
        errors.append(field.required(path, "one of name or selector must be specified"))
    action, at = reference.get("parameterNotFoundAction") or "", path / "parameterNotFoundAction"
    if not action:
        errors.append(field.required(at))
    elif action not in NOT_FOUND_ACTIONS:
        errors.append(field.not_supported(at, action, NOT_FOUND_ACTIONS))
    return errors


def validate_mutating(binding: Object) -> Errors:
    """ValidateMutatingAdmissionPolicyBinding."""
    spec = binding.get("spec") or {}
    match = spec.get("matchResources") or {}
    return _common(spec) + rules.only_operations(SPEC / "matchResources", match, rules.MUTATING_OPERATIONS)


def validate_validating(binding: Object) -> Errors:
    """ValidateValidatingAdmissionPolicyBinding."""
    spec = binding.get("spec") or {}
    actions, at = spec.get("validationActions") or [], SPEC / "validationActions"
    errors = _common(spec)
    again = {index for index, _ in field.repeats(actions)}
    for index, action in enumerate(actions):
        if action not in ACTIONS:
            errors.append(field.not_supported(at / index, action, ACTIONS))
        if index in again:
            errors.append(field.duplicate(at / index, action))
    if {"Deny", "Warn"} <= set(actions):
        purpose = "repeating the same validation failure information in the API response and headers serves no purpose"
        why = f"must not contain both Deny and Warn ({purpose})"
        errors.append(field.invalid(at, actions, why))
    if not actions:
        errors.append(field.required(at, "at least one validation action is required"))
    return errors


def row(binding: Object, now: datetime) -> list[Any]:
    """Name, PolicyName, ParamRef, Age."""
    spec = binding.get("spec") or {}
    reference, shown = spec.get("paramRef") or {}, "<unset>"
    if name := reference.get("name"):
        shown = f"{reference.get('namespace') or '*'}/{name}"
    elif (selector := reference.get("selector")) is not None:
        shown = go_selector(selector)
    return [binding["metadata"]["name"], spec.get("policyName") or "", shown, object_age(binding, now)]


_COLUMNS = (
    NAME,
    Column("PolicyName", description="The policy that is bound"),
    Column("ParamRef", description="The policy's parameters"),
    AGE,
)

MUTATING = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    name="mutatingadmissionpolicybindings",
    kind="MutatingAdmissionPolicyBinding",
    schema="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBinding",
    namespaced=False,
    categories=("api-extensions",),
    default=default,
    validate=validate_mutating,
    validate_update=lambda new, old: validate_mutating(new),
    allow_unconditional_update=False,
    columns=_COLUMNS,
    row=row,
)

VALIDATING = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    name="validatingadmissionpolicybindings",
    kind="ValidatingAdmissionPolicyBinding",
    schema="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
    namespaced=False,
    categories=("api-extensions",),
    default=default,
    validate=validate_validating,
    validate_update=lambda new, old: validate_validating(new),
    allow_unconditional_update=False,
    columns=_COLUMNS,
    row=row,
)
