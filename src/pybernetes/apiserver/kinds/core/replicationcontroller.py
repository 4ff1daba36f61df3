"""ReplicationController of v1."""

from __future__ import annotations

from ...resource import Resource, ScalePaths

RESOURCE = Resource(
    group="",
    version="v1",
    name="replicationcontrollers",
    kind="ReplicationController",
    schema="io.k8s.api.core.v1.ReplicationController",
    short_names=("rc",),
    categories=("all",),
    status=True,
    scale=ScalePaths(),
)
