"""Admission Priority (upstream: plugin/pkg/admission/priority)."""

from __future__ import annotations

from typing import Any

from pybernetes.api import errors

from ..types import Attributes, Reader

# The classes that are there before anyone makes one (upstream: pkg/apis/scheduling/helpers.go).
SYSTEM = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


class Priority:
    """A pod's priority is its class's, or the default class's, or 0; nobody chooses it directly."""

    name = "Priority"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def admit(self, attributes: Attributes) -> None:
        """Fills in priority, class and preemption policy; 403 for an unknown class or another number."""
        pod, resource = attributes.object, attributes.resource
        if pod is None or (resource.group, resource.name) != ("", "pods") or attributes.subresource:
            return
        if attributes.operation == "UPDATE":
            old = attributes.old_object or {}
            self._keep(pod["spec"], old.get("spec") or {})
            return
        name, priority, policy = self._resolve(pod["spec"].get("priorityClassName", ""), attributes)
        spec = pod["spec"]
        for field, title, computed in (
            ("priority", "integer value of priority", priority),
            ("preemptionPolicy", "string value of PreemptionPolicy", policy),
        ):
            if spec.get(field) not in (None, computed):
                why = f"priority admission controller computed {computed} from the given PriorityClass name"
                text = f"the {title} ({spec[field]}) must not be provided in pod spec; {why}"
                raise errors.forbidden("", "pods", attributes.name, text)
        spec["priority"], spec["preemptionPolicy"] = priority, policy
        if name:
            spec["priorityClassName"] = name

    def validate(self, attributes: Attributes) -> None:
        """Nothing more."""

    @staticmethod
    def _keep(spec: dict[str, Any], old: dict[str, Any]) -> None:
        for field in ("priority", "preemptionPolicy"):
            if field not in spec and field in old:
                spec[field] = old[field]

    def _resolve(self, name: str, attributes: Attributes) -> tuple[str, int, str]:
        """(class, priority, preemption policy)."""
        classes = self._reader.list("scheduling.k8s.io", "priorityclasses")
        if not name:
            defaults = [c for c in classes if c.get("globalDefault")]
            if not defaults:
                return "", 0, "PreemptLowerPriority"
            priority_class = min(defaults, key=lambda c: int(c.get("value", 0)))
        else:
            named = next((c for c in classes if c["metadata"]["name"] == name), None)
            if named is None and name in SYSTEM:
                return name, SYSTEM[name], "PreemptLowerPriority"
            if named is None:
                why = f"no PriorityClass with name {name} was found"
                raise errors.forbidden("", "pods", attributes.name, why)
            priority_class = named
        return (
            priority_class["metadata"]["name"],
            int(priority_class.get("value", 0)),
            priority_class.get("preemptionPolicy") or "PreemptLowerPriority",
        )
