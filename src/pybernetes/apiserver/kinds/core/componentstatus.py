"""ComponentStatus of v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="",
    version="v1",
    name="componentstatuses",
    kind="ComponentStatus",
    schema="io.k8s.api.core.v1.ComponentStatus",
    namespaced=False,
    verbs=("get", "list"),
    short_names=("cs",),
)
