"""DeviceClass of resource.k8s.io/v1 (upstream: pkg/registry/resource/deviceclass)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api.field import Path

from ...resource import Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from . import devices

SPEC = Path("spec")


def validate(device_class: Object) -> Errors:
    """ValidateDeviceClass."""
    spec = device_class.get("spec") or {}
    errors = devices.selectors(SPEC / "selectors", spec.get("selectors") or ())
    configs = spec.get("config") or ()
    return errors + devices.items(SPEC / "config", configs, devices.MAX_CONFIGS, devices.configuration)


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


def row(device_class: Object, now: datetime) -> list[Any]:
    """Name, Age."""
    return [device_class["metadata"]["name"], object_age(device_class, now)]


RESOURCE = Resource(
    group="resource.k8s.io",
    version="v1",
    name="deviceclasses",
    kind="DeviceClass",
    schema="io.k8s.api.resource.v1.DeviceClass",
    returns_deleted=True,
    namespaced=False,
    validate=validate,
    validate_update=validate_update,
    columns=(NAME, AGE),
    row=row,
)
