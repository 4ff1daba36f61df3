"""Cron jobs of batch/v1beta1 (until 1.25) and v2alpha1 (until 1.21): v1's fields; their jobs outlive them."""

from __future__ import annotations

from ..versions import Family, family, older
from .cronjob import RESOURCE

FAMILIES: tuple[Family, ...] = (
    family(
        RESOURCE,
        older(RESOURCE, "batch.v1beta1", default_propagation="orphan"),
        older(RESOURCE, "batch.v2alpha1", default_propagation="orphan"),
    ),
)
