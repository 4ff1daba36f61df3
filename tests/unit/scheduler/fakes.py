"""A cluster in memory: an API of few verbs whose objects the informers show at once."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types._support import encode_hook
from pybernetes.client.informer import Cache

from .make import NOW, typed


class FakeInformers:
    """Caches by kind; `run` does nothing until cancelled."""

    def __init__(self) -> None:
        self.caches: dict[type[Any], Cache] = {}

    def informer(self, kind: type[Any], namespace: str = "", **selectors: str) -> Cache:
        cache = self.caches.setdefault(kind, Cache())
        cache.synced = True
        return cache

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def wait_synced(self) -> None:
        return

    def show(self, obj: Any) -> None:
        """An object is there, or has changed."""
        self.informer(type(obj)).change((obj.metadata.namespace, obj.metadata.name), obj)

    def drop(self, obj: Any) -> None:
        """It is gone."""
        self.informer(type(obj)).change((obj.metadata.namespace, obj.metadata.name), None)


class FakeClient:
    """Does what the scheduler asks, and keeps a list of it: (verb, name, what)."""

    def __init__(self, informers: FakeInformers) -> None:
        self._informers = informers
        self.done: list[tuple[str, str, Any]] = []
        self.events: list[core.Event] = []
        self.refuse: list[StatusError] = []  # the answers of the next bindings

    async def create(self, obj: Any) -> Any:
        self.events.append(obj)
        return obj

    async def create_subresource(self, kind: Any, name: str, namespace: str, sub: str, body: Any, result: Any) -> Any:
        await asyncio.sleep(0)
        if self.refuse:
            raise self.refuse.pop(0)
        self.done.append((sub, name, body.target.name))
        found = self._found(kind, name, namespace)
        found["spec"]["nodeName"] = body.target.name
        self._informers.show(typed(kind, **found))
        return result()

    async def patch(self, kind: Any, name: str, namespace: str, patch: Any, **options: Any) -> Any:
        await asyncio.sleep(0)
        self.done.append(("patch", name, patch))
        if kind is core.Event:
            return None
        found = self._found(kind, name, namespace)
        found.setdefault("status", {}).update({k: v for k, v in patch["status"].items() if v is not None})
        self._informers.show(typed(kind, **found))

    async def delete(self, kind: Any, name: str, namespace: str = "", **options: Any) -> None:
        await asyncio.sleep(0)
        self.done.append(("delete", name, options))
        found = self._found(kind, name, namespace)
        found["metadata"]["deletionTimestamp"] = NOW.isoformat()
        self._informers.show(typed(kind, **found))

    async def update(self, obj: Any, subresource: str = "") -> Any:
        await asyncio.sleep(0)
        self.done.append(("update", obj.metadata.name, obj))
        self._informers.show(obj)
        return obj

    def _found(self, kind: Any, name: str, namespace: str) -> dict[str, Any]:
        obj = self._informers.informer(kind).get(name, namespace)
        assert obj is not None, name
        found: dict[str, Any] = msgspec.to_builtins(obj, enc_hook=encode_hook)
        return found
