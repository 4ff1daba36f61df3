"""Admission LimitPodHardAntiAffinityTopology (upstream: plugin/pkg/admission/antiaffinity)."""

from __future__ import annotations

from pybernetes.api import errors
from pybernetes.api.wellknown import LABEL_HOSTNAME

from ..types import PODS, Attributes


class LimitPodHardAntiAffinityTopology:
    """No pod keeps others off more than a node."""

    name = "LimitPodHardAntiAffinityTopology"
    resources = PODS

    def admit(self, attributes: Attributes) -> None:
        """Nothing is filled in."""

    def validate(self, attributes: Attributes) -> None:
        """403 for required anti-affinity over anything else."""
        pod, resource = attributes.object, attributes.resource
        if pod is None or (resource.group, resource.name) != ("", "pods") or attributes.subresource:
            return
        anti = ((pod["spec"].get("affinity") or {}).get("podAntiAffinity")) or {}
        for term in anti.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            if term.get("topologyKey") != LABEL_HOSTNAME:
                why = (
                    "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey "
                    f"{term.get('topologyKey', '')} but only key {LABEL_HOSTNAME} is allowed"
                )
                raise errors.forbidden("", "pods", attributes.name, why)
