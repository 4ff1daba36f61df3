"""The handlers of all resources that are served, in one table that grows: those of built-in kinds at the start, those of
CustomResourceDefinitions while the server runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from ..generic.cache import WatchCache
from ..generic.caches import Caches
from ..generic.store import AuthorizeCreate, GenericStore
from ..resource import Resource
from ..types import Admission
from .componentstatuses import ComponentStatuses, ComponentStore
from .handlers import ResourceHandler

COMPONENT_STATUSES = ("", "v1", "componentstatuses")  # answered by looking, and stored nowhere

Key = tuple[str, str, str]  # group, version, resource


class MakeStore(Protocol):
    """GenericStore, or what wraps it."""

    def __call__(
        self,
        resource: Resource,
        cache: WatchCache,
        admission: Admission,
        *,
        authorize_create: AuthorizeCreate,
        now: Callable[[], datetime],
        since: int,
    ) -> GenericStore: ...


def key_of(resource: Resource) -> Key:
    """Where a resource's handler is in the table."""
    return resource.group, resource.version, resource.name


class ResourceHandlers:
    """`by_key` is empty until `install`: it may be handed out before, to those who look into it when a request comes."""

    def __init__(
        self, caches: Caches, now: Callable[[], datetime], require_create: AuthorizeCreate, exports: bool = False
    ) -> None:
        """`exports`: GET knows the parameter export, as until 1.21."""
        self._exports = exports
        self._caches, self._now, self._require_create = caches, now, require_create
        self.by_key: dict[Key, ResourceHandler] = {}

    def install(
        self,
        resources: Iterable[Resource],
        admission: Admission,
        make: MakeStore = GenericStore,
        since: int = 0,
    ) -> None:
        """Serves them, in place of those of the same key, from stores that `make` gives; objects of up to the revision `since`
        may have been written under another definition."""
        for resource in resources:
            self.by_key[key_of(resource)] = self._handler(resource, admission, make, since)

    def remove(self, keys: Iterable[Key]) -> None:
        """Serves these no more."""
        for key in keys:
            del self.by_key[key]

    def store(self, group: str, version: str, name: str) -> GenericStore:
        """The verbs of a resource, for use inside the server; KeyError for one that is not served."""
        return self.by_key[group, version, name].store

    def resources(self) -> list[Resource]:
        """All that are served at the moment."""
        return [handler.resource for handler in self.by_key.values()]

    def _handler(self, resource: Resource, admission: Admission, make: MakeStore, since: int) -> ResourceHandler:
        if key_of(resource) == COMPONENT_STATUSES:
            return ComponentStatuses(ComponentStore(resource, self._caches.main, self._now), self._now)
        may, now = self._require_create, self._now
        cache = self._caches.of(*resource.stored_at[:2])
        store = make(resource, cache, admission, authorize_create=may, now=now, since=since)
        return ResourceHandler(store, now, self._exports)
