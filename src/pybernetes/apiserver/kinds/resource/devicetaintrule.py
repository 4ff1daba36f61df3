"""DeviceTaintRule of resource.k8s.io/v1 (upstream: pkg/registry/resource/devicetaintrule)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api.field import Path
from pybernetes.api.times import format_time

from ...resource import Column, Errors, Object, Resource, Stamp
from ..conditions import validate_conditions
from ..printing import AGE, NAME, age, object_age
from ..strategy import keep_spec, keep_status
from ..validation import dns_label
from . import devices

SPEC = Path("spec")


def prepare_create(rule: Object) -> None:
    """Not in effect yet."""
    rule["status"] = {}


def stamp(new: Object, old: Object | None, by: Stamp) -> None:
    """Since when devices are tainted: from the writing of the taint on."""
    taint = (new.get("spec") or {}).get("taint") or {}
    before = ((old or {}).get("spec") or {}).get("taint") or {}
    changed = any(taint.get(name) != before.get(name) for name in ("key", "value", "effect"))
    if not by.subresource and (changed or not taint.get("timeAdded")):
        if old is None and taint.get("timeAdded"):
            return
        taint["timeAdded"] = format_time(by.now)


def validate(rule: Object) -> Errors:
    """ValidateDeviceTaintRule."""
    spec = rule.get("spec") or {}
    errors: Errors = []
    selector, at = spec.get("deviceSelector") or {}, SPEC / "deviceSelector"
    for name, check in (("driver", devices.driver), ("pool", devices.pool), ("device", dns_label)):
        if selector.get(name) is not None:
            errors += check(at / name, selector[name])
    return errors + devices.taint(SPEC / "taint", spec.get("taint") or {})


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


def validate_status(new: Object, old: Object) -> Errors:
    """Its conditions."""
    return validate_conditions(Path("status.conditions"), (new.get("status") or {}).get("conditions") or ())


def row(rule: Object, now: datetime) -> list[Any]:
    """Name, Key, Value, Effect, TimeAdded, Age."""
    taint = (rule.get("spec") or {}).get("taint") or {}
    shown = [taint.get(name) or "" for name in ("key", "value", "effect")]
    since = age(taint["timeAdded"], now) if taint.get("timeAdded") else ""
    return [rule["metadata"]["name"], *shown, since, object_age(rule, now)]


RESOURCE = Resource(
    group="resource.k8s.io",
    version="v1",
    name="devicetaintrules",
    kind="DeviceTaintRule",
    schema="io.k8s.api.resource.v1.DeviceTaintRule",
    returns_deleted=True,
    namespaced=False,
    status=True,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    stamp=stamp,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    columns=(
        NAME,
        Column("Key", description="Key of the taint"),
        Column("Value", description="Value of the taint"),
        Column("Effect", description="What the taint does to pods"),
        Column("TimeAdded", description="How long the devices have been tainted"),
        AGE,
    ),
    row=row,
)
