"""Admission PodTopologyLabels (upstream: plugin/pkg/admission/podtopologylabels)."""

from __future__ import annotations

from typing import Any

from pybernetes.api.wellknown import LABEL_TOPOLOGY_REGION, LABEL_TOPOLOGY_ZONE

from ..types import PODS, Attributes, Reader

LABELS = (LABEL_TOPOLOGY_ZONE, LABEL_TOPOLOGY_REGION)


class PodTopologyLabels:
    """A pod that is given a node carries the node's zone and region, so that its containers can learn them."""

    name = "PodTopologyLabels"
    resources = PODS

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def admit(self, attributes: Attributes) -> None:
        """Labels a binding, from which the pod has them, or a pod that is made on a node."""
        obj, resource = attributes.object, attributes.resource
        if obj is None or (resource.group, resource.name) != ("", "pods") or attributes.operation != "CREATE":
            return
        if attributes.subresource == "binding":
            target = obj.get("target") or {}
            self._label(obj, target.get("name", "") if target.get("kind") in (None, "", "Node") else "")
        elif not attributes.subresource:
            self._label(obj, obj["spec"].get("nodeName", ""))

    def validate(self, attributes: Attributes) -> None:
        """Nothing more."""

    def _label(self, obj: dict[str, Any], name: str) -> None:
        node = self._reader.get("", "nodes", "", name) if name else None
        labels = ((node or {}).get("metadata") or {}).get("labels") or {}
        topology = {key: labels[key] for key in LABELS if key in labels}
        if topology:
            obj["metadata"]["labels"] = {**(obj["metadata"].get("labels") or {}), **topology}
