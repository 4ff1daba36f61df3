"""The kinds of policy/v1."""

from __future__ import annotations

from ...resource import Resource
from . import poddisruptionbudget

RESOURCES: tuple[Resource, ...] = (poddisruptionbudget.RESOURCE,)
