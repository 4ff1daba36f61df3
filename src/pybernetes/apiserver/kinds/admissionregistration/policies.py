"""What validating and mutating admission policies share (upstream: pkg/apis/admissionregistration/{v1/defaults.go,validation})."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path
from pybernetes.api.names import dns1123_subdomain_errors

from ...resource import Object
from ..validation import Errors, dns1035_label_errors
from . import rules

if TYPE_CHECKING:
    from ...cel.expressions import Compiler, Expression

SPEC = Path("spec")
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_RESERVED = frozenset(
    (
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import"),
        *("let", "loop", "package", "namespace", "return", "var", "void", "while"),
    )
)


def default(policy: Object) -> None:
    """A policy that cannot be evaluated refuses; it looks at all namespaces and objects."""
    spec = policy.setdefault("spec", {})
    if spec.get("failurePolicy") is None:
        spec["failurePolicy"] = "Fail"
    if spec.get("matchConstraints") is not None:
        rules.default_match(spec["matchConstraints"])


def compiler_of(spec: Mapping[str, Any], composed: bool) -> Compiler:
    """Of the policy's expressions, which may speak of variables if `composed`."""
    from ...cel.expressions import Compiler  # loaded with the first policy

    return Compiler(spec.get("paramKind") is not None, composed)


def validate(
    spec: Mapping[str, Any], old: Mapping[str, Any] | None, compiler: Compiler, operations: Sequence[str] = ()
) -> Errors:
    """What is looked at, and with which parameters and variables, which `compiler` knows from then on.

    `old`: what stood there before an update. `operations`: those that the policy may look at, () for all.
    """
    errors: Errors = []
    policy, at = spec.get("failurePolicy"), SPEC / "failurePolicy"
    if policy is None:
        errors.append(field.required(at))
    elif policy not in rules.FAILURE_POLICIES:
        errors.append(field.not_supported(at, policy, rules.FAILURE_POLICIES))
    if (kind := spec.get("paramKind")) is not None:
        errors += _param_kind(SPEC / "paramKind", kind)
    match, at = spec.get("matchConstraints"), SPEC / "matchConstraints"
    if match is None:
        errors.append(field.required(at))
    else:
        errors += rules.match_resources(at, match)
        if not match.get("resourceRules"):
            errors.append(field.required(at / "resourceRules"))
        if operations:
            errors += rules.only_operations(at, match, operations)
    conditions = spec.get("matchConditions") or ()
    unchanged = old is not None and all(
        (old.get(name) or None) == (spec.get(name) or None) for name in ("paramKind", "matchConditions")
    )
    if not unchanged:
        errors += rules.conditions(SPEC / "matchConditions", conditions, (), kind is not None)
    return errors + _variables(SPEC / "variables", spec.get("variables") or (), compiler)


def _param_kind(path: Path, kind: Mapping[str, Any]) -> Errors:
    errors: Errors = []
    version, at = kind.get("apiVersion") or "", path / "apiVersion"
    if not version:
        errors.append(field.required(at))
    elif version.count("/") > 1:
        errors.append(field.invalid(at, version, f"unexpected GroupVersion string: {version}"))
    else:
        group, _, number = version.rpartition("/") if version != "/" else ("", "", "")
        if group and (wrong := dns1123_subdomain_errors(group)):
            errors.append(field.invalid(at, group, ",".join(wrong)))
        if not number:
            errors.append(field.invalid(at, version, "version must be specified"))
        elif wrong := dns1035_label_errors(number):
            errors.append(field.invalid(at, number, ",".join(wrong)))
    name, at = kind.get("kind") or "", path / "kind"
    if not name:
        errors.append(field.required(at))
    elif wrong := dns1035_label_errors(name.lower()):
        why = f"may have mixed case, but should otherwise match: {','.join(wrong)}"
        errors.append(field.invalid(at, name, why))
    return errors


def _variables(path: Path, variables: Sequence[Mapping[str, Any]], compiler: Compiler) -> Errors:
    errors: Errors = []
    for index, variable in enumerate(variables):
        name, at = variable.get("name") or "", path / index
        if not name.strip():
            errors.append(field.required(at / "name", "name is not specified"))
        elif not _IDENTIFIER.fullmatch(name) or name in _RESERVED:
            errors.append(field.invalid(at / "name", name, "must be a valid CEL identifier"))
        expression = variable.get("expression") or ""
        if not expression.strip():
            errors.append(field.required(at / "expression", "expression is not specified"))
        else:
            errors += compile_errors(at / "expression", compiler.variable(name, expression))
    return errors


def compile_errors(path: Path, compiled: Expression) -> list[FieldError]:
    """Why an expression cannot be taken."""
    if not compiled.error:
        return []
    wrong = field.internal(path, compiled.error) if compiled.internal else None
    return [wrong or field.invalid(path, compiled.source, compiled.error)]


def param_kind(policy: Object) -> str:
    """As tables show it."""
    kind = (policy.get("spec") or {}).get("paramKind")
    return "<unset>" if kind is None else f"{kind.get('apiVersion')}/{kind.get('kind')}"
