"""coordination.k8s.io/v1beta1 (until 1.22): the fields of v1 under another name."""

from __future__ import annotations

from ..versions import Family, family, older
from .lease import RESOURCE

FAMILIES: tuple[Family, ...] = (family(RESOURCE, older(RESOURCE, "coordination.v1beta1")),)
