"""FlowSchema of flowcontrol.apiserver.k8s.io/v1 (upstream: pkg/apis/flowcontrol, pkg/registry/flowcontrol/flowschema)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.wellknown import ALL_AUTHENTICATED, ALL_UNAUTHENTICATED, SYSTEM_PRIVILEGED_GROUP

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec_and_metadata, keep_status
from ..validation import dns_label, dns_subdomain, go_names, same

SPEC = Path("spec")
DEFAULT_PRECEDENCE, MAX_PRECEDENCE = 1000, 10_000
METHODS = ("ByNamespace", "ByUser")
SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
ALL = "*"


def _everything(*groups: str) -> list[Object]:
    resources = {"verbs": [ALL], "apiGroups": [ALL], "resources": [ALL], "clusterScope": True, "namespaces": [ALL]}
    return [
        {
            "subjects": [{"kind": "Group", "group": {"name": group}} for group in groups],
            "resourceRules": [resources],
            "nonResourceRules": [{"verbs": [ALL], "nonResourceURLs": [ALL]}],
        }
    ]


# The schemas that are there from the start, and whose spec is fixed (upstream: apis/flowcontrol/bootstrap).
MANDATORY: Mapping[str, Object] = {
    "exempt": {
        "priorityLevelConfiguration": {"name": "exempt"},
        "matchingPrecedence": 1,
        "rules": _everything(SYSTEM_PRIVILEGED_GROUP),
    },
    "catch-all": {
        "priorityLevelConfiguration": {"name": "catch-all"},
        "matchingPrecedence": MAX_PRECEDENCE,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": _everything(ALL_UNAUTHENTICATED, ALL_AUTHENTICATED),
    },
}


def default(schema: Object) -> None:
    """In the middle."""
    spec = schema.setdefault("spec", {})
    spec["matchingPrecedence"] = spec.get("matchingPrecedence") or DEFAULT_PRECEDENCE


def prepare_create(schema: Object) -> None:
    """Nobody has looked at it yet."""
    schema["status"] = {}


def validate(schema: Object) -> Errors:
    """ValidateFlowSchema."""
    name, spec = (schema.get("metadata") or {}).get("name") or "", schema.get("spec") or {}
    errors = _precedence(SPEC / "matchingPrecedence", spec.get("matchingPrecedence") or 0, name)
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in METHODS:
        at = SPEC / "distinguisherMethod" / "type"
        errors.append(field.not_supported(at, method.get("type") or "", METHODS))
    level, at = (
        (spec.get("priorityLevelConfiguration") or {}).get("name") or "",
        SPEC / "priorityLevelConfiguration" / "name",
    )
    errors += dns_subdomain(at, level) if level else [field.required(at, "must reference a priority level")]
    for index, rule in enumerate(spec.get("rules") or ()):
        errors += _rule(SPEC / "rules" / index, rule)
    if name in MANDATORY and not same(spec, MANDATORY[name]):
        errors.append(field.invalid(SPEC, go_names(spec), f"spec of '{name}' must equal the fixed value"))
    return errors


def _precedence(path: Path, value: int, name: str) -> Errors:
    if value <= 0:
        return [field.invalid(path, value, "must be a positive value")]
    if value > MAX_PRECEDENCE:
        return [field.invalid(path, value, f"must not be greater than {MAX_PRECEDENCE}")]
    if value == 1 and name != "exempt":
        return [field.invalid(path, value, "only the schema named 'exempt' may have matchingPrecedence 1")]
    return []


def _rule(path: Path, rule: Mapping[str, Any]) -> Errors:
    errors: Errors = []
    subjects = rule.get("subjects") or ()
    if not subjects:
        errors.append(field.required(path / "subjects", "subjects must contain at least one value"))
    for index, subject in enumerate(subjects):
        errors += _subject(path / "subjects" / index, subject)
    resources, others = rule.get("resourceRules") or (), rule.get("nonResourceRules") or ()
    if not resources and not others:
        why = "at least one of resourceRules and nonResourceRules has to be non-empty"
        errors.append(field.required(path, why))
    for index, item in enumerate(resources):
        errors += _resource_rule(path / "resourceRules" / index, item)
    for index, item in enumerate(others):
        errors += _other_rule(path / "nonResourceRules" / index, item)
    return errors


def _subject(path: Path, subject: Mapping[str, Any]) -> Errors:
    kind = subject.get("kind") or ""
    if kind not in SUBJECTS:
        return [field.not_supported(path / "kind", kind, tuple(SUBJECTS))]
    own = SUBJECTS[kind]
    errors = _named(path / own, subject.get(own), kind)
    for other, name in SUBJECTS.items():
        if other != kind and subject.get(name) is not None:
            errors.append(field.forbidden(path / name, f"{name} is forbidden when subject kind is not '{other}'"))
    return errors


def _named(path: Path, who: Mapping[str, Any] | None, kind: str) -> Errors:
    if who is None:
        return [field.required(path, f"{SUBJECTS[kind]} is required when subject kind is '{kind}'")]
    name = who.get("name") or ""
    errors = [] if name else [field.required(path / "name")]
    if kind != "ServiceAccount":
        return errors
    if name and name != ALL:
        errors += dns_subdomain(path / "name", name)
    namespace, at = who.get("namespace") or "", path / "namespace"
    if namespace:
        return errors + dns_label(at, namespace)
    return [*errors, field.required(at, "must specify namespace for service account")]


def _verbs(path: Path, verbs: Sequence[str]) -> Errors:
    if not verbs:
        return [field.required(path, "verbs must contain at least one value")]
    if ALL in verbs:
        why = "if '*' is present, must not specify other verbs"
        return [field.invalid(path, verbs, why)] if len(verbs) > 1 else []
    return [field.not_supported(path, verbs, VERBS)] if set(verbs) - set(VERBS) else []


def _alone(path: Path, values: Sequence[str], what: str) -> Errors:
    if ALL in values and len(values) > 1:
        return [field.invalid(path, values, f"if '*' is present, must not specify other {what}")]
    return []


def _resource_rule(path: Path, rule: Mapping[str, Any]) -> Errors:
    errors = _verbs(path / "verbs", rule.get("verbs") or ())
    for name, one, many in (("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")):
        values = rule.get(name) or ()
        if not values:
            errors.append(field.required(path / name, f"resource rules must supply at least one {one}"))
        errors += _alone(path / name, values, many)
    namespaces, at = rule.get("namespaces") or (), path / "namespaces"
    if not namespaces and not rule.get("clusterScope"):
        why = "resource rules that are not cluster scoped must supply at least one namespace"
        return [*errors, field.required(at, why)]
    if ALL in namespaces:
        return errors + _alone(at, namespaces, "namespaces")
    intro = "each member of this list must be '*' or a DNS-1123 label; "
    for index, name in enumerate(namespaces):
        whys = dns_label(at / index, name)
        errors += [field.invalid(at / index, name, intro + why.body.split(": ", 2)[-1]) for why in whys]
    return errors


def _other_rule(path: Path, rule: Mapping[str, Any]) -> Errors:
    errors = _verbs(path / "verbs", rule.get("verbs") or ())
    urls, at = rule.get("nonResourceURLs") or (), path / "nonResourceURLs"
    if not urls:
        return [*errors, field.required(at, "nonResourceURLs must contain at least one value")]
    if ALL in urls:
        return errors + _alone(at, urls, "non-resource URLs")
    return errors + [error for index, url in enumerate(urls) for error in _url(at / index, url)]


def _url(path: Path, url: str) -> Errors:
    if not url:
        return [field.invalid(path, url, "must not be empty")]
    if url == "/":
        return []
    if not url.startswith("/"):
        return [field.invalid(path, url, "must start with slash")]
    if " " in url:
        return [field.invalid(path, url, "must not contain white-space")]
    if "//" in url:
        return [field.invalid(path, url, "must not contain double slash")]
    if "*" in url[:-1] or (url.endswith("*") and not url.endswith("/*")):
        return [field.invalid(path, url, "wildcard can only do suffix matching")]
    return []


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


def validate_status(new: Object, old: Object) -> Errors:
    """Conditions have types, each once."""
    errors: Errors = []
    seen: set[str] = set()
    for index, condition in enumerate((new.get("status") or {}).get("conditions") or ()):
        at, kind = Path("status.conditions") / index / "type", condition.get("type") or ""
        if kind in seen:
            errors.append(field.duplicate(at, kind))
        seen.add(kind)
        if not kind:
            errors.append(field.required(at, "must not be empty"))
    return errors


def row(schema: Object, now: datetime) -> list[Any]:
    """Name, PriorityLevel, MatchingPrecedence, DistinguisherMethod, Age, MissingPL."""
    spec = schema.get("spec") or {}
    conditions = (schema.get("status") or {}).get("conditions") or ()
    missing = next((c.get("status") for c in conditions if c.get("type") == "Dangling"), "?")
    method = spec.get("distinguisherMethod")
    return [
        schema["metadata"]["name"],
        (spec.get("priorityLevelConfiguration") or {}).get("name") or "",
        spec.get("matchingPrecedence") or 0,
        "<none>" if method is None else method.get("type") or "",
        object_age(schema, now),
        missing,
    ]


RESOURCE = Resource(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    name="flowschemas",
    kind="FlowSchema",
    schema="io.k8s.api.flowcontrol.v1.FlowSchema",
    namespaced=False,
    status=True,
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec_and_metadata,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    columns=(
        NAME,
        Column("PriorityLevel", description="The priority level of the requests"),
        Column("MatchingPrecedence", description="Schemas with a lower number are asked first"),
        Column("DistinguisherMethod", description="How requests are told apart into flows"),
        AGE,
        Column("MissingPL", description="Whether the priority level is missing"),
    ),
    row=row,
)
