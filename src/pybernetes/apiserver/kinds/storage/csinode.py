"""CSINode of storage.k8s.io/v1 (upstream: pkg/apis/storage, pkg/registry/storage/csinode)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import label_key_errors

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..validation import MAX_WHOLE, go_names, not_negative, same
from . import names

DRIVERS = Path("spec.drivers")
MAX_NODE_ID = 192


def _drivers(node: Object) -> list[Mapping[str, Any]]:
    return (node.get("spec") or {}).get("drivers") or []


def validate(node: Object) -> Errors:
    """ValidateCSINode."""
    errors: Errors = []
    seen: set[str] = set()
    for index, driver in enumerate(_drivers(node)):
        at, name = DRIVERS / index, driver.get("name") or ""
        errors += names.driver_name(at / "name", name)
        errors += _node_id(at / "nodeID", driver.get("nodeID") or "")
        errors += not_negative(at / "allocatable" / "count", (driver.get("allocatable") or {}).get("count"))
        if name in seen:
            errors.append(field.duplicate(at / "name", name))
        seen.add(name)
        errors += _topology(at, driver.get("topologyKeys") or [])
    return errors


def _node_id(path: Path, text: str) -> Errors:
    if not text:
        return [field.required(path)]
    if len(text.encode()) > MAX_NODE_ID:
        return [field.invalid(path, text, f"must be {MAX_NODE_ID} characters or less")]
    return []


def _topology(path: Path, keys: list[str]) -> Errors:
    errors: Errors = []
    again = {index for index, _ in field.repeats(keys)}
    for index, key in enumerate(keys):
        if not key:
            errors.append(field.required(path))
        if index in again:
            errors.append(field.duplicate(path, key))
        if len(errors) < MAX_WHOLE:
            errors += [field.invalid(path, keys, why) for why in label_key_errors(key)]
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """A driver's entry stays, but for how many volumes it can attach."""
    errors = validate(new)
    old_drivers = {driver.get("name"): driver for driver in _drivers(old)}
    for driver in _drivers(new):
        before = old_drivers.get(driver.get("name"))
        if before is not None and not same(*({**d, "allocatable": None} for d in (driver, before))):
            errors.append(field.invalid(Path("CSINodeDriver"), go_names(driver), "field is immutable"))
    return errors


def row(node: Object, now: datetime) -> list[Any]:
    """Name, Drivers, Age."""
    return [node["metadata"]["name"], len(_drivers(node)), object_age(node, now)]


RESOURCE = Resource(
    group="storage.k8s.io",
    version="v1",
    name="csinodes",
    kind="CSINode",
    schema="io.k8s.api.storage.v1.CSINode",
    returns_deleted=True,
    namespaced=False,
    generation=False,
    validate=validate,
    validate_update=validate_update,
    allow_unconditional_update=False,
    columns=(NAME, Column("Drivers", type="integer", description="How many drivers there are on the node"), AGE),
    row=row,
)
