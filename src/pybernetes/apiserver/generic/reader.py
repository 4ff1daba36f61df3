"""What plug-ins and the server itself look up: the newest known objects (see `types.Reader`)."""

from __future__ import annotations

from collections.abc import Iterable

from ..resource import Object
from .cache import WatchCache


class CacheReader:
    """See `types.Reader`."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    def get(self, group: str, resource: str, namespace: str, name: str) -> Object | None:
        stored = self._cache.resource(_prefix(group, resource)).items.get(_key(group, resource, namespace, name))
        return stored.obj if stored else None

    def list(self, group: str, resource: str, namespace: str = "") -> Iterable[Object]:
        prefix = _prefix(group, resource)
        found = self._cache.resource(prefix).range(f"{prefix}{namespace}/" if namespace else prefix)
        return [stored.obj for stored in found]

    def changed(self, group: str, resource: str) -> int:
        """The revision of the last change of a resource: what was worked out from older ones may be wrong."""
        return self._cache.resource(_prefix(group, resource)).changed

    async def fresh(self, group: str, resource: str, namespace: str, name: str) -> Object | None:
        await self._cache.wait(await self._cache.store.revision())
        return self.get(group, resource, namespace, name)


def _prefix(group: str, resource: str) -> str:
    return f"/registry/{group or 'core'}/{resource}/"


def _key(group: str, resource: str, namespace: str, name: str) -> str:
    return f"{_prefix(group, resource)}{namespace}/{name}" if namespace else _prefix(group, resource) + name
