"""ResourceQuota of v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="",
    version="v1",
    name="resourcequotas",
    kind="ResourceQuota",
    schema="io.k8s.api.core.v1.ResourceQuota",
    short_names=("quota",),
    status=True,
)
