"""Admission TaintNodesByCondition (upstream: plugin/pkg/admission/nodetaint)."""

from __future__ import annotations

from pybernetes.api.wellknown import TAINT_NODE_NOT_READY

from ..types import Attributes

TAINT = {"key": TAINT_NODE_NOT_READY, "effect": "NoSchedule"}


class TaintNodesByCondition:
    """A new node takes no pods before it is known to be ready."""

    name = "TaintNodesByCondition"
    resources = frozenset({("", "nodes")})

    def admit(self, attributes: Attributes) -> None:
        """Adds the taint."""
        node, resource = attributes.object, attributes.resource
        if node is None or (resource.group, resource.name) != ("", "nodes") or attributes.subresource:
            return
        if attributes.operation != "CREATE":
            return
        spec = node.setdefault("spec", {})
        present = spec.get("taints") or []
        if not any(t.get("key") == TAINT["key"] and t.get("effect") == TAINT["effect"] for t in present):
            spec["taints"] = [*present, dict(TAINT)]

    def validate(self, attributes: Attributes) -> None:
        """Nothing more."""
