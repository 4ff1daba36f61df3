"""Which storage class a claim or volume names (upstream: component-helpers/storage/volume, GetPersistentVolumeClaimClass). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .types import core_v1 as core
from .wellknown import BETA_STORAGE_CLASS_ANNOTATION


def storage_class(obj: core.PersistentVolumeClaim | core.PersistentVolume) -> str:
    """Empty for none. The annotation of old goes before the field, also where it is empty: that is "no class", not "nothing said"."""
    annotated = obj.metadata.annotations.get(BETA_STORAGE_CLASS_ANNOTATION)
    return annotated if annotated is not None else obj.spec.storage_class_name or ""


def storage_class_of_json(obj: Mapping[str, Any]) -> str:
    """The same of an object in JSON's form."""
    annotated = (obj["metadata"].get("annotations") or {}).get(BETA_STORAGE_CLASS_ANNOTATION)
    return annotated if annotated is not None else (obj.get("spec") or {}).get("storageClassName") or ""
