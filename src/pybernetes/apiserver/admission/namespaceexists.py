"""Admission NamespaceExists (upstream: plugin/pkg/admission/namespace/exists)."""

from __future__ import annotations

from collections.abc import Awaitable

from pybernetes.api import errors

from ..types import EVERYTHING, Attributes, Reader


class NamespaceExists:
    """Nothing is made, changed or deleted in a namespace that does not exist."""

    name = "NamespaceExists"
    resources = EVERYTHING

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def admit(self, attributes: Attributes) -> None:
        """Nothing is filled in."""

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        """404."""
        if not attributes.resource.namespaced or self._reader.get("", "namespaces", "", attributes.namespace):
            return None
        return self._look_again(attributes)

    async def _look_again(self, attributes: Attributes) -> None:
        if await self._reader.fresh("", "namespaces", "", attributes.namespace) is None:
            raise errors.not_found("", "namespaces", attributes.namespace)
