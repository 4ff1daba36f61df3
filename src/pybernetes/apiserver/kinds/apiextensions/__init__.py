"""Kinds of apiextensions.k8s.io."""

from __future__ import annotations

from ...resource import Resource
from . import customresourcedefinition

RESOURCES: tuple[Resource, ...] = (customresourcedefinition.RESOURCE,)
