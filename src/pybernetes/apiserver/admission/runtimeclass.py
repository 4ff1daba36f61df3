"""Admission RuntimeClass (upstream: plugin/pkg/admission/runtimeclass)."""

from __future__ import annotations

from typing import Any

from pybernetes.api import errors
from pybernetes.api.errors import StatusError

from ..types import PODS, Attributes, Reader

Object = dict[str, Any]


class RuntimeClass:
    """A pod takes the overhead and the scheduling of the class it names."""

    name = "RuntimeClass"
    resources = PODS

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def admit(self, attributes: Attributes) -> None:
        """Fills in overhead, node selector and tolerations; 403 without the class, or where they contradict the pod's."""
        runtime_class = self._class(attributes)
        if runtime_class is None or attributes.object is None:
            return
        spec = attributes.object["spec"]
        overhead = (runtime_class.get("overhead") or {}).get("podFixed")
        if overhead:
            if spec.get("overhead") and spec["overhead"] != overhead:
                raise _refused(attributes, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
            spec["overhead"] = dict(overhead)
        scheduling = runtime_class.get("scheduling") or {}
        selector = spec.get("nodeSelector") or {}
        for key, value in (scheduling.get("nodeSelector") or {}).items():
            if selector.get(key, value) != value:
                text = f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {selector[key]}"
                raise _refused(attributes, text)
        if scheduling.get("nodeSelector"):
            spec["nodeSelector"] = {**selector, **scheduling["nodeSelector"]}
        extra = [t for t in scheduling.get("tolerations") or () if t not in (spec.get("tolerations") or ())]
        if extra:
            spec["tolerations"] = [*(spec.get("tolerations") or ()), *extra]

    def validate(self, attributes: Attributes) -> None:
        """403 for an overhead that is not the class's."""
        runtime_class = self._class(attributes)
        pod = attributes.object
        if pod is None or not _concerns(attributes):
            return
        overhead = pod["spec"].get("overhead")
        if runtime_class is not None:
            if (overhead or {}) != ((runtime_class.get("overhead") or {}).get("podFixed") or {}):
                raise _refused(attributes, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
        elif overhead:
            raise _refused(
                attributes, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            )

    def _class(self, attributes: Attributes) -> Object | None:
        pod = attributes.object
        if pod is None or not _concerns(attributes):
            return None
        name = pod["spec"].get("runtimeClassName")
        if not name:
            return None
        runtime_class = self._reader.get("node.k8s.io", "runtimeclasses", "", name)
        if runtime_class is None:
            raise _refused(attributes, f'pod rejected: RuntimeClass "{name}" not found')
        return runtime_class


def _concerns(attributes: Attributes) -> bool:
    resource = attributes.resource
    return (
        attributes.operation == "CREATE"
        and (resource.group, resource.name) == ("", "pods")
        and not attributes.subresource
    )


def _refused(attributes: Attributes, why: str) -> StatusError:
    return errors.forbidden("", "pods", attributes.told_name, why)
