"""ControllerRevision of apps/v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="apps",
    version="v1",
    name="controllerrevisions",
    kind="ControllerRevision",
    schema="io.k8s.api.apps.v1.ControllerRevision",
)
