"""The kinds of events.k8s.io/v1."""

from __future__ import annotations

from ...resource import Resource
from . import event

RESOURCES: tuple[Resource, ...] = (event.RESOURCE,)
