"""The kinds of autoscaling/v2 and v1, which are one kind in two forms; v2 is stored."""

from __future__ import annotations

from ...resource import Resource
from . import horizontalpodautoscaler, v1

RESOURCES: tuple[Resource, ...] = (horizontalpodautoscaler.RESOURCE, v1.RESOURCE)
