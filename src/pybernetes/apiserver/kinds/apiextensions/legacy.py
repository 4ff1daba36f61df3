"""apiextensions.k8s.io/v1beta1 (until 1.22)."""

from __future__ import annotations

from ..versions import Family

FAMILIES: tuple[Family, ...] = ()
