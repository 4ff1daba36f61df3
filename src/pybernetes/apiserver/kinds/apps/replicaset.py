"""ReplicaSet of apps/v1."""

from __future__ import annotations

from ...resource import Resource, ScalePaths

RESOURCE = Resource(
    group="apps",
    version="v1",
    name="replicasets",
    kind="ReplicaSet",
    schema="io.k8s.api.apps.v1.ReplicaSet",
    short_names=("rs",),
    categories=("all",),
    status=True,
    scale=ScalePaths(),
)
