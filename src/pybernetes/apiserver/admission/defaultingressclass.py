"""Admission DefaultIngressClass (upstream: plugin/pkg/admission/network/defaultingressclass)."""

from __future__ import annotations

from pybernetes.api.wellknown import ANNOTATION_INGRESS_CLASS

from ..types import Attributes, Reader
from .defaultclass import default_class

ANNOTATIONS = ("ingressclass.kubernetes.io/is-default-class",)


class DefaultIngressClass:
    """An ingress that names no class gets the default one."""

    name = "DefaultIngressClass"
    resources = frozenset({("networking.k8s.io", "ingresses")})

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def admit(self, attributes: Attributes) -> None:
        """Fills it in."""
        ingress, resource = attributes.object, attributes.resource
        if ingress is None or (resource.group, resource.name) != ("networking.k8s.io", "ingresses"):
            return
        if attributes.operation != "CREATE" or attributes.subresource:
            return
        spec = ingress.setdefault("spec", {})
        if spec.get("ingressClassName") or ANNOTATION_INGRESS_CLASS in (ingress["metadata"].get("annotations") or {}):
            return
        ingress_class = default_class(self._reader.list("networking.k8s.io", "ingressclasses"), ANNOTATIONS)
        if ingress_class is not None:
            spec["ingressClassName"] = ingress_class["metadata"]["name"]

    def validate(self, attributes: Attributes) -> None:
        """Nothing more."""
