"""A custom resource of which there is no more than its metadata."""

from __future__ import annotations

import msgspec

from pybernetes.api.types import meta_v1 as meta


class Thing(msgspec.Struct, rename="camel"):
    """An object of example.com/v1."""

    metadata: meta.ObjectMeta = msgspec.field(default_factory=meta.ObjectMeta)
    api_version: str = "example.com/v1"
    kind: str = "Thing"
