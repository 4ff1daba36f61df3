"""LimitRange of v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="",
    version="v1",
    name="limitranges",
    kind="LimitRange",
    schema="io.k8s.api.core.v1.LimitRange",
    short_names=("limits",),
)
