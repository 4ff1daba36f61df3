"""Job of batch/v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="batch",
    version="v1",
    name="jobs",
    kind="Job",
    schema="io.k8s.api.batch.v1.Job",
    categories=("all",),
    status=True,
    default_propagation="background",
)
