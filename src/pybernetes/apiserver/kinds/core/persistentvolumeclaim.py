"""PersistentVolumeClaim of v1 (upstream: pkg/registry/core/persistentvolumeclaim, core validation)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.computeresources import is_native
from pybernetes.api.field import Path
from pybernetes.api.jsoncopy import json_copy
from pybernetes.api.names import label_key_errors
from pybernetes.api.wellknown import BETA_STORAGE_CLASS_ANNOTATION

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec, keep_status
from ..validation import difference, each, immutable, quantity, same
from .claims import claim_spec
from .poddefaults import rounded
from .resources import quantity_value

SHORT_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
RESIZE_STATES = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
)
SPEC = Path("spec")


def default(claim: Object) -> None:
    """A file system, waiting for a volume."""
    spec, status = claim.setdefault("spec", {}), claim.setdefault("status", {})
    if spec.get("volumeMode") is None:
        spec["volumeMode"] = "Filesystem"
    status["phase"] = status.get("phase") or "Pending"
    resources = spec.get("resources") or {}
    rounded(resources.get("requests"))
    rounded(resources.get("limits"))
    rounded(status.get("capacity"))


def _same_source(claim: Object) -> None:
    """dataSource and dataSourceRef say the same, whichever was given."""
    spec = claim["spec"]
    source, ref = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and ref is None:
        spec["dataSourceRef"] = json_copy(source)
    elif ref is not None and source is None and not ref.get("namespace"):
        spec["dataSource"] = {key: value for key, value in ref.items() if key != "namespace"}


def prepare_create(claim: Object) -> None:
    """Pending."""
    claim["status"] = {"phase": "Pending"}
    _same_source(claim)


def prepare_update(new: Object, old: Object) -> None:
    """The status has a path of its own."""
    keep_status(new, old)
    _same_source(new)


def validate(claim: Object) -> Errors:
    """On creation."""
    return claim_spec(SPEC, claim.get("spec") or {})


def _annotation(claim: Object) -> str | None:
    value = ((claim.get("metadata") or {}).get("annotations") or {}).get(BETA_STORAGE_CLASS_ANNOTATION)
    return None if value is None else str(value)


def validate_update(new: Object, old: Object) -> Errors:
    """A volume is bound once, then only its size and attributes may change."""
    errors = validate(new)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    masked, was = json_copy(spec), json_copy(before)
    if not before.get("volumeName"):
        was["volumeName"] = spec.get("volumeName")
    had, has = _annotation(old), _annotation(new)
    name = spec.get("storageClassName")
    unset = before.get("storageClassName") is None and name is not None
    if unset and had is not None and name == had and has in (None, had):
        masked["storageClassName"] = None  # moved from the annotation of old to the field
    else:
        if (has or "") != (had or ""):
            at = Path("metadata.annotations") / BETA_STORAGE_CLASS_ANNOTATION
            errors.append(field.invalid(at, has or "", "field is immutable"))
        if unset and had in (None, name):
            masked["storageClassName"] = None
    size = (spec.get("resources") or {}).get("requests", {}).get("storage", "0")
    old_size = (before.get("resources") or {}).get("requests", {}).get("storage", "0")
    if (new.get("status") or {}).get("phase") == "Bound":
        for key in ("resources", "volumeAttributesClassName"):
            masked[key] = _as_before(key, masked.get(key), was.get(key))
    if not same(masked, was):
        why = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        errors.append(field.forbidden(SPEC, f"{why}\n" + "\n".join(difference(was, masked)) + "\n"))
    capacity = ((old.get("status") or {}).get("capacity") or {}).get("storage", "0")
    if quantity(size) < quantity(old_size) and quantity(size) <= quantity(capacity):
        why = "field can not be less than status.capacity"
        errors.append(field.forbidden(SPEC / "resources" / "requests" / "storage", why))
    errors += immutable(Path("volumeMode"), spec.get("volumeMode"), before.get("volumeMode"))
    return errors + _attributes_class(spec.get("volumeAttributesClassName"), old)


def _as_before(key: str, new: Any, old: Any) -> Any:
    """The value with what a bound claim may change set back."""
    if key == "volumeAttributesClassName":
        return old
    resources = dict(new or {})
    if resources.get("requests") is not None:
        storage = ((old or {}).get("requests") or {}).get("storage")
        resources["requests"] = {**resources["requests"], "storage": storage}
    return resources


def _attributes_class(new: str | None, old: Object) -> Errors:
    """Once a class was put into effect it may change, but not go."""
    at = SPEC / "volumeAttributesClassName"
    was = (old.get("spec") or {}).get("volumeAttributesClassName")
    if new == was or (old.get("status") or {}).get("currentVolumeAttributesClassName") is None or new:
        return []
    sort = "nil" if new is None else "empty string"
    why = f"update to {sort} is forbidden when status.currentVolumeAttributesClassName is not nil"
    return [field.forbidden(at, why)]


def validate_status(new: Object, old: Object) -> Errors:
    """Amounts and states of resizing."""
    status = new.get("status") or {}
    errors: Errors = []
    if not (new.get("spec") or {}).get("accessModes"):
        errors.append(field.required(Path("Spec.accessModes")))
    for name, text in (status.get("capacity") or {}).items():
        errors += _basic(Path("status.capacity").key(name), text)
    at = Path("status.allocatedResourceStatuses")
    for name, state in (status.get("allocatedResourceStatuses") or {}).items():
        errors += _resource_key(at, name)
        if state not in RESIZE_STATES:
            errors.append(field.not_supported(at, name, RESIZE_STATES))
    at = Path("status.allocatedResources")
    for name, text in (status.get("allocatedResources") or {}).items():
        problems = _resource_key(at, name) or _basic(at.key(name), text)
        errors += problems or quantity_value(at.key(name), "storage", text)
    return errors


def _basic(path: Path, text: str) -> Errors:
    value = quantity(text).value()
    return [field.invalid(path, value, "must be a valid resource quantity")] if value < 0 else []


def _resource_key(path: Path, name: str) -> Errors:
    errors = each(path, name, label_key_errors(name))
    if not errors and is_native(name) and name != "storage":
        errors.append(field.not_supported(path, name, ("storage",)))
    return errors


def short_modes(modes: list[str] | None) -> str:
    """RWO,ROX: each once, in upstream's order."""
    return ",".join(short for mode, short in SHORT_MODES.items() if mode in (modes or ()))


