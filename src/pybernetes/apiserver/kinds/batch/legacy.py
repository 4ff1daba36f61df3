"""Cron jobs of batch/v1beta1 (until 1.25) and v2alpha1 (until 1.21): v1's fields; their jobs outlive them.

Jobs have no old version here; beside old ones they are taken as their controllers of that time end them.
"""

from __future__ import annotations

from dataclasses import replace

from ..versions import Family, family, older
from .cronjob import RESOURCE
from .job import RESOURCE as JOB
from .jobstatus import validate_older_status

FAMILIES: tuple[Family, ...] = (
    family(
        RESOURCE,
        older(RESOURCE, "batch.v1beta1", default_propagation="orphan"),
        older(RESOURCE, "batch.v2alpha1", default_propagation="orphan"),
    ),
    (replace(JOB, validate_status=validate_older_status, _cache={}),),
)
