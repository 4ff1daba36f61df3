"""StorageVersionMigration of storagemigration.k8s.io/v1 (upstream: pkg/apis/storagemigration)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..conditions import validate_conditions
from ..strategy import keep_spec, keep_status
from ..validation import dns_subdomain, immutable

RESOURCE_PATH = Path("spec.resource")


def prepare_create(migration: Object) -> None:
    """Not begun."""
    migration["status"] = {}


def validate(migration: Object) -> Errors:
    """What is to be written anew."""
    resource = (migration.get("spec") or {}).get("resource") or {}
    errors = dns_subdomain(RESOURCE_PATH / "group", resource["group"]) if resource.get("group") else []
    at = RESOURCE_PATH / "resource"
    return errors + (dns_subdomain(at, resource["resource"]) if resource.get("resource") else [field.required(at)])


def validate_update(new: Object, old: Object) -> Errors:
    """The spec stays."""
    return immutable(Path("spec"), new.get("spec"), old.get("spec"))


def validate_status(new: Object, old: Object) -> Errors:
    """Its conditions."""
    return validate_conditions(Path("status.conditions"), (new.get("status") or {}).get("conditions") or ())


def row(migration: Object, now: datetime) -> list[Any]:
    """Name, Resource."""
    resource = (migration.get("spec") or {}).get("resource") or {}
    return [migration["metadata"]["name"], f"{resource.get('resource') or ''}.{resource.get('group') or ''}"]


RESOURCE = Resource(
    group="storagemigration.k8s.io",
    version="v1",
    name="storageversionmigrations",
    kind="StorageVersionMigration",
    schema="io.k8s.api.storagemigration.v1.StorageVersionMigration",
    namespaced=False,
    status=True,
    generation=False,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    allow_unconditional_update=False,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    columns=(Column("Name"), Column("Resource", description="The resource that is migrated, with its group")),
    row=row,
)
