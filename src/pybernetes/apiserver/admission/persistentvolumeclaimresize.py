"""Admission PersistentVolumeClaimResize (upstream: plugin/pkg/admission/storage/persistentvolume/resize)."""

from __future__ import annotations

from typing import Any

from pybernetes.api import errors
from pybernetes.api.quantity import Quantity, parse_quantity
from pybernetes.api.storageclasses import storage_class_of_json

from ..types import Attributes, Reader


class PersistentVolumeClaimResize:
    """A claim grows only once it is bound, and only where its class lets it."""

    name = "PersistentVolumeClaimResize"
    resources = frozenset({("", "persistentvolumeclaims")})

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def admit(self, attributes: Attributes) -> None:
        """Nothing is filled in."""

    def validate(self, attributes: Attributes) -> None:
        """403 for a claim that may not grow."""
        new, old, resource = attributes.object, attributes.old_object, attributes.resource
        if new is None or old is None or (resource.group, resource.name) != ("", "persistentvolumeclaims"):
            return
        if attributes.subresource or _size(new) <= _size(old):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise errors.forbidden(
                "", resource.name, attributes.told_name, "Only bound persistent volume claims can be expanded"
            )
        if not self._expandable(new, old):
            why = (
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc "
                "must support resize"
            )
            raise errors.forbidden("", resource.name, attributes.told_name, why)

    def _expandable(self, new: dict[str, Any], old: dict[str, Any]) -> bool:
        name, before = storage_class_of_json(new), storage_class_of_json(old)
        if not name or name != before:
            return False
        storage_class = self._reader.get("storage.k8s.io", "storageclasses", "", name)
        return bool(storage_class and storage_class.get("allowVolumeExpansion"))


def _size(claim: dict[str, Any]) -> Quantity:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return parse_quantity(requests.get("storage", "0"))
