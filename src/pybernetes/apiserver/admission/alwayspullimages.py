"""Admission AlwaysPullImages (upstream: plugin/pkg/admission/alwayspullimages)."""

from __future__ import annotations

from typing import Any

from pybernetes.api import errors, field
from pybernetes.api.field import Path

from ..types import PODS, Attributes

CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
ALWAYS = "Always"


class AlwaysPullImages:
    """Nobody runs a private image of others because a node has it already: each start asks the registry."""

    name = "AlwaysPullImages"
    resources = PODS

    def admit(self, attributes: Attributes) -> None:
        """Sets the policy of every container, and the pull policy of image volumes."""
        pod = attributes.object
        if not concerns(attributes) or pod is None:
            return
        for _, container in containers(pod):
            container["imagePullPolicy"] = ALWAYS
        for volume in pod["spec"].get("volumes") or ():
            if (image := volume.get("image")) and image.get("reference"):
                image["pullPolicy"] = ALWAYS

    def validate(self, attributes: Attributes) -> None:
        """403 where another plug-in has changed it again."""
        pod = attributes.object
        if not concerns(attributes) or pod is None:
            return
        for path, container in containers(pod):
            if container.get("imagePullPolicy") != ALWAYS:
                given = container.get("imagePullPolicy", "")
                problem = field.not_supported(path / "imagePullPolicy", given, [ALWAYS])
                raise errors.forbidden("", "pods", attributes.told_name, str(problem))


def containers(pod: dict[str, Any]) -> list[tuple[Path, dict[str, Any]]]:
    """All of a pod, with their paths."""
    spec = Path("spec")
    return [(spec / key / n, c) for key in CONTAINERS for n, c in enumerate(pod["spec"].get(key) or ())]


def concerns(attributes: Attributes) -> bool:
    """Pods as they are made, or get other images or ephemeral containers."""
    resource = attributes.resource
    if (resource.group, resource.name) != ("", "pods") or attributes.subresource not in ("", "ephemeralcontainers"):
        return False
    if attributes.operation != "UPDATE":
        return attributes.operation == "CREATE"
    before = {c.get("image") for _, c in containers(attributes.old_object or {"spec": {}})}
    return any(c.get("image") not in before for _, c in containers(attributes.object or {"spec": {}}))
