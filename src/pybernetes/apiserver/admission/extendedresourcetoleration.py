"""Admission ExtendedResourceToleration (upstream: plugin/pkg/admission/extendedresourcetoleration)."""

from __future__ import annotations

from pybernetes.api.computeresources import is_extended

from ..types import PODS, Attributes


class ExtendedResourceToleration:
    """Who asks for a special resource tolerates the taint, of its name, of the nodes that are kept for it."""

    name = "ExtendedResourceToleration"
    resources = PODS

    def admit(self, attributes: Attributes) -> None:
        """Adds tolerations to new and changed pods."""
        pod, resource = attributes.object, attributes.resource
        if pod is None or (resource.group, resource.name) != ("", "pods") or attributes.subresource:
            return
        if attributes.operation not in ("CREATE", "UPDATE"):
            return
        spec = pod["spec"]
        asked = {
            name
            for key in ("containers", "initContainers")
            for container in spec.get(key) or ()
            for name in (container.get("resources") or {}).get("requests") or {}
            if is_extended(name)
        }
        present = spec.get("tolerations") or []
        extra = [{"key": name, "operator": "Exists"} for name in sorted(asked)]
        added = [t for t in extra if not any({**t, "effect": ""} == {"effect": "", **p} for p in present)]
        if added:
            spec["tolerations"] = [*present, *added]

    def validate(self, attributes: Attributes) -> None:
        """Nothing more."""
