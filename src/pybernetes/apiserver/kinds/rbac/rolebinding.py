"""RoleBinding of rbac.authorization.k8s.io/v1 (upstream: pkg/registry/rbac/rolebinding)."""

from __future__ import annotations

from ...resource import Errors, Object, Resource
from .rules import COLUMNS, GROUP, binding_errors, binding_update_errors, default_binding, row

KINDS = ("Role", "ClusterRole")


def validate(binding: Object) -> Errors:
    """On creation."""
    return binding_errors(binding, KINDS, namespaced=True)


def validate_update(new: Object, old: Object) -> Errors:
    """The role stays."""
    return binding_update_errors(new, old, KINDS, namespaced=True)


RESOURCE = Resource(
    group=GROUP,
    version="v1",
    name="rolebindings",
    kind="RoleBinding",
    schema="io.k8s.api.rbac.v1.RoleBinding",
    meta_again=1,
    name_check="path",
    generation=False,
    default=default_binding,
    allow_create_on_update=True,
    validate=validate,
    validate_update=validate_update,
    columns=COLUMNS,
    row=row,
)
