"""DaemonSet of apps/v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="apps",
    version="v1",
    name="daemonsets",
    kind="DaemonSet",
    schema="io.k8s.api.apps.v1.DaemonSet",
    short_names=("ds",),
    categories=("all",),
    status=True,
)
