"""The verbs on one version of a custom resource (upstream: pkg/apiserver/customresource_handler.go, pkg/registry/customresource)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pybernetes.api import errors

from ..generic.cache import Stored, WatchCache
from ..generic.options import WriteOptions
from ..generic.store import AuthorizeCreate, GenericStore
from ..resource import Object, Resource
from ..types import Admission
from .conversion import WebhookForms


class CustomStore(GenericStore):
    """Objects as they were stored under an older definition, or in another version, are brought up to date when read."""

    def __init__(
        self,
        resource: Resource,
        cache: WatchCache,
        admission: Admission | None,
        authorize_create: AuthorizeCreate | None,
        since: int,
        webhook: WebhookForms | None = None,
    ) -> None:
        """`since`: objects written after this revision were written under this definition."""
        super().__init__(resource, cache, admission, authorize_create=authorize_create)
        self._webhook = webhook
        self.terminating = False
        self._since = since
        self._own_head = msgspec.json.encode({"apiVersion": resource.api_version})[:-1] + b","
        self._same_version = resource.stored_at[2] == resource.version

    @property
    def converts(self) -> bool:
        return self._webhook is not None

    def _is_own(self, stored: Stored) -> bool:
        return self._same_version and stored.revision > self._since and stored.head.startswith(self._own_head)

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
