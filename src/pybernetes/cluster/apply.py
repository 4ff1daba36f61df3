"""Brings manifests to an API server by server-side apply: what is missing is made, what is there gets the manifest's fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import yaml

from pybernetes.api.mediatypes import APPLY_PATCH
from pybernetes.api.resources import collection_path
from pybernetes.client.rest import RESTClient

Manifest = dict[str, Any]

MANAGER = "pybernetes"


def load(text: str) -> list[Manifest]:
    """The documents of a YAML file."""
    return [document for document in yaml.safe_load_all(text) if document]


async def apply(client: RESTClient, manifests: Iterable[Manifest], namespace: str = "default") -> None:
    """In their order; fields that others own become ours. StatusError where the server refuses one."""
    for manifest in manifests:
        meta = manifest["metadata"]
        path = collection_path(manifest["apiVersion"], manifest["kind"], meta.get("namespace", namespace))
        target = f"{path}/{meta['name']}?fieldManager={MANAGER}&force=true"
        await client.raw("PATCH", target, msgspec.json.encode(manifest), {"Content-Type": APPLY_PATCH})
