"""scheduling.k8s.io/v1beta1 and v1alpha1 (until 1.22): the fields of v1 under another name."""

from __future__ import annotations

from ..versions import Family, family, older
from .priorityclass import RESOURCE

FAMILIES: tuple[Family, ...] = (
    family(RESOURCE, older(RESOURCE, "scheduling.v1beta1"), older(RESOURCE, "scheduling.v1alpha1")),
)
