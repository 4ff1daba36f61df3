"""Admission Priority (upstream: plugin/pkg/admission/priority)."""

from __future__ import annotations

from typing import Any

from pybernetes.api import errors
from pybernetes.api.pods import NODE_CRITICAL, SYSTEM_CRITICAL

from ..types import Attributes, Reader

# The classes that are there before anyone makes one (upstream: pkg/apis/scheduling/helpers.go).
SYSTEM = {"system-node-critical": NODE_CRITICAL, "system-cluster-critical": SYSTEM_CRITICAL}


class Priority:
    """A pod's priority is its class's, or the default class's, or 0; nobody chooses it directly."""

    name = "Priority"
    resources = frozenset({("", "pods"), ("scheduling.k8s.io", "priorityclasses")})

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
                raise errors.forbidden("", "pods", attributes.told_name, text)
        spec["priority"], spec["preemptionPolicy"] = priority, policy
        if name:
            spec["priorityClassName"] = name

    def validate(self, attributes: Attributes) -> None:
        """403 for a second default class."""
        given, resource = attributes.object, attributes.resource
        if given is None or (resource.group, resource.name) != ("scheduling.k8s.io", "priorityclasses"):
            return
        if attributes.operation not in ("CREATE", "UPDATE") or not given.get("globalDefault"):
            return
        default = self._default()
        if default is None or (attributes.operation == "UPDATE" and default["metadata"]["name"] == attributes.name):
            return
        taken = f"PriorityClass {default['metadata']['name']} is already marked as default. Only one default can exist"
        raise errors.forbidden(resource.group, resource.name, attributes.told_name, taken)

    @staticmethod
    def _keep(spec: dict[str, Any], old: dict[str, Any]) -> None:
        for field in ("priority", "preemptionPolicy"):
            if field not in spec and field in old:
                spec[field] = old[field]

    def _default(self) -> dict[str, Any] | None:
        """The lowest of the classes marked so: there are several where servers took them at one time."""
        classes = self._reader.list("scheduling.k8s.io", "priorityclasses")
        marked = [c for c in classes if c.get("globalDefault")]
        return min(marked, key=lambda c: int(c.get("value", 0)), default=None)

    def _resolve(self, name: str, attributes: Attributes) -> tuple[str, int, str]:
        """(class, priority, preemption policy)."""
        classes = self._reader.list("scheduling.k8s.io", "priorityclasses")
        if not name:
            default = self._default()
            if default is None:
                return "", 0, "PreemptLowerPriority"
            priority_class = default
        else:
            named = next((c for c in classes if c["metadata"]["name"] == name), None)
            if named is None and name in SYSTEM:
                return name, SYSTEM[name], "PreemptLowerPriority"
            if named is None:
                why = f"no PriorityClass with name {name} was found"
                raise errors.forbidden("", "pods", attributes.told_name, why)
            priority_class = named
        return (
            priority_class["metadata"]["name"],
            int(priority_class.get("value", 0)),
            priority_class.get("preemptionPolicy") or "PreemptLowerPriority",
        )
