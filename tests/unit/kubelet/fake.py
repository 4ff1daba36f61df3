"""An API in memory: enough of client.types for the kubelet."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

from pybernetes.api import errors
from pybernetes.client.informer import Cache

Key = tuple[type, str, str]


class FakeInformer(Cache):
    synced = True


class FakeAPI:
    """Objects by (class, namespace, name); informers are told at once, as a watch would."""

    def __init__(self) -> None:
        self.objects: dict[Key, Any] = {}
        self._informers: dict[type, FakeInformer] = {}
        self._version = 0
        self._changed = asyncio.Condition()

    def informer(self, kind: type, namespace: str = "", **_: str) -> FakeInformer:
        return self._informers.setdefault(kind, FakeInformer())

    async def _put(self, obj: Any, gone: bool = False) -> Any:
        obj = copy.deepcopy(obj)
        self._version += 1
        obj.metadata.resource_version = str(self._version)
        obj.metadata.uid = obj.metadata.uid or f"uid-{self._version}"
        key = (type(obj), obj.metadata.namespace, obj.metadata.name)
        if gone:
            self.objects.pop(key, None)
        else:
            self.objects[key] = obj
        cache = self.informer(type(obj))
        cache.change((obj.metadata.namespace, obj.metadata.name), None if gone else obj)
        async with self._changed:
            self._changed.notify_all()
        return copy.deepcopy(obj)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)

    async def get(self, kind: type, name: str, namespace: str = "") -> Any:
        if (kind, namespace, name) not in self.objects:
            raise errors.not_found("", kind.__name__.lower() + "s", name)
        return copy.deepcopy(self.objects[kind, namespace, name])

    async def create(self, obj: Any) -> Any:
        if (type(obj), obj.metadata.namespace, obj.metadata.name) in self.objects:
            raise errors.already_exists("", type(obj).__name__.lower() + "s", obj.metadata.name)
        return await self._put(obj)

    async def update(self, obj: Any, subresource: str = "") -> Any:
        present = await self.get(type(obj), obj.metadata.name, obj.metadata.namespace)
        if present.metadata.resource_version != obj.metadata.resource_version:
            raise errors.conflict("", type(obj).__name__.lower() + "s", obj.metadata.name, "changed")
        if subresource == "status":
            present.status = obj.status
            obj = present
        return await self._put(obj)

    async def patch(self, kind: type, name: str, namespace: str, patch: Any, **_: str) -> Any:
        present = await self.get(kind, name, namespace)
        if "count" in patch:
            present.count = patch["count"]
        return await self._put(present)

    async def delete(self, kind: type, name: str, namespace: str = "", **options: Any) -> None:
        present = await self.get(kind, name, namespace)
        await self._put(present, gone=True)

    def of(self, kind: type) -> list[Any]:
        return [obj for (cls, _, _), obj in self.objects.items() if cls is kind]
