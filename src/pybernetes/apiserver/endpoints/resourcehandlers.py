"""The handlers of all resources that are served, in one table that grows: those of built-in kinds at the start, those of
CustomResourceDefinitions while the server runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime

from ..authentication.user import User
from ..generic.cache import WatchCache
from ..generic.store import GenericStore
from ..resource import Resource
from ..types import AdmissionPlugin
from .componentstatuses import ComponentStatuses, ComponentStore
from .handlers import ResourceHandler

COMPONENT_STATUSES = ("", "v1", "componentstatuses")  # answered by looking, and stored nowhere

Key = tuple[str, str, str]  # group, version, resource
# (user, resource, namespace, name): StatusError where one may not create it.
RequireCreate = Callable[[User, Resource, str, str], Awaitable[None]]


class ResourceHandlers:
    """`by_key` is empty until `install`: it may be handed out before, to those who look into it when a request comes."""

    def __init__(self, cache: WatchCache, now: Callable[[], datetime], require_create: RequireCreate) -> None:
        self._cache, self._now, self._require_create = cache, now, require_create
        self.by_key: dict[Key, ResourceHandler] = {}

    def install(self, resources: Iterable[Resource], admission: Sequence[AdmissionPlugin]) -> None:
        """Serves built-in kinds."""
        for resource in resources:
            handler = self._handler(resource, admission)
            self.finish(handler)
            self.by_key[resource.group, resource.version, resource.name] = handler

    def finish(self, handler: ResourceHandler) -> None:
        """What handlers of all kinds have alike."""
        handler.store.authorize_create = self._require_create

    def store(self, group: str, version: str, name: str) -> GenericStore:
        """The verbs of a resource, for use inside the server; KeyError for one that is not served."""
        return self.by_key[group, version, name].store

    def resources(self) -> list[Resource]:
        """All that are served at the moment."""
        return [handler.resource for handler in self.by_key.values()]

    def _handler(self, resource: Resource, admission: Sequence[AdmissionPlugin]) -> ResourceHandler:
        if (resource.group, resource.version, resource.name) == COMPONENT_STATUSES:
            return ComponentStatuses(ComponentStore(resource, self._cache, self._now), self._now)
        return ResourceHandler(GenericStore(resource, self._cache, admission, self._now), self._now)
