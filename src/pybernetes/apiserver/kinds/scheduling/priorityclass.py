"""PriorityClass of scheduling.k8s.io/v1 (upstream: pkg/apis/scheduling, pkg/registry/scheduling/priorityclass)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..validation import immutable

PREFIX = "system-"
HIGHEST_OF_USERS = 1_000_000_000
POLICIES = ("PreemptLowerPriority", "Never")
# The classes that are there from the start: name -> (value, what for).
SYSTEM: Mapping[str, tuple[int, str]] = {
    "system-node-critical": (
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    "system-cluster-critical": (
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
}


def system_classes() -> list[Object]:
    """What the server makes at its start."""
    return [
        {"metadata": {"name": name}, "value": value, "description": text, "preemptionPolicy": POLICIES[0]}
        for name, (value, text) in SYSTEM.items()
    ]


def default(priority: Object) -> None:
    """Pods of the class take the place of others."""
    if priority.get("preemptionPolicy") is None:
        priority["preemptionPolicy"] = POLICIES[0]


def prepare_create(priority: Object) -> None:
    """The first generation, and the last: upstream counts no further."""
    priority["metadata"]["generation"] = 1


def _system_error(name: str, value: int, is_default: bool) -> str:
    system = SYSTEM.get(name)
    if system is None:
        return f"{name} is not a known system priority class"
    if value != system[0]:
        return f"value of {name} PriorityClass must be {system[0]}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else ""


def validate(priority: Object) -> Errors:
    """ValidatePriorityClass."""
    name, value = (priority.get("metadata") or {}).get("name") or "", priority.get("value") or 0
    errors: Errors = []
    if name.startswith(PREFIX):
        if why := _system_error(name, value, bool(priority.get("globalDefault"))):
            text = f"priority class names with '{PREFIX}' prefix are reserved for system use only. error: {why}"
            errors.append(field.forbidden(Path("metadata.name"), text))
    elif value > HIGHEST_OF_USERS:
        text = f"maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}"
        errors.append(field.forbidden(Path("value"), text))
    policy, at = priority.get("preemptionPolicy"), Path("preemptionPolicy")
    if policy == "":
        errors.append(field.required(at))
    elif policy not in (None, *POLICIES):
        errors.append(field.not_supported(at, policy, POLICIES))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """Value and policy stay."""
    errors: Errors = []
    if (new.get("value") or 0) != (old.get("value") or 0):
        errors.append(field.forbidden(Path("Value"), "may not be changed in an update."))
    return errors + immutable(Path("preemptionPolicy"), new.get("preemptionPolicy"), old.get("preemptionPolicy"))


def refuse_delete(priority: Object) -> str:
    """Those that are there from the start stay."""
    is_system = priority["metadata"]["name"] in SYSTEM
    return "this is a system priority class and cannot be deleted" if is_system else ""


def row(priority: Object, now: datetime) -> list[Any]:
    """Name, Value, Global-Default, Age, PreemptionPolicy."""
    return [
        priority["metadata"]["name"],
        priority.get("value") or 0,
        bool(priority.get("globalDefault")),
        object_age(priority, now),
        priority.get("preemptionPolicy") or "",
    ]


RESOURCE = Resource(
    group="scheduling.k8s.io",
    version="v1",
    name="priorityclasses",
    kind="PriorityClass",
    schema="io.k8s.api.scheduling.v1.PriorityClass",
    namespaced=False,
    short_names=("pc",),
    generation=False,
    default=default,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    refuse_delete=refuse_delete,
    columns=(
        NAME,
        Column("Value", type="integer", description="The priority of the class's pods"),
        Column("Global-Default", type="boolean", description="Whether pods without a class are of this one"),
        AGE,
        Column("PreemptionPolicy", description="Whether the class's pods take the place of others"),
    ),
    row=row,
)
