"""StatefulSet of apps/v1."""

from __future__ import annotations

from ...resource import Resource, ScalePaths

RESOURCE = Resource(
    group="apps",
    version="v1",
    name="statefulsets",
    kind="StatefulSet",
    schema="io.k8s.api.apps.v1.StatefulSet",
    short_names=("sts",),
    categories=("all",),
    status=True,
    scale=ScalePaths(),
)
