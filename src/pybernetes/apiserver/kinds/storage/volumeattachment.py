"""VolumeAttachment of storage.k8s.io/v1 (upstream: pkg/apis/storage, pkg/registry/storage/volumeattachment)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..core.persistentvolume import inline_errors
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec_and, keep_status
from ..validation import dns_subdomain, go_names, immutable
from . import names

SPEC, STATUS = Path("spec"), Path("status")
EXACTLY_ONE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
MAX_METADATA_SIZE, MAX_MESSAGE = 256 * 1024, 1024


def prepare_create(attachment: Object) -> None:
    """Not attached yet."""
    attachment["status"] = {"attached": False}


def validate(attachment: Object, any_driver: bool = False) -> Errors:
    """ValidateVolumeAttachment, and the names of driver and volume; `any_driver`: those were not looked at before v1."""
    spec = attachment.get("spec") or {}
    attacher, at = spec.get("attacher") or "", SPEC / "attacher"
    errors = [] if attacher else [field.required(at)]
    source, at_source = spec.get("source") or {}, SPEC / "source"
    errors += _source(at_source, source)
    errors += dns_subdomain(SPEC / "nodeName", spec.get("nodeName") or "")
    errors += _status(attachment.get("status") or {})
    if any_driver:
        return errors
    name = source.get("persistentVolumeName")
    volume = dns_subdomain(at_source / "persistentVolumeName", name) if name is not None else []
    return errors + names.driver_name(at, attacher) + volume


def _source(path: Path, source: Mapping[str, Any]) -> Errors:
    name, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    if name is None and inline is None:
        return [field.required(path, EXACTLY_ONE)]
    if name is not None and inline is not None:
        return [field.forbidden(path, EXACTLY_ONE)]
    if name == "":
        return [field.required(path / "persistentVolumeName", "must specify non empty persistentVolumeName")]
    return inline_errors(path / "inlineVolumeSpec", inline) if inline is not None else []


def _status(status: Mapping[str, Any]) -> Errors:
    metadata = status.get("attachmentMetadata") or {}
    errors: Errors = []
    if sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > MAX_METADATA_SIZE:
        errors.append(field.too_long(STATUS / "attachmentMetadata", MAX_METADATA_SIZE))
    for name in ("attachError", "detachError"):
        if len(((status.get(name) or {}).get("message") or "").encode()) > MAX_MESSAGE:
            errors.append(field.too_long(STATUS / name / "message", MAX_MESSAGE))
    return errors


def validate_update(new: Object, old: Object, any_driver: bool = False) -> Errors:
    """The spec stays."""
    return validate(new, any_driver) + [
        field.invalid(SPEC, go_names(new.get("spec")), "field is immutable")
        for _ in immutable(SPEC, new.get("spec"), old.get("spec"))
    ]


def validate_status(new: Object, old: Object) -> Errors:
    """Sizes of what the driver says."""
    return _status(new.get("status") or {})


def row(attachment: Object, now: datetime) -> list[Any]:
    """Name, Attacher, PV, Node, Attached, Age."""
    spec = attachment.get("spec") or {}
    return [
        attachment["metadata"]["name"],
        spec.get("attacher") or "",
        (spec.get("source") or {}).get("persistentVolumeName") or "",
        spec.get("nodeName") or "",
        bool((attachment.get("status") or {}).get("attached")),
        object_age(attachment, now),
    ]


RESOURCE = Resource(
    group="storage.k8s.io",
    version="v1",
    name="volumeattachments",
    kind="VolumeAttachment",
    schema="io.k8s.api.storage.v1.VolumeAttachment",
    returns_deleted=True,
    namespaced=False,
    status=True,
    generation=False,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec_and("labels", "annotations", "finalizers", "ownerReferences"),
    validate=validate,
    validate_update=validate_update,
    allow_unconditional_update=False,
    validate_status=validate_status,
    columns=(
        NAME,
        Column("Attacher", format="name", description="The driver that attaches"),
        Column("PV", description="The volume"),
        Column("Node", description="The node"),
        Column("Attached", type="boolean", description="Whether it is attached"),
        AGE,
    ),
    row=row,
)
