"""Endpoints of v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="",
    version="v1",
    name="endpoints",
    kind="Endpoints",
    schema="io.k8s.api.core.v1.Endpoints",
    short_names=("ep",),
    allow_create_on_update=True,
)
