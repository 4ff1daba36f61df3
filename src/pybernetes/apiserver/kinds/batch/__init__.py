"""The kinds of batch/v1: one module a kind, `RESOURCES` is the table."""

from __future__ import annotations

from ...resource import Resource
from . import cronjob, job

RESOURCES: tuple[Resource, ...] = (
    cronjob.RESOURCE,
    job.RESOURCE,
)
