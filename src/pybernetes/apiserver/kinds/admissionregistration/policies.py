"""What validating and mutating admission policies share (upstream: pkg/apis/admissionregistration/{v1/defaults.go,validation})."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Object
from ..validation import Errors
from . import rules

SPEC = Path("spec")
UNENFORCED = "admission policies are not enforced by this server: it keeps them and does nothing by them"
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")


def warnings(new: Object, old: Object | None) -> Sequence[str]:
    """That nothing comes of a policy, or of a binding."""
    return [UNENFORCED]


def default(policy: Object) -> None:
    """A policy that cannot be evaluated refuses; it looks at all namespaces and objects."""
    spec = policy.setdefault("spec", {})
    if spec.get("failurePolicy") is None:
        spec["failurePolicy"] = "Fail"
    if spec.get("matchConstraints") is not None:
        rules.default_match(spec["matchConstraints"])


def validate(spec: Mapping[str, Any]) -> Errors:
    """What is looked at, and with which parameters and variables."""
    errors: Errors = []
    policy, at = spec.get("failurePolicy"), SPEC / "failurePolicy"
    if policy is None:
        errors.append(field.required(at))
    elif policy not in rules.FAILURE_POLICIES:
        errors.append(field.not_supported(at, policy, rules.FAILURE_POLICIES))
    if (kind := spec.get("paramKind")) is not None:
        errors += [field.required(SPEC / "paramKind" / name) for name in ("apiVersion", "kind") if not kind.get(name)]
    match, at = spec.get("matchConstraints"), SPEC / "matchConstraints"
    if match is None:
        errors.append(field.required(at))
    else:
        errors += rules.match_resources(at, match)
        if not match.get("resourceRules"):
            errors.append(field.required(at / "resourceRules"))
    errors += rules.conditions(SPEC / "matchConditions", spec.get("matchConditions") or ())
    return errors + _variables(SPEC / "variables", spec.get("variables") or ())


def _variables(path: Path, variables: Sequence[Mapping[str, Any]]) -> Errors:
    errors: Errors = []
    for index, variable in enumerate(variables):
        name, at = variable.get("name") or "", path / index
        if not name:
            errors.append(field.required(at / "name", "name is not specified"))
        elif not _IDENTIFIER.fullmatch(name):
            errors.append(field.invalid(at / "name", name, "name is not a valid CEL identifier"))
        if not (variable.get("expression") or "").strip():
            errors.append(field.required(at / "expression", "expression is not specified"))
    return errors


def param_kind(policy: Object) -> str:
    """As tables show it."""
    kind = (policy.get("spec") or {}).get("paramKind")
    return "<unset>" if kind is None else f"{kind.get('apiVersion')}/{kind.get('kind')}"
