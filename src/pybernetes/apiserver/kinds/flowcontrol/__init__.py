"""The kinds of flowcontrol.apiserver.k8s.io/v1."""

from __future__ import annotations

from ...resource import Resource
from . import flowschema, prioritylevelconfiguration

RESOURCES: tuple[Resource, ...] = (flowschema.RESOURCE, prioritylevelconfiguration.RESOURCE)
