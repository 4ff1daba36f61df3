"""What the server makes of the records that definitions give: stores, handlers, and what it tells of them
(upstream: pkg/apiserver/customresource_handler.go, customresource_discovery.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..generic.cache import WatchCache
from ..generic.store import GenericStore
from ..resource import Resource
from ..types import Admission
from .resourcehandlers import ResourceHandlers, key_of


class CustomResources:
    """See `crd.controller.Server`. `tell` is told all records after each change: discovery and OpenAPI."""

    def __init__(
        self,
        cache: WatchCache,
        handlers: ResourceHandlers,
        admission: Admission,
        tell: Sequence[Callable[[Sequence[Resource]], None]],
    ) -> None:
        self._cache, self._handlers, self._admission, self._tell = cache, handlers, admission, tell
        self._builtin = {(resource.group, resource.name) for resource in handlers.resources()}
        self._served: dict[str, list[Resource]] = {}  # by the definition's name

    def serve(self, definition: str, records: Sequence[Resource]) -> Sequence[Resource]:
        """See `crd.controller.Server`."""
        before = self._served.pop(definition, [])
        now = [record for record in records if (record.group, record.name) not in self._builtin]
        if now:
            self._served[definition] = now
        self._handlers.remove({key_of(record) for record in before} - {key_of(record) for record in now})
        self._handlers.install(now, self._admission, since=self._cache.revision)
        served = [record for _, records in sorted(self._served.items()) for record in records]
        for tell in self._tell:
            tell(served)
        self._forget(before)
        return now

    def store(self, record: Resource) -> GenericStore:
        """See `crd.controller.Server`."""
        return self._handlers.store(*key_of(record))

    def _forget(self, records: Iterable[Resource]) -> None:
        """What was worked out from their objects; watches begin anew."""
        for prefix in {self._cache.keys.resource(*record.stored_at[:2]) for record in records}:
            cache = self._cache.resource(prefix)
            cache.forget_forms()
            for watcher in tuple(cache.watchers):
                watcher.end()
