"""ServiceAccount of v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="",
    version="v1",
    name="serviceaccounts",
    kind="ServiceAccount",
    schema="io.k8s.api.core.v1.ServiceAccount",
    short_names=("sa",),
    subresources=("token",),
)
