"""Seccomp and AppArmor profiles of pod security policies, which stand in annotations.

Upstream: pkg/security/podsecuritypolicy/{seccomp,apparmor}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import FieldError, Path
from pybernetes.api.wellknown import APP_ARMOR_CONTAINER_ANNOTATION_PREFIX

from ..kinds.core.profiles import SECCOMP_CONTAINER, SECCOMP_POD, seccomp_text
from ..kinds.policy.podsecuritypolicy import (
    ANY,
    APPARMOR_ALLOWED,
    APPARMOR_DEFAULT,
    SECCOMP_ALLOWED,
    SECCOMP_DEFAULT,
)
from ..resource import Object

ANNOTATIONS = Path("pod.metadata.annotations")
RUNTIME = ("runtime/default", "docker/default")  # the same under two names

Errors = list[FieldError]


def _annotations(obj: Object) -> Mapping[str, str]:
    annotations: Mapping[str, str] = (obj.get("metadata") or {}).get("annotations") or {}
    return annotations


def _annotate(pod: Object, name: str, value: str) -> None:
    pod["metadata"]["annotations"] = {**_annotations(pod), name: value}


# --- seccomp ------------------------------------------------------------------------------------


def set_seccomp(policy: Object, pod: Object) -> None:
    """The default profile of the whole pod; a field is an annotation besides."""
    if _annotations(pod).get(SECCOMP_POD):
        return
    profile = _of_field(pod["spec"]) or _annotations(policy).get(SECCOMP_DEFAULT) or ""
    if profile:
        _annotate(pod, SECCOMP_POD, profile)


def _of_field(holder: Mapping[str, Any]) -> str:
    profile = (holder.get("securityContext") or {}).get("seccompProfile")
    return "" if profile is None else seccomp_text(profile)


def seccomp_of_pod(policy: Object, pod: Object) -> Errors:
    """Whether the pod's own profile is allowed."""
    profile = _annotations(pod).get(SECCOMP_POD) or _of_field(pod["spec"])
    return _seccomp(ANNOTATIONS.key(SECCOMP_POD), policy, profile)


def seccomp_of_container(policy: Object, pod: Object, container: Mapping[str, Any]) -> Errors:
    """Whether a container's profile is allowed, which may be the pod's."""
    key = SECCOMP_CONTAINER + (container.get("name") or "")
    annotations = _annotations(pod)
    profile = annotations.get(key) or _of_field(container) or annotations.get(SECCOMP_POD) or _of_field(pod["spec"])
    return _seccomp(ANNOTATIONS.key(key), policy, profile)


def _seccomp(path: Path, policy: Object, profile: str) -> Errors:
    text = _annotations(policy).get(SECCOMP_ALLOWED) or ""
    allowed = text.split(",") if text else []
    if ANY in allowed:
        return []
    if not allowed:
        return [field.forbidden(path, "seccomp may not be set")] if profile else []
    if profile in allowed or (profile in RUNTIME and set(RUNTIME) & set(allowed)):
        return []
    return [field.forbidden(path, f"{profile} is not an allowed seccomp profile. Valid values are {text}")]


# --- AppArmor -----------------------------------------------------------------------------------


def set_apparmor(policy: Object, pod: Object, container: Mapping[str, Any]) -> None:
    """The default profile of a container."""
    key = APP_ARMOR_CONTAINER_ANNOTATION_PREFIX + (container.get("name") or "")
    profile = _annotations(policy).get(APPARMOR_DEFAULT)
    if profile and not _annotations(pod).get(key):
        _annotate(pod, key, profile)


def apparmor(policy: Object, pod: Object, container: Mapping[str, Any]) -> Errors:
    """Whether a container's profile is in the list, where there is one."""
    text = _annotations(policy).get(APPARMOR_ALLOWED)
    if text is None:
        return []
    key = APP_ARMOR_CONTAINER_ANNOTATION_PREFIX + (container.get("name") or "")
    at, profile, allowed = ANNOTATIONS.key(key), _annotations(pod).get(key) or "", text.split(",")
    if not profile:
        return [field.forbidden(at, "AppArmor profile must be set")] if text else []
    if profile in allowed:
        return []
    why = f"{profile} is not an allowed profile. Allowed values: {field.quote(text)}"
    return [field.forbidden(at, why)]
