"""Deployment of apps/v1."""

from __future__ import annotations

from ...resource import Resource, ScalePaths

RESOURCE = Resource(
    group="apps",
    version="v1",
    name="deployments",
    kind="Deployment",
    schema="io.k8s.api.apps.v1.Deployment",
    short_names=("deploy",),
    categories=("all",),
    status=True,
    scale=ScalePaths(),
)
