"""authentication.k8s.io/v1beta1 (until 1.22): the fields of v1 under another name."""

from __future__ import annotations

from ..versions import Family, older
from . import tokenreview

FAMILIES: tuple[Family, ...] = ((tokenreview.RESOURCE, older(tokenreview.RESOURCE, "authentication.v1beta1")),)
