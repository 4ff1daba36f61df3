"""Node of v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="",
    version="v1",
    name="nodes",
    kind="Node",
    schema="io.k8s.api.core.v1.Node",
    short_names=("no",),
    namespaced=False,
    status=True,
    subresources=("proxy",),
)
