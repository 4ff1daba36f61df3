"""ConfigMap of v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="",
    version="v1",
    name="configmaps",
    kind="ConfigMap",
    schema="io.k8s.api.core.v1.ConfigMap",
    short_names=("cm",),
)
