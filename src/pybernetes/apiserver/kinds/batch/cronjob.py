"""CronJob of batch/v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="batch",
    version="v1",
    name="cronjobs",
    kind="CronJob",
    schema="io.k8s.api.batch.v1.CronJob",
    short_names=("cj",),
    categories=("all",),
    status=True,
)
