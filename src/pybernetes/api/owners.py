"""Who manages an object, as its ownerReferences say (upstream: apimachinery/pkg/apis/meta/v1/controller_ref.go). Pure."""

from __future__ import annotations

from typing import Protocol

from .types import meta_v1 as meta


class Owned(Protocol):
    """What may have an owner: a typed object of any kind."""

    @property
    def metadata(self) -> meta.ObjectMeta: ...


class Owner(Owned, Protocol):
    """What may be one: references name its kind as well."""

    @property
    def api_version(self) -> str: ...

    @property
    def kind(self) -> str: ...


def controller_of(obj: Owned) -> meta.OwnerReference | None:
    """The owner that manages the object, if it has one (metav1.GetControllerOf)."""
    return next((ref for ref in obj.metadata.owner_references if ref.controller), None)


def controlled_by(obj: Owned, owner: Owned) -> bool:
    """Whether this owner, by its uid, manages the object (metav1.IsControlledBy)."""
    ref = controller_of(obj)
    return ref is not None and ref.uid == owner.metadata.uid


def controller_ref(owner: Owner) -> meta.OwnerReference:
    """The reference that makes an object the owner's (metav1.NewControllerRef)."""
    return meta.OwnerReference(
        api_version=owner.api_version,
        kind=owner.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )
