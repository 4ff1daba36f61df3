"""Admission PodNodeSelector (upstream: plugin/pkg/admission/podnodeselector), without a configuration file."""

from __future__ import annotations

from pybernetes.api import errors

from ..types import PODS, Attributes, Reader

ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"


class PodNodeSelector:
    """A namespace's annotation says on which nodes its pods run."""

    name = "PodNodeSelector"
    resources = PODS

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def admit(self, attributes: Attributes) -> None:
        """Adds the namespace's selector; 403 where the pod's contradicts it."""
        pod, resource = attributes.object, attributes.resource
        if pod is None or (resource.group, resource.name) != ("", "pods") or attributes.subresource:
            return
        if attributes.operation != "CREATE":
            return
        selector = self._selector(attributes)
        present = pod["spec"].get("nodeSelector") or {}
        if any(present.get(key, value) != value for key, value in selector.items()):
            why = "pod node label selector conflicts with its namespace node label selector"
            raise errors.forbidden("", "pods", attributes.name, why)
        if selector:
            pod["spec"]["nodeSelector"] = {**present, **selector}

    def validate(self, attributes: Attributes) -> None:
        """Nothing more."""

    def _selector(self, attributes: Attributes) -> dict[str, str]:
        namespace = self._reader.get("", "namespaces", "", attributes.namespace)
        text = (((namespace or {}).get("metadata") or {}).get("annotations") or {}).get(ANNOTATION, "")
        pairs = [item.partition("=") for item in text.split(",") if item.strip()]
        return {key.strip(): value.strip() for key, _, value in pairs}
