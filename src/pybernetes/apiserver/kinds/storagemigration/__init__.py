"""The kinds of storagemigration.k8s.io/v1."""

from __future__ import annotations

from ...resource import Resource
from . import storageversionmigration

RESOURCES: tuple[Resource, ...] = (storageversionmigration.RESOURCE,)
