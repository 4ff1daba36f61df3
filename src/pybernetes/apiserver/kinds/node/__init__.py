"""The kinds of node.k8s.io/v1."""

from __future__ import annotations

from ...resource import Resource
from . import runtimeclass

RESOURCES: tuple[Resource, ...] = (runtimeclass.RESOURCE,)
