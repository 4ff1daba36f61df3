"""Service of v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="",
    version="v1",
    name="services",
    kind="Service",
    schema="io.k8s.api.core.v1.Service",
    short_names=("svc",),
    categories=("all",),
    name_check="label1035",
    status=True,
    subresources=("proxy",),
)
