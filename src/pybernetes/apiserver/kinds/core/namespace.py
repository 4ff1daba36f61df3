"""Namespace of v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="",
    version="v1",
    name="namespaces",
    kind="Namespace",
    schema="io.k8s.api.core.v1.Namespace",
    short_names=("ns",),
    namespaced=False,
    name_check="label",
    status=True,
    subresources=("finalize",),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
)
