"""What a kubelet may say of containers (upstream: core validation, ValidatePodStatusUpdate; pkg/api/v1/pod, ContainerShouldRestart)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ..validation import Errors, unix_id

Object = Mapping[str, Any]

HEALTH = ("Healthy", "Unhealthy", "Unknown")
_CLAIM = "claim:"


def restarts(container: Object, pod_policy: str, code: int) -> bool:
    """Whether a container that ended with the code runs again: its rules decide, its policy, or else the pod's."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        listed = code in (codes.get("values") or ())
        if {"In": listed, "NotIn": not listed}.get(codes.get("operator") or "", False):
            return rule.get("action") in ("Restart", "RestartAllContainers")
    policy = container.get("restartPolicy") or pod_policy
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def validate(path: Path, status: Object, spec: Object) -> Errors:
    """Users and allocated devices of all containers."""
    errors: Errors = []
    system = (spec.get("os") or {}).get("name") or "linux"
    for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for index, container in enumerate(status.get(kind) or ()):
            user = (container.get("user") or {}).get("linux")
            if user is not None:
                errors += _user(path / kind / index / "user" / "linux", user, system)
    for kind, containers in (("containerStatuses", "containers"), ("initContainerStatuses", "initContainers")):
        for index, container in enumerate(status.get(kind) or ()):
            at = path / kind / index / "allocatedResourcesStatus"
            named = [c for c in spec.get(containers) or () if c.get("name") == container.get("name")]
            errors += _allocated(at, container.get("allocatedResourcesStatus") or (), named)
    for index, container in enumerate(status.get("ephemeralContainerStatuses") or ()):
        if container.get("allocatedResourcesStatus"):
            at = path / "ephemeralContainerStatuses" / index / "allocatedResourcesStatus"
            errors.append(field.forbidden(at, "must not be specified in container status"))
    return errors


def _user(path: Path, user: Object, system: str) -> Errors:
    if system == "windows":
        return [field.forbidden(path, "cannot be set for a windows pod")]
    errors = unix_id(path / "uid", user.get("uid") or 0) + unix_id(path / "gid", user.get("gid") or 0)
    for index, group in enumerate(user.get("supplementalGroups") or ()):
        errors += unix_id(path / "supplementalGroups" / index, group)
    return errors


def _allocated(path: Path, items: Sequence[Object], containers: Sequence[Object]) -> Errors:
    errors: Errors = []
    for index, item in enumerate(items):
        name = item.get("name") or ""
        if containers and not _asked_for(name, containers[0].get("resources") or {}):
            why = "must match one of the container's resource requests"
            if name.startswith(_CLAIM):
                why = (
                    "must match one of the container's resource claims in a format "
                    "'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
                )
            errors.append(field.invalid(path / index / "name", name, why))
        seen: set[str] = set()
        for number, device in enumerate(item.get("resources") or ()):
            at, health, own = path / index / "resources" / number, device.get("health") or "", device.get("resourceID")
            if health not in HEALTH:
                errors.append(field.not_supported(at / "health", health, HEALTH))
            if own in seen:
                errors.append(field.duplicate(at / "resourceID", own))
            seen.add(own or "")
    return errors


def _asked_for(name: str, resources: Object) -> bool:
    if not name.startswith(_CLAIM):
        return name in (resources.get("requests") or {})
    claims = resources.get("claims") or ()
    return name in {_CLAIM + "/".join(filter(None, (c.get("name"), c.get("request")))) for c in claims}
