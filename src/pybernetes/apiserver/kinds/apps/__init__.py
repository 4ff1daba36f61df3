"""The kinds of apps/v1: one module a kind, `RESOURCES` is the table."""

from __future__ import annotations

from ...resource import Resource
from . import controllerrevision, daemonset, deployment, replicaset, statefulset

RESOURCES: tuple[Resource, ...] = (
    controllerrevision.RESOURCE,
    daemonset.RESOURCE,
    deployment.RESOURCE,
    replicaset.RESOURCE,
    statefulset.RESOURCE,
)
