"""Brings manifests to an API server by server-side apply: what is missing is made, what is there gets the manifest's fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import yaml

from pybernetes.api.errors import StatusError
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
        target = f"{_path(manifest, namespace)}?fieldManager={MANAGER}&force=true"
        await client.raw("PATCH", target, msgspec.json.encode(manifest), {"Content-Type": APPLY_PATCH})


async def remove(client: RESTClient, manifests: Iterable[Manifest], namespace: str = "default") -> None:
    """What they made, the last first; what is gone is no error. StatusError where the server refuses."""
    for manifest in reversed(list(manifests)):
        try:
            await client.raw("DELETE", _path(manifest, namespace))
        except StatusError as error:
            if error.code != 404:
                raise


async def is_ours(client: RESTClient, manifest: Manifest, namespace: str = "default") -> bool:
    """Whether it is there, and by `apply`. StatusError where the server refuses."""
    try:
        present = msgspec.json.decode(await client.raw("GET", _path(manifest, namespace)))
    except StatusError as error:
        if error.code != 404:
            raise
        return False
    return any(entry.get("manager") == MANAGER for entry in present["metadata"].get("managedFields", ()))


def _path(manifest: Manifest, namespace: str) -> str:
    meta = manifest["metadata"]
    collection = collection_path(manifest["apiVersion"], manifest["kind"], meta.get("namespace", namespace))
    return f"{collection}/{meta['name']}"
