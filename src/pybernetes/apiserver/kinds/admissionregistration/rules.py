"""Which requests webhooks and policies look at (upstream: pkg/apis/admissionregistration/validation)."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Object
from ..meta import path_segment_errors
from ..validation import Errors, each, label_selector, qualified_name

ALL = "*"
OPERATIONS = (ALL, "CONNECT", "CREATE", "DELETE", "UPDATE")
MUTATING_OPERATIONS = (ALL, "CONNECT", "CREATE", "UPDATE")
SCOPES = (ALL, "Cluster", "Namespaced")
FAILURE_POLICIES, MATCH_POLICIES = ("Fail", "Ignore"), ("Equivalent", "Exact")
REINVOCATION_POLICIES = ("IfNeeded", "Never")
MAX_CONDITIONS = 64

Rule = Mapping[str, Any]


def default_rule(rule: Object) -> None:
    """Namespaced and cluster-scoped objects alike."""
    if rule.get("scope") is None:
        rule["scope"] = ALL


def validate(path: Path, rule: Rule) -> Errors:
    """ValidateRuleWithOperations."""
    operations, at = rule.get("operations") or (), path / "operations"
    errors: Errors = []
    if not operations:
        errors.append(field.required(at))
    elif len(operations) > 1 and ALL in operations:
        errors.append(field.invalid(at, operations, "if '*' is present, must not specify other operations"))
    for index, operation in enumerate(operations):
        if operation not in OPERATIONS:
            errors.append(field.not_supported(at / index, operation, OPERATIONS))
    errors += _many(path / "apiGroups", rule.get("apiGroups") or (), "API groups")
    versions, at = rule.get("apiVersions") or (), path / "apiVersions"
    errors += _many(at, versions, "API versions")
    errors += [field.required(at / index) for index, version in enumerate(versions) if not version]
    errors += _resources(path / "resources", rule.get("resources") or ())
    scope = rule.get("scope")
    if scope is not None and scope not in SCOPES:
        errors.append(field.not_supported(path / "scope", scope, SCOPES))
    return errors


def _many(path: Path, values: Sequence[str], what: str) -> Errors:
    if not values:
        return [field.required(path)]
    if len(values) > 1 and ALL in values:
        return [field.invalid(path, values, f"if '*' is present, must not specify other {what}")]
    return []


def _resources(path: Path, resources: Sequence[str]) -> Errors:
    errors: Errors = [] if resources else [field.required(path)]
    whole: set[str] = set()  # x of x/*
    everywhere: set[str] = set()  # y of */y
    plain = False
    for index, text in enumerate(resources):
        if not text:
            errors.append(field.required(path / index))
            continue
        resource, slash, part = text.partition("/")
        if not slash:
            plain = text != ALL  # as upstream: of the last one
            continue
        if resource in whole:
            errors.append(field.invalid(path / index, text, f"if '{resource}/*' is present, must not specify {text}"))
        if part in everywhere:
            errors.append(field.invalid(path / index, text, f"if '*/{part}' is present, must not specify {text}"))
        whole |= {resource} if part == ALL else set()
        everywhere |= {part} if resource == ALL else set()
    if len(resources) > 1 and "*/*" in resources:
        errors.append(field.invalid(path, resources, "if '*/*' is present, must not specify other resources"))
    if ALL in resources and plain:
        why = "if '*' is present, must not specify other resources without subresources"
        errors.append(field.invalid(path, resources, why))
    return errors


def _condition(path: Path, expression: str, parameters: bool) -> Errors:
    from pybernetes.cel.errors import CompileError, InstantiationError  # loaded with the first condition

    from ...cel import variables

    try:
        variables.condition(expression, parameters)
    except InstantiationError as error:
        return [field.internal(path, str(error))]
    except CompileError as error:
        return [field.invalid(path, expression, str(error))]
    return []


def conditions(path: Path, items: Sequence[Rule], existing: Container[Any], parameters: bool = False) -> Errors:
    """matchConditions: named expressions. Those that are not `existing` from before must be conditions, which may speak of `parameters`."""
    if len(items) > MAX_CONDITIONS:
        return [field.too_many(path, len(items), MAX_CONDITIONS)]
    errors: Errors = []
    seen: set[str] = set()
    for index, item in enumerate(items):
        name, at = item.get("name") or "", path / index
        expression = (item.get("expression") or "").strip()
        if not expression:
            errors.append(field.required(at / "expression"))
        elif item["expression"] not in existing:
            errors += _condition(at / "expression", expression, parameters)
        errors += qualified_name(at / "name", name) if name else [field.required(at / "name")]
        if name and name in seen:
            errors.append(field.duplicate(at / "name", name))
        seen.add(name)
    return errors


def default_match(match: Object) -> None:
    """Of a policy's matchConstraints, or a binding's matchResources."""
    if match.get("matchPolicy") is None:
        match["matchPolicy"] = "Equivalent"
    for name in ("namespaceSelector", "objectSelector"):
        if match.get(name) is None:
            match[name] = {}
    for name in ("resourceRules", "excludeResourceRules"):
        for rule in match.get(name) or ():
            default_rule(rule)


def match_resources(path: Path, match: Rule) -> Errors:
    """ValidateMatchResources."""
    errors: Errors = []
    policy = match.get("matchPolicy")
    if policy is None:
        errors.append(field.required(path / "matchPolicy"))
    elif policy not in MATCH_POLICIES:
        errors.append(field.not_supported(path / "matchPolicy", policy, MATCH_POLICIES))
    for name in ("namespaceSelector", "objectSelector"):
        if match.get(name) is None:
            errors.append(field.required(path / name))
        else:
            errors += label_selector(path / name, match[name])
    for name in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(match.get(name) or ()):
            errors += _names(path / name / index / "resourceNames", rule.get("resourceNames") or ())
            errors += validate(path / name / index, rule)
    return errors


def _names(path: Path, names: Sequence[str]) -> Errors:
    errors: Errors = []
    again = {index for index, _ in field.repeats(names)}
    for index, name in enumerate(names):
        errors += each(path / index, name, path_segment_errors(name))
        if index in again:
            errors.append(field.duplicate(path / index, name))
    return errors


def only_operations(path: Path, match: Rule, operations: Sequence[str]) -> Errors:
    """A policy that is asked for some operations alone looks at no others."""
    at = path / "resourceRules" / "operations"
    return [
        field.not_supported(at, operation, operations)
        for rule in match.get("resourceRules") or ()
        for operation in rule.get("operations") or ()
        if operation not in operations
    ]
