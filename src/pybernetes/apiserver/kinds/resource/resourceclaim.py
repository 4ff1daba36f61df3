"""ResourceClaim of resource.k8s.io/v1 (upstream: pkg/registry/resource/resourceclaim)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec, keep_status
from ..validation import immutable
from . import devices

SPEC, STATUS = Path("spec"), Path("status")
MAX_CONSUMERS = 256


def default(claim: Object) -> None:
    """Of its requests."""
    for request in (claim.setdefault("spec", {}).get("devices") or {}).get("requests") or ():
        devices.default_request(request)


def prepare_create(claim: Object) -> None:
    """Nothing is allocated."""
    claim["status"] = {}


def validate(claim: Object) -> Errors:
    """ValidateResourceClaim."""
    return devices.claim(SPEC / "devices", (claim.get("spec") or {}).get("devices") or {})


def validate_update(new: Object, old: Object) -> Errors:
    """The spec stays."""
    return immutable(SPEC, new.get("spec"), old.get("spec"))


def validate_status(new: Object, old: Object) -> Errors:
    """What is reserved is allocated; an allocation does not change."""
    status, before = new.get("status") or {}, old.get("status") or {}
    reserved, at = status.get("reservedFor") or [], STATUS / "reservedFor"
    errors = [field.too_many(at, len(reserved), MAX_CONSUMERS)] if len(reserved) > MAX_CONSUMERS else []
    seen: list[str] = []
    for index, consumer in enumerate(reserved):
        for name in ("resource", "name", "uid"):
            if not consumer.get(name):
                errors.append(field.required(at / index / name))
        if consumer.get("uid") in seen:
            errors.append(field.duplicate(at / index / "uid", consumer["uid"]))
        seen.append(consumer.get("uid") or "")
    allocation, was = status.get("allocation"), before.get("allocation")
    if reserved and allocation is None:
        errors.append(field.forbidden(at, "may not be specified when `allocated` is not set"))
    deleted = (new.get("metadata") or {}).get("deletionTimestamp")
    if deleted and len(reserved) > len(before.get("reservedFor") or ()):
        why = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        errors.append(field.forbidden(at, why))
    if allocation is not None and was is not None:
        errors += immutable(STATUS / "allocation", allocation, was)
    return errors


def row(claim: Object, now: datetime) -> list[Any]:
    """Name, State, Age."""
    status, states = claim.get("status") or {}, []
    if claim["metadata"].get("deletionTimestamp"):
        states.append("deleted")
    if status.get("allocation") is None:
        states += [] if states else ["pending"]
    else:
        states.append("allocated")
        if status.get("reservedFor"):
            states.append("reserved")
    return [claim["metadata"]["name"], ",".join(states), object_age(claim, now)]


RESOURCE = Resource(
    group="resource.k8s.io",
    version="v1",
    name="resourceclaims",
    kind="ResourceClaim",
    schema="io.k8s.api.resource.v1.ResourceClaim",
    returns_deleted=True,
    status=True,
    generation=False,
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    columns=(NAME, Column("State", description="Whether devices are allocated to it, and reserved for pods"), AGE),
    row=row,
)
