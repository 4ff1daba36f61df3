"""What roles share, and what bindings share (upstream: pkg/apis/rbac/{v1/defaults.go,validation}, printers of rolebindings)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import dns1123_subdomain_errors

from ...resource import Column, Errors, Object
from ..meta import path_segment_errors
from ..printing import AGE, NAME, object_age
from ..validation import each

GROUP = "rbac.authorization.k8s.io"

COLUMNS = (
    NAME,
    Column("Role"),
    AGE,
    Column("Users", priority=1),
    Column("Groups", priority=1),
    Column("ServiceAccounts", priority=1),
)


def rule_errors(rules: Sequence[Mapping[str, Any]] | None, namespaced: bool) -> Errors:
    """Of a role's rules."""
    errors: Errors = []
    for index, rule in enumerate(rules or ()):
        errors += _rule(Path("rules") / index, rule, namespaced)
    return errors


def _rule(path: Path, rule: Mapping[str, Any], namespaced: bool) -> Errors:
    errors: Errors = []
    if not rule.get("verbs"):
        errors.append(field.required(path / "verbs", "verbs must contain at least one value"))
    if urls := rule.get("nonResourceURLs"):
        at = path / "nonResourceURLs"
        if namespaced:
            errors.append(field.invalid(at, urls, "namespaced rules cannot apply to non-resource URLs"))
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            errors.append(field.invalid(at, urls, "rules cannot apply to both regular resources and non-resource URLs"))
        return errors
    if not rule.get("apiGroups"):
        errors.append(field.required(path / "apiGroups", "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        errors.append(field.required(path / "resources", "resource rules must supply at least one resource"))
    return errors


def default_binding(binding: Object) -> None:
    """API groups of the role and the subjects."""
    ref = binding.setdefault("roleRef", {})
    if not ref.get("apiGroup"):
        ref["apiGroup"] = GROUP
    for subject in binding.get("subjects") or ():
        if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = GROUP


def binding_errors(binding: Object, kinds: Sequence[str], namespaced: bool) -> Errors:
    """Of a new binding; `kinds` of roles that it may name."""
    ref, path = binding.get("roleRef") or {}, Path("roleRef")
    errors: Errors = []
    if ref.get("apiGroup", "") != GROUP:
        errors.append(field.not_supported(path / "apiGroup", ref.get("apiGroup", ""), [GROUP]))
    if ref.get("kind", "") not in kinds:
        errors.append(field.not_supported(path / "kind", ref.get("kind", ""), kinds))
    name = ref.get("name", "")
    if not name:
        errors.append(field.required(path / "name"))
    else:
        errors += each(path / "name", name, path_segment_errors(name))
    for index, subject in enumerate(binding.get("subjects") or ()):
        errors += _subject(Path("subjects") / index, subject, namespaced)
    return errors


def _subject(path: Path, subject: Mapping[str, Any], namespaced: bool) -> Errors:
    errors: Errors = []
    name, group, kind = (subject.get(key, "") for key in ("name", "apiGroup", "kind"))
    if not name:
        errors.append(field.required(path / "name"))
    match kind:
        case "ServiceAccount":
            if name:
                errors += each(path / "name", name, dns1123_subdomain_errors(name))
            if group:
                errors.append(field.not_supported(path / "apiGroup", group, [""]))
            if not namespaced and not subject.get("namespace"):
                errors.append(field.required(path / "namespace"))
        case "User" | "Group":
            if group != GROUP:
                errors.append(field.not_supported(path / "apiGroup", group, [GROUP]))
        case _:
            errors.append(field.not_supported(path / "kind", kind, ["ServiceAccount", "User", "Group"]))
    return errors


def binding_update_errors(new: Object, old: Object, kinds: Sequence[str], namespaced: bool) -> Errors:
    """Subjects may change, the role may not."""
    errors = binding_errors(new, kinds, namespaced)
    if new.get("roleRef") != old.get("roleRef"):
        errors.append(field.invalid(Path("roleRef"), new.get("roleRef"), "cannot change roleRef"))
    return errors


def row(binding: Object, now: datetime) -> list[Any]:
    """Name, Role, Age, Users, Groups, ServiceAccounts."""
    ref = binding.get("roleRef") or {}
    subjects: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in binding.get("subjects") or ():
        name, namespace = subject.get("name", ""), subject.get("namespace")
        account = subject.get("kind") == "ServiceAccount"
        subjects.get(subject.get("kind", ""), []).append(f"{namespace}/{name}" if account and namespace else name)
    shown = [", ".join(names) for names in subjects.values()]
    return [
        binding["metadata"]["name"],
        f"{ref.get('kind', '')}/{ref.get('name', '')}",
        object_age(binding, now),
        *shown,
    ]
