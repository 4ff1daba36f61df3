"""Binding of v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="", version="v1", name="bindings", kind="Binding", schema="io.k8s.api.core.v1.Binding", verbs=("create",)
)
