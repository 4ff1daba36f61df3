"""Admission NamespaceAutoProvision (upstream: plugin/pkg/admission/namespace/autoprovision)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pybernetes.api import errors
from pybernetes.api.errors import StatusError

from ..types import EVERYTHING, Attributes, Reader

# Makes the namespace of that name. StatusError, 409 where somebody else has.
Provide = Callable[[str], Awaitable[None]]


class NamespaceAutoProvision:
    """What is made in a namespace that does not exist brings it along."""

    name = "NamespaceAutoProvision"
    resources = EVERYTHING

    def __init__(self, reader: Reader, provide: Provide) -> None:
        self._reader, self._provide = reader, provide

    def admit(self, attributes: Attributes) -> Awaitable[None] | None:
        """403 where the namespace can be neither found nor made."""
        namespace = attributes.namespace
        if attributes.operation != "CREATE" or attributes.dry_run or not attributes.resource.namespaced:
            return None
        if not namespace or self._reader.get("", "namespaces", "", namespace) is not None:
            return None
        return self._provided(attributes)

    def validate(self, attributes: Attributes) -> None:
        """Nothing is refused."""

    async def _provided(self, attributes: Attributes) -> None:
        if await self._reader.fresh("", "namespaces", "", attributes.namespace) is not None:
            return
        try:
            await self._provide(attributes.namespace)
        except StatusError as error:
            if error.code == 409:  # another request has brought it just now
                return
            resource = attributes.resource
            raise errors.forbidden(resource.group, resource.name, attributes.told_name, str(error)) from None
