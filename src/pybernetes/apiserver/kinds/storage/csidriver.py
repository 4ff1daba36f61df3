"""CSIDriver of storage.k8s.io/v1 (upstream: pkg/apis/storage, pkg/registry/storage/csidriver)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..validation import immutable

SPEC = Path("spec")
GROUP_POLICIES, MODES = ("File", "None", "ReadWriteOnceWithFSType"), ("Ephemeral", "Persistent")
DEFAULTS: Mapping[str, Any] = {
    "attachRequired": True,
    "fsGroupPolicy": "ReadWriteOnceWithFSType",
    "podInfoOnMount": False,
    "requiresRepublish": False,
    "seLinuxMount": False,
    "storageCapacity": False,
}
MIN_TOKEN_SECONDS, MAX_TOKEN_SECONDS = 600, 1 << 32
MIN_UPDATE_SECONDS = 10


def default(driver: Object) -> None:
    """SetDefaults_CSIDriver."""
    spec = driver.setdefault("spec", {})
    for name, value in DEFAULTS.items():
        if spec.get(name) is None:
            spec[name] = value
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


def validate(driver: Object) -> Errors:
    """ValidateCSIDriver; its name is a subdomain, as the registry checks. Only who names a driver is held to 63 characters."""
    spec = driver.get("spec") or {}
    errors: Errors = []
    policy = spec.get("fsGroupPolicy")
    if policy not in GROUP_POLICIES:
        errors.append(field.not_supported(SPEC / "fsGroupPolicy", policy or "", GROUP_POLICIES))
    errors += _tokens(SPEC / "tokenRequests", spec.get("tokenRequests") or ())
    for mode in spec.get("volumeLifecycleModes") or ():
        if mode not in MODES:
            errors.append(field.not_supported(SPEC / "volumeLifecycleModes", mode, MODES))
    seconds = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if seconds is not None and seconds < MIN_UPDATE_SECONDS:
        why = f"must be greater than or equal to {MIN_UPDATE_SECONDS} seconds"
        errors.append(field.invalid(SPEC / "nodeAllocatableUpdatePeriodSeconds", seconds, why))
    return errors


def _tokens(path: Path, requests: Sequence[Mapping[str, Any]]) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for index, request in enumerate(requests):
        audience, seconds = request.get("audience") or "", request.get("expirationSeconds")
        if audience in seen:
            errors.append(field.duplicate(path / index / "audience", audience))
        seen.add(audience)
        at = path / index / "expirationSeconds"
        if seconds is not None and seconds < MIN_TOKEN_SECONDS:
            errors.append(field.invalid(at, seconds, "may not specify a duration less than 10 minutes"))
        if seconds is not None and seconds > MAX_TOKEN_SECONDS:
            errors.append(field.invalid(at, seconds, "may not specify a duration larger than 2^32 seconds"))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """Whether volumes are attached, and the modes, stay."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = validate(new)
    for name, shown in (
        ("attachRequired", "attachedRequired"),
        ("volumeLifecycleModes", "volumeLifecycleModes"),
    ):
        errors += immutable(SPEC / shown, spec.get(name), before.get(name))
    return errors


def row(driver: Object, now: datetime) -> list[Any]:
    """Name, AttachRequired, PodInfoOnMount, StorageCapacity, TokenRequests, RequiresRepublish, Modes, Age."""
    spec = driver.get("spec") or {}
    audiences = ",".join(request.get("audience") or "" for request in spec.get("tokenRequests") or ())
    return [
        driver["metadata"]["name"],
        spec.get("attachRequired") is not False,
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        audiences if spec.get("tokenRequests") else "<unset>",
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or "<none>",
        object_age(driver, now),
    ]


RESOURCE = Resource(
    group="storage.k8s.io",
    version="v1",
    name="csidrivers",
    kind="CSIDriver",
    schema="io.k8s.api.storage.v1.CSIDriver",
    returns_deleted=True,
    namespaced=False,
    generation=False,
    default=default,
    validate=validate,
    validate_update=validate_update,
    allow_unconditional_update=False,
    columns=(
        NAME,
        Column("AttachRequired", type="boolean", description="Whether volumes must be attached to nodes"),
        Column("PodInfoOnMount", type="boolean", description="Whether the driver is told of the pod"),
        Column("StorageCapacity", type="boolean", description="Whether the scheduler looks at the driver's capacity"),
        Column("TokenRequests", description="Audiences of the tokens that the driver is given"),
        Column(
            "RequiresRepublish", type="boolean", description="Whether the driver wants to be called again and again"
        ),
        Column("Modes", description="Modes of volumes that the driver supports"),
        AGE,
    ),
    row=row,
)
