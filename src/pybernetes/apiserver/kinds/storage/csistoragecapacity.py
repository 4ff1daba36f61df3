"""CSIStorageCapacity of storage.k8s.io/v1 (upstream: pkg/apis/storage, pkg/registry/storage/csistoragecapacity)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import NAME
from ..validation import NOT_NEGATIVE, dns_subdomain, immutable, label_selector, quantity


def validate(capacity: Object) -> Errors:
    """ValidateCSIStorageCapacity."""
    errors = dns_subdomain(Path("storageClassName"), capacity.get("storageClassName") or "")
    errors += label_selector(Path("nodeTopology"), capacity.get("nodeTopology"))
    for name in ("capacity", "maximumVolumeSize"):
        text = capacity.get(name)
        if text is not None and quantity(text).sign() < 0:
            errors.append(field.invalid(Path(name), text, NOT_NEGATIVE))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """Class and nodes stay."""
    errors = validate(new)
    for name in ("nodeTopology", "storageClassName"):
        errors += immutable(Path(name), new.get(name), old.get(name))
    return errors


def row(capacity: Object, now: datetime) -> list[Any]:
    """Name, StorageClassName, Capacity."""
    amount = capacity.get("capacity")
    return [capacity["metadata"]["name"], capacity.get("storageClassName") or "", amount or "<unset>"]


RESOURCE = Resource(
    group="storage.k8s.io",
    version="v1",
    name="csistoragecapacities",
    kind="CSIStorageCapacity",
    schema="io.k8s.api.storage.v1.CSIStorageCapacity",
    returns_deleted=True,
    generation=False,
    validate=validate,
    validate_update=validate_update,
    allow_unconditional_update=False,
    columns=(
        NAME,
        Column("StorageClassName", description="The class whose volumes these are"),
        Column("Capacity", description="How much is left"),
    ),
    row=row,
)
