"""Secret of v1."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(group="", version="v1", name="secrets", kind="Secret", schema="io.k8s.api.core.v1.Secret")
