"""Role of rbac.authorization.k8s.io/v1 (upstream: pkg/registry/rbac/role)."""

from __future__ import annotations

from ...resource import Errors, Object, Resource
from .rules import GROUP, rule_errors


def validate(role: Object) -> Errors:
    """On creation."""
    return rule_errors(role.get("rules"), namespaced=True)


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


RESOURCE = Resource(
    group=GROUP,
    version="v1",
    name="roles",
    kind="Role",
    schema="io.k8s.api.rbac.v1.Role",
    meta_again=1,
    name_check="path",
    generation=False,
    allow_create_on_update=True,
    validate=validate,
    validate_update=validate_update,
)
