"""Profiles of AppArmor and seccomp in annotations, as they were given before there were fields (upstream: core validation,
pkg/registry/core/pod/strategy.go)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.wellknown import APP_ARMOR_CONTAINER_ANNOTATION_PREFIX

from ..validation import Errors, descending_path
from .security import apparmor_profile

Object = Mapping[str, Any]

SECCOMP_POD, SECCOMP_CONTAINER = (
    "seccomp.security.alpha.kubernetes.io/pod",
    "container.seccomp.security.alpha.kubernetes.io/",
)
_LOCALHOST = "localhost/"
# Text of an annotation -> type of the profile.
_APPARMOR_TYPES = {"unconfined": "Unconfined", "runtime/default": "RuntimeDefault"}
_SECCOMP_TYPES = {**_APPARMOR_TYPES, "docker/default": "RuntimeDefault"}
KINDS = ("initContainers", "containers", "ephemeralContainers")  # in the order in which upstream visits them


def all_containers(path: Path, spec: Object) -> Iterator[tuple[Path, Object]]:
    """Every container of a pod with its place."""
    for kind in KINDS:
        for index, container in enumerate(spec.get(kind) or ()):
            yield path / kind / index, container


def annotations_errors(path: Path, annotations: Mapping[str, str], spec: Object) -> Errors:
    """What the annotations say can be said, and of containers that are there."""
    errors: Errors = []
    if SECCOMP_POD in annotations:
        errors += _seccomp(path / SECCOMP_POD, annotations[SECCOMP_POD])
    for key, text in annotations.items():
        if key.startswith(SECCOMP_CONTAINER):
            errors += _seccomp(path / key, text)
    for key, text in annotations.items():
        if not key.startswith(APP_ARMOR_CONTAINER_ANNOTATION_PREFIX):
            continue
        name = key.removeprefix(APP_ARMOR_CONTAINER_ANNOTATION_PREFIX)
        if all(container.get("name") != name for _, container in all_containers(path, spec)):
            errors.append(field.invalid(path.key(key), name, "container not found"))
        if text and text not in _APPARMOR_TYPES and not text.startswith(_LOCALHOST):
            errors.append(field.invalid(path.key(key), text, f"invalid AppArmor profile name: {field.quote(text)}"))
    return errors


def _seccomp(path: Path, text: str) -> Errors:
    if text in _SECCOMP_TYPES:
        return []
    if text.startswith(_LOCALHOST):
        return descending_path(path, text.removeprefix(_LOCALHOST))
    return [field.invalid(path, text, "must be a valid seccomp profile")]


def seccomp_text(profile: Object) -> str:
    """What an annotation says of a profile (upstream: SeccompAnnotationForField); "" where it can say nothing."""
    kind = profile.get("type")
    if kind == "Localhost":
        file = profile.get("localhostProfile")
        return "" if file is None else f"{_LOCALHOST}{file}"
    return {"Unconfined": "unconfined", "RuntimeDefault": "runtime/default"}.get(kind or "", "")


def seccomp_field(text: str) -> dict[str, str] | None:
    """The profile that an annotation means."""
    if text in _SECCOMP_TYPES:
        return {"type": _SECCOMP_TYPES[text]}
    file = text.removeprefix(_LOCALHOST)
    return {"type": "Localhost", "localhostProfile": file} if file and file != text else None


def fields_match(path: Path, annotations: Mapping[str, str], spec: Object) -> Errors:
    """On creation: where a profile is given both ways, both say the same."""
    security = spec.get("securityContext") or {}
    errors: Errors = []
    if SECCOMP_POD in annotations:
        at = path / "securityContext" / "seccompProfile"
        errors += _match(at, "seccomp", annotations[SECCOMP_POD], security.get("seccompProfile"), _SECCOMP_TYPES)
    for place, container in all_containers(path, spec):
        key = SECCOMP_CONTAINER + (container.get("name") or "")
        if key in annotations:
            own = (container.get("securityContext") or {}).get("seccompProfile")
            at = place / "securityContext" / "seccompProfile"
            errors += _match(at, "seccomp", annotations[key], own, _SECCOMP_TYPES)
    if (spec.get("os") or {}).get("name") == "windows":
        return errors
    for place, container in all_containers(path, spec):
        key = APP_ARMOR_CONTAINER_ANNOTATION_PREFIX + (container.get("name") or "")
        if key in annotations:
            own = (container.get("securityContext") or {}).get("appArmorProfile") or security.get("appArmorProfile")
            at = place / "securityContext" / "appArmorProfile"
            errors += _match(at, "apparmor", annotations[key], own, _APPARMOR_TYPES)
    return errors


def _match(path: Path, sort: str, text: str, profile: Object | None, types: Mapping[str, str]) -> Errors:
    if profile is None:
        return []
    kind = profile.get("type") or ""
    other_type = field.forbidden(path / "type", f"{sort} type in annotation and field must match")
    if kind != "Localhost":
        return [other_type] if kind in types.values() and types.get(text) != kind else []
    if not text.startswith(_LOCALHOST):
        return [other_type]
    if text.removeprefix(_LOCALHOST) == profile.get("localhostProfile"):
        return []
    return [field.forbidden(path / "localhostProfile", f"{sort} profile in annotation and field must match")]


def apparmor_field(text: str) -> dict[str, str] | None:
    """The profile that an annotation means."""
    if text in _APPARMOR_TYPES:
        return {"type": _APPARMOR_TYPES[text]}
    file = text.removeprefix(_LOCALHOST)
    return {"type": "Localhost", "localhostProfile": file} if file and file != text else None


def apply_annotations(annotations: Mapping[str, str], spec: dict[str, Any]) -> None:
    """On creation: containers without the field get the profile of their annotation (applyAppArmorVersionSkew)."""
    if (spec.get("os") or {}).get("name") == "windows":
        return
    whole = (spec.get("securityContext") or {}).get("appArmorProfile")
    containers: list[dict[str, Any]] = [container for kind in KINDS for container in spec.get(kind) or ()]
    for container in containers:
        text = annotations.get(APP_ARMOR_CONTAINER_ANNOTATION_PREFIX + (container.get("name") or ""))
        context = container.get("securityContext") or {}
        if text is None or context.get("appArmorProfile") is not None:
            continue
        profile = apparmor_field(text)
        if profile and profile != whole and not apparmor_profile(Path(), profile):
            container["securityContext"] = {**context, "appArmorProfile": profile}