def row(claim: Object, now: datetime) -> list[Any]:
    """The cells, the wide one included."""
    meta, spec, status = claim["metadata"], claim.get("spec") or {}, claim.get("status") or {}
    bound = bool(spec.get("volumeName"))
    storage = _annotation(claim)
    return [
        meta["name"],
        "Terminating" if meta.get("deletionTimestamp") else status.get("phase") or "",
        spec.get("volumeName") or "",
        (status.get("capacity") or {}).get("storage", "0") if bound else "",
        short_modes(status.get("accessModes")) if bound else "",
        storage if storage is not None else spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        object_age(claim, now),
        spec.get("volumeMode") or "<unset>",
    ]


RESOURCE = Resource(
    group="",
    version="v1",
    name="persistentvolumeclaims",
    kind="PersistentVolumeClaim",
    schema="io.k8s.api.core.v1.PersistentVolumeClaim",
    returns_deleted=True,
    meta_again=2,
    short_names=("pvc",),
    status=True,
    generation=False,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    columns=(
        NAME,
        Column("Status"),
        Column("Volume"),
        Column("Capacity"),
        Column("Access Modes"),
        Column("StorageClass", description="StorageClass of the pvc"),
        Column("VolumeAttributesClass", description="VolumeAttributesClass of the pvc"),
        AGE,
        Column("VolumeMode", priority=1),
    ),
    row=row,
)
