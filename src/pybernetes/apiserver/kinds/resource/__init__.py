"""The kinds of resource.k8s.io/v1."""

from __future__ import annotations

from ...resource import Resource
from . import deviceclass, devicetaintrule, resourceclaim, resourceclaimtemplate, resourceslice

RESOURCES: tuple[Resource, ...] = (
    deviceclass.RESOURCE,
    devicetaintrule.RESOURCE,
    resourceclaim.RESOURCE,
    resourceclaimtemplate.RESOURCE,
    resourceslice.RESOURCE,
)
