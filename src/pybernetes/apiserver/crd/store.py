"""The verbs on one version of a custom resource (upstream: pkg/apiserver/customresource_handler.go, pkg/registry/customresource)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from pybernetes.api import errors

from ..generic.cache import Stored, WatchCache
from ..generic.options import WriteOptions
from ..generic.store import GenericStore, encode
from ..resource import Object, Resource
from ..types import AdmissionPlugin
from .conversion import WebhookForms

_HEAD_SIZE = 4096  # of what is remembered beyond the number of objects, before all is forgotten


class CustomStore(GenericStore):
    """Objects as they were stored under an older definition, or in another version, are brought up to date when read."""

    def __init__(
        self,
        resource: Resource,
        cache: WatchCache,
        admission: Sequence[AdmissionPlugin],
        since: int,
        webhook: WebhookForms | None = None,
    ) -> None:
        """`since`: objects written after this revision were written under this definition."""
        super().__init__(resource, cache, admission)
        self._webhook = webhook
        self.converts = webhook is not None
        self.terminating = False
        self._since = since
        self._own_head = msgspec.json.encode({"apiVersion": resource.api_version})[:-1] + b","
        self._same_version = resource.stored_at[2] == resource.version
        self._read: dict[str, tuple[Stored, Stored]] = {}  # key -> (as stored, as this version reads it)

    def in_version(self, stored: Stored) -> Stored:
        if self._same_version and stored.revision > self._since and stored.head.startswith(self._own_head):
            return stored
        known = self._read.get(stored.key)
        if known is not None and known[0] is stored:
            return known[1]
        if len(self._read) > len(self.cache.resource(self.prefix).items) + _HEAD_SIZE:
            self._read.clear()
        read = Stored(stored.key, encode(self.resource.from_storage(stored.copy())), stored.revision)
        self._read[stored.key] = stored, read
        return read

    async def convert(self, stored: Iterable[Stored]) -> None:
        if self._webhook is not None:
            await self._webhook.convert(stored)

    async def _stored_form(self, obj: Object) -> Object:
        if self._webhook is not None:
            return await self._webhook.to_stored(obj)
        return self.resource.to_storage(obj)

    async def create(self, obj: Object, namespace: str, options: WriteOptions) -> Object:
        if self.terminating:
            refused = errors.method_not_supported(self.resource.group, self.resource.name, "create")
            refused.status["message"] = "create not allowed while custom resource definition is terminating"
            refused.status["details"] = {"group": self.resource.group, "kind": self.resource.name}
            raise refused
        return await super().create(obj, namespace, options)
