"""Admission StorageObjectInUseProtection (upstream: plugin/pkg/admission/storage/storageobjectinuseprotection)."""

from __future__ import annotations

from pybernetes.api.wellknown import PV_PROTECTION_FINALIZER, PVC_PROTECTION_FINALIZER

from ..types import Attributes, Reader

FINALIZERS = {
    "persistentvolumeclaims": PVC_PROTECTION_FINALIZER,
    "persistentvolumes": PV_PROTECTION_FINALIZER,
}


class StorageObjectInUseProtection:
    """A volume or claim that is in use is not gone before it is free: the finalizer holds it."""

    name = "StorageObjectInUseProtection"
    resources = frozenset(("", resource) for resource in FINALIZERS)

    def __init__(self, reader: Reader) -> None:
        """Needs to look nothing up."""

    def admit(self, attributes: Attributes) -> None:
        """Adds the finalizer to what is made."""
        obj, resource = attributes.object, attributes.resource
        finalizer = FINALIZERS.get(resource.name) if resource.group == "" and not attributes.subresource else None
        if finalizer is None or obj is None or attributes.operation != "CREATE":
            return
        present = obj["metadata"].get("finalizers") or []
        if finalizer not in present:
            obj["metadata"]["finalizers"] = [*present, finalizer]

    def validate(self, attributes: Attributes) -> None:
        """Nothing more."""
