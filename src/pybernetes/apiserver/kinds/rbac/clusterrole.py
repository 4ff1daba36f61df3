"""ClusterRole of rbac.authorization.k8s.io/v1 (upstream: pkg/registry/rbac/clusterrole)."""

from __future__ import annotations

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Errors, Object, Resource
from ..validation import label_selector
from .rules import GROUP, rule_errors


def validate(role: Object) -> Errors:
    """On creation."""
    errors = rule_errors(role.get("rules"), namespaced=False)
    aggregation = role.get("aggregationRule")
    if aggregation is None:
        return errors
    path = Path("aggregationRule") / "clusterRoleSelectors"
    selectors = aggregation.get("clusterRoleSelectors") or ()
    if not selectors:
        why = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        return [*errors, field.required(path, why)]
    for index, selector in enumerate(selectors):
        wrong = label_selector(path / index, selector)
        errors += [*wrong, field.invalid(path / index, selector, "invalid label selector.")] if wrong else []
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


RESOURCE = Resource(
    group=GROUP,
    version="v1",
    name="clusterroles",
    kind="ClusterRole",
    schema="io.k8s.api.rbac.v1.ClusterRole",
    meta_again=1,
    namespaced=False,
    name_check="path",
    generation=False,
    allow_create_on_update=True,
    validate=validate,
    validate_update=validate_update,
)
