"""ClusterRoleBinding of rbac.authorization.k8s.io/v1 (upstream: pkg/registry/rbac/clusterrolebinding)."""

from __future__ import annotations

from ...resource import Errors, Object, Resource
from .rules import COLUMNS, GROUP, binding_errors, binding_update_errors, default_binding, row

KINDS = ("ClusterRole",)


def validate(binding: Object) -> Errors:
    """On creation."""
    return binding_errors(binding, KINDS, namespaced=False)


def validate_update(new: Object, old: Object) -> Errors:
    """The role stays."""
    return binding_update_errors(new, old, KINDS, namespaced=False)


RESOURCE = Resource(
    group=GROUP,
    version="v1",
    name="clusterrolebindings",
    kind="ClusterRoleBinding",
    schema="io.k8s.api.rbac.v1.ClusterRoleBinding",
    meta_again=1,
    namespaced=False,
    name_check="path",
    generation=False,
    default=default_binding,
    allow_create_on_update=True,
    validate=validate,
    validate_update=validate_update,
    columns=COLUMNS,
    row=row,
)
