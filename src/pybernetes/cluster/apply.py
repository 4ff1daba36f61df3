"""Brings manifests to an API server: what is missing is made, what is there gets the manifest's fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import yaml

from pybernetes.api.errors import StatusError
from pybernetes.api.resources import collection_path
from pybernetes.client.rest import PATCH_TYPES, RESTClient

Manifest = dict[str, Any]


def load(text: str) -> list[Manifest]:
    """The documents of a YAML file."""
    return [document for document in yaml.safe_load_all(text) if document]


async def apply(client: RESTClient, manifests: Iterable[Manifest], namespace: str = "default") -> None:
    """In their order. StatusError where the server refuses one."""
    for manifest in manifests:
        meta = manifest["metadata"]
        path = collection_path(manifest["apiVersion"], manifest["kind"], meta.get("namespace", namespace))
        body = msgspec.json.encode(manifest)
        try:
            await client.raw("POST", path, body)
        except StatusError as error:
            if error.reason != "AlreadyExists" and not _taken(error):
                raise
            await client.raw("PATCH", f"{path}/{meta['name']}", body, {"Content-Type": PATCH_TYPES["strategic"]})


def _taken(error: StatusError) -> bool:
    """A Service whose fixed address is its own already is refused for that before its name is looked at."""
    return error.code == 422 and "already allocated" in str(error)
