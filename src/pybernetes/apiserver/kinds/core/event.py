"""Event of v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="",
    version="v1",
    name="events",
    kind="Event",
    schema="io.k8s.api.core.v1.Event",
    short_names=("ev",),
    name_check="path",
    allow_create_on_update=True,
    generation=False,
)
