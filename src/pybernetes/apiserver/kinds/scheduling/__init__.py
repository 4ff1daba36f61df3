"""The kinds of scheduling.k8s.io/v1."""

from __future__ import annotations

from ...resource import Resource
from . import priorityclass

RESOURCES: tuple[Resource, ...] = (priorityclass.RESOURCE,)
