"""The kinds of rbac.authorization.k8s.io/v1: one module a kind, `RESOURCES` is the table."""

from __future__ import annotations

from ...resource import Resource
from . import clusterrole, clusterrolebinding, role, rolebinding

RESOURCES: tuple[Resource, ...] = (
    clusterrolebinding.RESOURCE,
    clusterrole.RESOURCE,
    rolebinding.RESOURCE,
    role.RESOURCE,
)
