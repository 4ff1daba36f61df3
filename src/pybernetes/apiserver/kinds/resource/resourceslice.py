"""ResourceSlice of resource.k8s.io/v1 (upstream: pkg/registry/resource/resourceslice)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..validation import dns_label, dns_subdomain, immutable, not_negative, qualified_name
from . import devices

SPEC = Path("spec")
MAX_DEVICES, MAX_ATTRIBUTES = 128, 32
WHERE = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
ONE_PLACE = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
VALUES = ("bool", "int", "string", "version", "bools", "ints", "strings", "versions")


def validate(slice_: Object) -> Errors:
    """ValidateResourceSlice."""
    spec = slice_.get("spec") or {}
    errors = devices.driver(SPEC / "driver", spec.get("driver") or "") + _pool(spec.get("pool") or {})
    if spec.get("nodeName"):
        errors += dns_subdomain(SPEC / "nodeName", spec["nodeName"])
    given = [name for name in WHERE if spec.get(name) not in (None, "", False)]
    if not given:
        errors.append(field.required(SPEC, ONE_PLACE))
    elif len(given) > 1:
        shown = "{" + ", ".join(f"`{name}`" for name in given) + "}"
        errors.append(field.invalid(SPEC, shown, f"{ONE_PLACE}, but multiple fields are set"))
    listed = spec.get("devices") or ()
    errors += devices.items(SPEC / "devices", listed, MAX_DEVICES, _device)
    names = [device.get("name") for device in listed]
    errors += [field.duplicate(SPEC / "devices" / i / "name", n) for i, n in field.repeats(names)]
    return errors


def _pool(pool: Mapping[str, Any]) -> Errors:
    at = SPEC / "pool"
    errors = devices.pool(at / "name", pool.get("name") or "")
    count = pool.get("resourceSliceCount") or 0
    if count <= 0:
        errors.append(field.invalid(at / "resourceSliceCount", count, "must be greater than zero"))
    return errors + not_negative(at / "generation", pool.get("generation"))


def _device(path: Path, device: Mapping[str, Any]) -> Errors:
    errors = dns_label(path / "name", device.get("name") or "")
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    if len(attributes) + len(capacity) > MAX_ATTRIBUTES:
        why = f"the total number of attributes and capacities must not exceed {MAX_ATTRIBUTES}"
        errors.append(field.invalid(path, len(attributes) + len(capacity), why))
    for name, value in attributes.items():
        at = (path / "attributes").key(name)
        errors += qualified_name(at, name)
        given = [kind for kind in VALUES if kind in value]
        if not given:
            errors.append(field.required(at, "exactly one value must be specified"))
        elif len(given) > 1:
            errors.append(field.invalid(at, given, "exactly one value must be specified"))
    for name in capacity:
        errors += qualified_name((path / "capacity").key(name), name)
    for index, item in enumerate(device.get("taints") or ()):
        errors += devices.taint(path / "taints" / index, item)
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """Driver, pool and node stay."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = validate(new) + immutable(SPEC / "driver", spec.get("driver"), before.get("driver"))
    pools = [(s.get("pool") or {}).get("name") for s in (spec, before)]
    errors += immutable(SPEC / "pool" / "name", *pools)
    return errors + immutable(SPEC / "nodeName", spec.get("nodeName"), before.get("nodeName"))


def selectable(slice_: Object) -> Mapping[str, str]:
    """Node and driver."""
    spec = slice_.get("spec") or {}
    return {"spec.nodeName": spec.get("nodeName") or "", "spec.driver": spec.get("driver") or ""}


def row(slice_: Object, now: datetime) -> list[Any]:
    """Name, Node, Driver, Pool, Age."""
    spec = slice_.get("spec") or {}
    node = spec.get("nodeName") or ""
    pool = (spec.get("pool") or {}).get("name") or ""
    return [slice_["metadata"]["name"], node, spec.get("driver") or "", pool, object_age(slice_, now)]


RESOURCE = Resource(
    group="resource.k8s.io",
    version="v1",
    name="resourceslices",
    kind="ResourceSlice",
    schema="io.k8s.api.resource.v1.ResourceSlice",
    returns_deleted=True,
    namespaced=False,
    validate=validate,
    validate_update=validate_update,
    selectable=selectable,
    selectable_fields=("spec.nodeName", "spec.driver"),
    columns=(
        NAME,
        Column("Node", description="Where the devices are"),
        Column("Driver", description="Whose devices these are"),
        Column("Pool", description="The pool that they belong to"),
        AGE,
    ),
    row=row,
)
