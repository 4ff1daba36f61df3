"""The kinds of apiregistration.k8s.io/v1."""

from __future__ import annotations

from ...resource import Resource
from . import apiservice

RESOURCES: tuple[Resource, ...] = (apiservice.RESOURCE,)
