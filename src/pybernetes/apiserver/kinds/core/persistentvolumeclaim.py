"""PersistentVolumeClaim of v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="",
    version="v1",
    name="persistentvolumeclaims",
    kind="PersistentVolumeClaim",
    schema="io.k8s.api.core.v1.PersistentVolumeClaim",
    short_names=("pvc",),
    status=True,
)
