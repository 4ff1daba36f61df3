"""Admission DefaultStorageClass (upstream: plugin/pkg/admission/storage/storageclass/setdefault)."""

from __future__ import annotations

from pybernetes.api.wellknown import (
    BETA_IS_DEFAULT_STORAGE_CLASS_ANNOTATION,
    BETA_STORAGE_CLASS_ANNOTATION,
    IS_DEFAULT_STORAGE_CLASS_ANNOTATION,
)

from ..types import Attributes, Reader
from .defaultclass import default_class

ANNOTATIONS = (
    IS_DEFAULT_STORAGE_CLASS_ANNOTATION,
    BETA_IS_DEFAULT_STORAGE_CLASS_ANNOTATION,
)


class DefaultStorageClass:
    """A claim that asks for no class gets the default one; one that asks for "" gets none."""

    name = "DefaultStorageClass"
    resources = frozenset({("", "persistentvolumeclaims")})

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def admit(self, attributes: Attributes) -> None:
        """Fills it in."""
        claim, resource = attributes.object, attributes.resource
        if claim is None or (resource.group, resource.name) != ("", "persistentvolumeclaims"):
            return
        if attributes.operation != "CREATE" or attributes.subresource:
            return
        if "storageClassName" in claim["spec"] or BETA_STORAGE_CLASS_ANNOTATION in (
            claim["metadata"].get("annotations") or {}
        ):
            return
        storage_class = default_class(self._reader.list("storage.k8s.io", "storageclasses"), ANNOTATIONS)
        if storage_class is not None:
            claim["spec"]["storageClassName"] = storage_class["metadata"]["name"]

    def validate(self, attributes: Attributes) -> None:
        """Nothing more."""
