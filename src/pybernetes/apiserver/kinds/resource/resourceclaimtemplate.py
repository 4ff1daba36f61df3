"""ResourceClaimTemplate of resource.k8s.io/v1 (upstream: pkg/registry/resource/resourceclaimtemplate)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api.field import Path

from ...resource import Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..validation import immutable
from . import devices, resourceclaim

SPEC = Path("spec")


def default(template: Object) -> None:
    """As a claim's."""
    resourceclaim.default(template.setdefault("spec", {}))


def validate(template: Object) -> Errors:
    """The claim in it."""
    claim = (template.get("spec") or {}).get("spec") or {}
    return devices.claim(SPEC / "spec" / "devices", claim.get("devices") or {})


def validate_update(new: Object, old: Object) -> Errors:
    """The spec stays."""
    return immutable(SPEC, new.get("spec"), old.get("spec"))


def row(template: Object, now: datetime) -> list[Any]:
    """Name, Age."""
    return [template["metadata"]["name"], object_age(template, now)]


RESOURCE = Resource(
    group="resource.k8s.io",
    version="v1",
    name="resourceclaimtemplates",
    kind="ResourceClaimTemplate",
    schema="io.k8s.api.resource.v1.ResourceClaimTemplate",
    returns_deleted=True,
    generation=False,
    default=default,
    validate=validate,
    validate_update=validate_update,
    columns=(NAME, AGE),
    row=row,
)
