"""The kinds of admissionregistration.k8s.io/v1."""

from __future__ import annotations

from ...resource import Resource
from . import (
    mutatingadmissionpolicy,
    mutatingwebhookconfiguration,
    policybindings,
    validatingadmissionpolicy,
    validatingwebhookconfiguration,
)

RESOURCES: tuple[Resource, ...] = (
    mutatingadmissionpolicy.RESOURCE,
    policybindings.MUTATING,
    mutatingwebhookconfiguration.RESOURCE,
    validatingadmissionpolicy.RESOURCE,
    policybindings.VALIDATING,
    validatingwebhookconfiguration.RESOURCE,
)
