"""Which finalizers protect claims, volumes and attribute classes; pure.

Upstream: pkg/controller/volume/pvcprotection, pvprotection, vacprotection.
"""

from __future__ import annotations

from pybernetes.api.types import core_v1 as core
from pybernetes.client.types import Object

User = core.PersistentVolumeClaim | core.PersistentVolume  # of an attribute class


def finalizers_with(obj: Object, finalizer: str, used: bool) -> list[str] | None:
    """The finalizers that an object should have; None if these are its own."""
    there = finalizer in obj.metadata.finalizers
    if obj.metadata.deletion_timestamp is None:
        return None if there else [*obj.metadata.finalizers, finalizer]
    return [name for name in obj.metadata.finalizers if name != finalizer] if there and not used else None


def classes_of(obj: User) -> list[str]:
    """Index of claims and volumes: the attribute classes that they name or have."""
    names = {obj.spec.volume_attributes_class_name}
    if isinstance(obj, core.PersistentVolumeClaim):
        names.add(obj.status.current_volume_attributes_class_name)
        change = obj.status.modify_volume_status
        names.add(change.target_volume_attributes_class_name if change is not None else None)
    return sorted(name for name in names if name)
