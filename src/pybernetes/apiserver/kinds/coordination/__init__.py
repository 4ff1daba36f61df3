"""The kinds of coordination.k8s.io/v1."""

from __future__ import annotations

from ...resource import Resource
from . import lease

RESOURCES: tuple[Resource, ...] = (lease.RESOURCE,)
