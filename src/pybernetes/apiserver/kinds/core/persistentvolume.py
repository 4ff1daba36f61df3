"""PersistentVolume of v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="",
    version="v1",
    name="persistentvolumes",
    kind="PersistentVolume",
    schema="io.k8s.api.core.v1.PersistentVolume",
    short_names=("pv",),
    namespaced=False,
    status=True,
)
