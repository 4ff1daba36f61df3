"""The spec of a persistent volume claim, which claims, ephemeral volumes and stateful sets have (upstream: core validation)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ..validation import Errors, dns_label, dns_subdomain, label_selector, quantity
from .resources import quantity_value

Object = Mapping[str, Any]

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")


def access_modes(path: Path, modes: list[str]) -> Errors:
    """Each is known, and the one for a single pod stands alone."""
    errors = [field.not_supported(path, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    supported = {mode for mode in modes if mode in ACCESS_MODES}
    if "ReadWriteOncePod" in supported and len(supported) > 1:
        errors.append(field.forbidden(path, "may not use ReadWriteOncePod with other access modes"))
    return errors


def claim_spec(path: Path, spec: Object) -> Errors:
    """ValidatePersistentVolumeClaimSpec."""
    errors: Errors = []
    modes = spec.get("accessModes") or []
    if not modes:
        errors.append(field.required(path / "accessModes", "at least 1 access mode is required"))
    errors += label_selector(path / "selector", spec.get("selector"))
    errors += access_modes(path / "accessModes", modes)
    errors += _storage((path / "resources").key("storage"), (spec.get("resources") or {}).get("requests") or {})
    if name := spec.get("storageClassName"):
        errors += dns_subdomain(path / "storageClassName", name)
    if (mode := spec.get("volumeMode")) is not None and mode not in VOLUME_MODES:
        errors.append(field.not_supported(path / "volumeMode", mode, VOLUME_MODES))
    errors += _sources(path, spec)
    if name := spec.get("volumeAttributesClassName"):
        errors += dns_subdomain(path / "volumeAttributesClassName", name)
    return errors


def _storage(path: Path, requests: Mapping[str, str]) -> Errors:
    text = requests.get("storage")
    if text is None:
        return [field.required(path)]
    if quantity(text).nanos <= 0:
        return [field.invalid(path, text, "must be greater than zero")]
    return quantity_value(path, "storage", text)


def _sources(path: Path, spec: Object) -> Errors:
    errors: Errors = []
    source, ref = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None:
        errors += _source(path / "dataSource", source)
    if ref is not None:
        errors += _source(path / "dataSourceRef", ref)
        if namespace := ref.get("namespace"):
            errors += dns_label(path / "dataSourceRef" / "namespace", namespace)
    if source is None or ref is None:
        return errors
    if ref.get("namespace"):
        why = "may not be specified when dataSourceRef.namespace is specified"
        errors.append(field.invalid(path, f"{path}.dataSource", why))
    elif any((source.get(k) or None) != (ref.get(k) or None) for k in ("apiGroup", "kind", "name")):
        errors.append(field.invalid(path, f"{path}.dataSource", "must match dataSourceRef"))
    return errors


def _source(path: Path, source: Object) -> Errors:
    errors = [field.required(path / name) for name in ("name", "kind") if not source.get(name)]
    group, kind = source.get("apiGroup") or "", source.get("kind") or ""
    if not group and kind != "PersistentVolumeClaim":
        why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(field.invalid(path, kind, why))
    return errors + (dns_subdomain(path / "apiGroup", group) if group else [])
