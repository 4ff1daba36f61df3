"""Reading and writing of one resource at the start: beside authorization and admission, for there is nobody to ask yet."""

from __future__ import annotations

from ..generic.options import DeleteOptions, WriteOptions
from ..generic.store import GenericStore
from ..resource import Object


class Storage:
    """See `authorization.reconcile.Objects`."""

    def __init__(self, store: GenericStore) -> None:
        self._store = store

    def get(self, namespace: str, name: str) -> Object | None:
        """A copy; None if there is none."""
        stored = self._store.cache.resource(self._store.prefix).items.get(self._store.key(namespace, name))
        return stored.copy() if stored else None

    async def create(self, namespace: str, obj: Object) -> None:
        """StatusError 409 where another server was faster."""
        await self._store.create(obj, namespace, WriteOptions(admission=False))

    async def update(self, namespace: str, obj: Object) -> None:
        """With the resource version of `obj` as precondition, where it has one."""
        await self._store.update(namespace, obj["metadata"]["name"], obj, WriteOptions(admission=False))

    async def replace(self, namespace: str, obj: Object) -> None:
        """Deletes and creates."""
        await self._store.delete(namespace, obj["metadata"]["name"], DeleteOptions(admission=False))
        await self.create(namespace, obj)
