"""VolumeAttributesClass of storage.k8s.io/v1 (upstream: pkg/apis/storage, pkg/registry/storage/volumeattributesclass)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..validation import same
from . import names


def validate(attributes: Object) -> Errors:
    """ValidateVolumeAttributesClass."""
    errors = names.provisioner(Path("driverName"), attributes.get("driverName") or "")
    return errors + names.parameters(Path("parameters"), attributes.get("parameters"), needed=True)


def validate_update(new: Object, old: Object) -> Errors:
    """Nothing but metadata changes."""
    return [
        field.forbidden(Path(name), f"updates to {name} are forbidden.")
        for name in ("driverName", "parameters")
        if not same(new.get(name), old.get(name))
    ]


def row(attributes: Object, now: datetime) -> list[Any]:
    """Name, DriverName, Age."""
    return [attributes["metadata"]["name"], attributes.get("driverName") or "", object_age(attributes, now)]


RESOURCE = Resource(
    group="storage.k8s.io",
    version="v1",
    name="volumeattributesclasses",
    kind="VolumeAttributesClass",
    schema="io.k8s.api.storage.v1.VolumeAttributesClass",
    returns_deleted=True,
    namespaced=False,
    short_names=("vac",),
    generation=False,
    validate=validate,
    validate_update=validate_update,
    columns=(NAME, Column("DriverName", description="The driver that knows the parameters"), AGE),
    row=row,
)
