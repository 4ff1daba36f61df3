"""PersistentVolume of v1 (upstream: pkg/registry/core/persistentvolume, core validation)."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import dns1123_label_errors
from pybernetes.api.times import format_time
from pybernetes.api.wellknown import (
    BETA_STORAGE_CLASS_ANNOTATION,
    LABEL_ARCH,
    LABEL_ARCH_STABLE,
    LABEL_FAILURE_DOMAIN_BETA_REGION,
    LABEL_FAILURE_DOMAIN_BETA_ZONE,
    LABEL_INSTANCE_TYPE,
    LABEL_INSTANCE_TYPE_STABLE,
    LABEL_OS,
    LABEL_OS_STABLE,
    LABEL_TOPOLOGY_REGION,
    LABEL_TOPOLOGY_ZONE,
)

from ...resource import Column, Errors, Object, Resource, Stamp
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec, keep_status
from ..validation import difference, dns_subdomain, each, enum, immutable, no_backsteps, quantity, same
from .affinity import node_selector
from .claims import VOLUME_MODES, access_modes
from .persistentvolumeclaim import short_modes
from .poddefaults import OF_POINTERS, rounded
from .volumes import (
    ONE_TYPE,
    Check,
    azure_disk,
    both,
    csi_driver_name,
    disk,
    fibre_channel,
    flex_volume,
    flocker,
    host_path,
    iscsi,
    needed,
    nfs,
    quobyte,
    secret_ref,
    storage_os,
)

KEPT, FILE_SYSTEM = "Retain", "Filesystem"
RECLAIM_POLICIES = ("Delete", "Recycle", KEPT)
SPEC = Path("spec")
CHANGED = "lastPhaseTransitionTime"


def default(volume: Object) -> None:
    """A file system that is kept; waiting."""
    spec, status = volume.setdefault("spec", {}), volume.setdefault("status", {})
    status["phase"] = status.get("phase") or "Pending"
    spec["persistentVolumeReclaimPolicy"] = spec.get("persistentVolumeReclaimPolicy") or KEPT
    if spec.get("volumeMode") is None:
        spec["volumeMode"] = FILE_SYSTEM
    rounded(spec.get("capacity"))
    if (source := spec.get("hostPath")) is not None and source.get("type") is None:
        source["type"] = ""
    for name, defaults in _DEFAULTS.items():
        if (source := spec.get(name)) is not None:
            for key, value in defaults.items():
                if source.get(key) is None or (source[key] == "" and name not in OF_POINTERS):
                    source[key] = value


_DEFAULTS: dict[str, Object] = {
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def prepare_create(volume: Object) -> None:
    """Pending."""
    volume["status"] = {"phase": "Pending"}


def stamp(new: Object, old: Object | None, by: Stamp) -> None:
    """Since when it is in its phase, unless who changes the phase says that."""
    status = new.setdefault("status", {})
    if old is None:
        status[CHANGED] = format_time(by.now)
        return
    before = old.get("status") or {}
    told = status.get(CHANGED) not in (None, before.get(CHANGED))
    if by.subresource == "status" and status.get("phase") != before.get("phase") and not told:
        status[CHANGED] = format_time(by.now)


def validate(volume: Object) -> Errors:
    """On creation."""
    spec = volume.get("spec") or {}
    errors = _modes(SPEC / "accessModes", spec.get("accessModes") or [])
    errors += _capacity(SPEC / "capacity", spec.get("capacity") or {}, spec.get("capacity"))
    policy, mode = spec.get("persistentVolumeReclaimPolicy") or "", spec.get("volumeMode")
    errors += enum(SPEC / "persistentVolumeReclaimPolicy", policy, RECLAIM_POLICIES, needed=False)
    errors += _affinity(SPEC / "nodeAffinity" / "required", spec.get("nodeAffinity"))
    errors += _source(SPEC, spec, (volume.get("metadata") or {}).get("name") or "")
    if policy == "Recycle" and posixpath.normpath((spec.get("hostPath") or {}).get("path") or "x") == "/":
        why = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(field.forbidden(SPEC / "persistentVolumeReclaimPolicy", why))
    if name := spec.get("storageClassName"):
        errors += dns_subdomain(SPEC / "storageClassName", name)
    if mode is not None and mode not in VOLUME_MODES:
        errors.append(field.not_supported(SPEC / "volumeMode", mode, VOLUME_MODES))
    return errors + _attributes_class(SPEC, spec)


def inline_errors(path: Path, spec: Object) -> Errors:
    """Of the volume of an attachment, which is no object of its own: ValidatePersistentVolumeSpec, inline."""
    where = "in the context of inline volumes"

    def absent(*names: str) -> Errors:
        given = [name for name in names if spec.get(name) not in (None, "") and (spec[name] or name != "capacity")]
        return [field.forbidden(path / name, f"may not be specified {where}") for name in given]

    errors = absent("claimRef", "capacity")
    errors += [] if spec.get("csi") is not None else [field.required(path / "csi", f"has to be specified {where}")]
    errors += _modes(path / "accessModes", spec.get("accessModes") or [])
    if (spec.get("persistentVolumeReclaimPolicy") or KEPT) != KEPT:
        errors.append(field.forbidden(path / "persistentVolumeReclaimPolicy", f"may only be {KEPT} {where}"))
    errors += absent("nodeAffinity") + _source(path, spec, "") + absent("storageClassName")
    if spec.get("volumeMode") not in (None, FILE_SYSTEM):
        why = f"may not specify volumeMode other than {FILE_SYSTEM} {where}"
        errors.append(field.forbidden(path / "volumeMode", why))
    return errors + _attributes_class(path, spec)


def _modes(path: Path, modes: list[str]) -> Errors:
    return access_modes(path, modes) if modes else [field.required(path), *access_modes(path, modes)]


def _affinity(path: Path, affinity: Object | None) -> Errors:
    if affinity is None:
        return []
    if (required := affinity.get("required")) is None:
        return [field.required(path, "must specify required node constraints")]
    return node_selector(path, required)


def _capacity(path: Path, capacity: Mapping[str, str], given: Mapping[str, str] | None) -> Errors:
    errors = [] if capacity else [field.required(path)]
    if "storage" not in capacity or len(capacity) > 1:
        errors.append(field.not_supported(path, given, ("storage",)))
    for name, text in capacity.items():
        at = path.key(name)
        number = quantity(text)
        errors += [field.invalid(at, number.value(), "must be a valid resource quantity")] if number.nanos < 0 else []
        errors += [field.invalid(at, text, "must be greater than zero")] if number.nanos <= 0 else []
    return errors


def _attributes_class(path: Path, spec: Object) -> Errors:
    name = spec.get("volumeAttributesClassName")
    if name is None:
        return []
    at = path / "volumeAttributesClassName"
    errors = dns_subdomain(at, name) if name else [field.required(at, "an empty string is disallowed")]
    if spec.get("csi") is None:
        errors.append(field.required(path / "csi", "has to be specified when using volumeAttributesClassName"))
    return errors


def _source(path: Path, spec: Object, name: str) -> Errors:
    errors: Errors = []
    count = 0
    for key, check in _SOURCES.items():
        source = spec.get(key)
        if source is None:
            continue
        if count and key != "flexVolume":
            errors.append(field.forbidden(path / {"cephfs": "cephFS"}.get(key, key), ONE_TYPE))
            continue
        count += 1
        errors += check(path / {"gcePersistentDisk": "persistentDisk"}.get(key, key), source)
        if key == "iscsi" and source.get("initiatorName") is not None:
            portal = source.get("targetPortal") or ""
            if len(f"{name}:{portal}") > 64:
                why = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters"
                why += " if iscsi.initiatorName is specified."
                errors.append(field.invalid(path / "iscsi" / "targetportal", portal, why))
        if key == "local" and spec.get("nodeAffinity") is None:
            errors.append(field.required(path / "nodeAffinity", "Local volume requires node affinity"))
    if not count:
        errors.append(field.required(path, "must specify a volume type"))
    return errors


def _local(path: Path, source: Mapping[str, Any]) -> Errors:
    target = source.get("path") or ""
    return no_backsteps(path / "path", target) if target else [field.required(path / "path")]


def _glusterfs(path: Path, source: Mapping[str, Any]) -> Errors:
    errors = needed("endpoints", "path")(path, source)
    namespace = source.get("endpointsNamespace")
    at = path / "endpointsNamespace"
    if namespace == "":
        why = "if the endpointnamespace is set, it must be a valid namespace name"
        errors.append(field.invalid(at, namespace, why))
    elif namespace is not None:
        errors += each(at, namespace, dns1123_label_errors(namespace))
    return errors


def _azure_file(path: Path, source: Mapping[str, Any]) -> Errors:
    errors = needed("secretName", "shareName")(path, source)
    return [*errors, field.required(path / "secretNamespace")] if source.get("secretNamespace") == "" else errors


_CSI_SECRETS = (
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
)


def _csi(path: Path, source: Mapping[str, Any]) -> Errors:
    errors = csi_driver_name(path / "driver", source.get("driver") or "")
    if not source.get("volumeHandle"):
        errors.append(field.required(path / "volumeHandle"))
    for key in _CSI_SECRETS:
        if (ref := source.get(key)) is not None:
            errors += _secret(path / key, ref)
    return errors


def _secret(path: Path, ref: Mapping[str, Any]) -> Errors:
    name, namespace = ref.get("name"), ref.get("namespace")
    errors = dns_subdomain(path / "name", name) if name else [field.required(path / "name")]
    at = path / "namespace"
    return errors + (each(at, namespace, dns1123_label_errors(namespace)) if namespace else [field.required(at)])


_SOURCES: dict[str, Check] = {
    "hostPath": host_path,
    "gcePersistentDisk": disk("pdName"),
    "awsElasticBlockStore": disk("volumeID"),
    "glusterfs": _glusterfs,
    "flocker": flocker,
    "nfs": nfs,
    "rbd": needed("monitors", "image"),
    "quobyte": quobyte,
    "cephfs": needed("monitors"),
    "iscsi": both(iscsi, secret_ref("secretRef", "name")),
    "cinder": both(needed("volumeID"), secret_ref("secretRef", "name", "namespace")),
    "fc": fibre_channel,
    "flexVolume": flex_volume,
    "azureFile": _azure_file,
    "vsphereVolume": needed("volumePath"),
    "photonPersistentDisk": needed("pdID"),
    "portworxVolume": needed("volumeID"),
    "azureDisk": azure_disk,
    "scaleIO": needed("gateway", "system", "volumeName"),
    "local": _local,
    "storageos": both(storage_os, secret_ref("secretRef", "namespace")),
    "csi": _csi,
}


def validate_update(new: Object, old: Object) -> Errors:
    """The source, the mode and a given node affinity stay."""
    errors = validate(new)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    sources = {key: spec.get(key) for key in _SOURCES}
    was = {key: before.get(key) for key in _SOURCES}
    if sources["csi"] and was["csi"] and was["csi"].get("controllerExpandSecretRef") is None:
        sources["csi"] = {k: v for k, v in sources["csi"].items() if k != "controllerExpandSecretRef"}
    if not same(sources, was):
        why = "spec.persistentvolumesource is immutable after creation\n"
        errors.append(
            field.forbidden(SPEC / "persistentvolumesource", why + "\n".join(difference(was, sources)) + "\n")
        )
    errors += immutable(Path("volumeMode"), spec.get("volumeMode"), before.get("volumeMode"))
    if before.get("nodeAffinity") is not None:
        affinity, allowed = (
            spec.get("nodeAffinity"),
            _with_stable_labels(spec.get("nodeAffinity"), before["nodeAffinity"]),
        )
        if not same(affinity, allowed):
            why = "field is immutable, except for updating from beta label to GA"
            errors.append(field.invalid(Path("nodeAffinity"), affinity, why))
    if before.get("volumeAttributesClassName") is not None and spec.get("volumeAttributesClassName") is None:
        why = "update from non-nil value to nil is forbidden"
        errors.append(field.forbidden(SPEC / "volumeAttributesClassName", why))
    return errors


_STABLE = {
    LABEL_FAILURE_DOMAIN_BETA_ZONE: LABEL_TOPOLOGY_ZONE,
    LABEL_FAILURE_DOMAIN_BETA_REGION: LABEL_TOPOLOGY_REGION,
    LABEL_OS: LABEL_OS_STABLE,
    LABEL_ARCH: LABEL_ARCH_STABLE,
    LABEL_INSTANCE_TYPE: LABEL_INSTANCE_TYPE_STABLE,
}


def _with_stable_labels(new: Any, old: Any) -> Any:
    """The old affinity, with beta labels that the new one names in their stable form in that form."""
    if isinstance(old, dict) and isinstance(new, dict):
        affinity = {key: _with_stable_labels(new.get(key), value) for key, value in old.items()}
        if "operator" in old and _STABLE.get(old.get("key", "")) == new.get("key"):
            affinity["key"] = new["key"]
        return affinity
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [_with_stable_labels(a, b) for a, b in zip(new, old, strict=True)]
    return old


def warnings(volume: Object, old: Object | None) -> list[str]:
    """What goes out of use (upstream: pkg/api/persistentvolume/util.go)."""
    annotations = (volume.get("metadata") or {}).get("annotations") or {}
    told = []
    for key, use in (
        (BETA_STORAGE_CLASS_ANNOTATION, 'deprecated since v1.8; use "storageClassName" attribute instead'),
        ("volume.beta.kubernetes.io/mount-options", 'deprecated since v1.31; use "mountOptions" attribute instead'),
    ):
        if key in annotations:
            told.append(f"{Path('metadata.annotations').key(key)}: {use}")
    if (volume.get("spec") or {}).get("persistentVolumeReclaimPolicy") == "Recycle":
        way = "Instead, the recommended approach is to use dynamic provisioning."
        told.append(f"spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. {way}")
    return told


def row(volume: Object, now: datetime) -> list[Any]:
    """The cells, the wide one included."""
    meta, spec, status = volume["metadata"], volume.get("spec") or {}, volume.get("status") or {}
    claim = spec.get("claimRef")
    annotated = (meta.get("annotations") or {}).get(BETA_STORAGE_CLASS_ANNOTATION)
    return [
        meta["name"],
        (spec.get("capacity") or {}).get("storage", "0"),
        short_modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy") or "",
        "Terminating" if meta.get("deletionTimestamp") else status.get("phase") or "",
        f"{claim.get('namespace') or ''}/{claim.get('name') or ''}" if claim else "",
        annotated if annotated is not None else spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        status.get("reason") or "",
        object_age(volume, now),
        spec.get("volumeMode") or "<unset>",
    ]


RESOURCE = Resource(
    group="",
    version="v1",
    name="persistentvolumes",
    kind="PersistentVolume",
    schema="io.k8s.api.core.v1.PersistentVolume",
    returns_deleted=True,
    meta_again=1,
    short_names=("pv",),
    namespaced=False,
    status=True,
    generation=False,
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    stamp=stamp,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    columns=(
        NAME,
        Column("Capacity"),
        Column("Access Modes"),
        Column("Reclaim Policy"),
        Column("Status"),
        Column("Claim"),
        Column("StorageClass", description="StorageClass of the pv"),
        Column("VolumeAttributesClass", description="VolumeAttributesClass of the pv"),
        Column("Reason"),
        AGE,
        Column("VolumeMode", priority=1),
    ),
    row=row,
)
