"""The kinds of discovery.k8s.io/v1."""

from __future__ import annotations

from ...resource import Resource
from . import endpointslice

RESOURCES: tuple[Resource, ...] = (endpointslice.RESOURCE,)
