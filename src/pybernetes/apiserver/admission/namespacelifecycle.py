"""Admission NamespaceLifecycle (upstream: plugin/pkg/admission/namespace/lifecycle)."""

from __future__ import annotations

from collections.abc import Awaitable

from pybernetes.api import errors

from ..resource import Object
from ..types import EVERYTHING, Attributes, Reader

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle:
    """Nothing is made in a namespace that does not exist or is going away; the system's own are not deleted."""

    name = "NamespaceLifecycle"
    resources = EVERYTHING

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def admit(self, attributes: Attributes) -> Awaitable[None] | None:
        """Refuses with 403 or 404."""
        resource = attributes.resource
        if attributes.operation == "DELETE" and (resource.group, resource.name) == ("", "namespaces"):
            if attributes.name in IMMORTAL:
                raise errors.forbidden("", "namespaces", attributes.name, "this namespace may not be deleted")
            return None
        if not resource.namespaced or attributes.operation != "CREATE":
            return None
        namespace = self._reader.get("", "namespaces", "", attributes.namespace)
        if namespace is None:
            return self._look_again(attributes)
        self._check(attributes, namespace)
        return None

    async def _look_again(self, attributes: Attributes) -> None:
        """Another server may just have made it."""
        namespace = await self._reader.fresh("", "namespaces", "", attributes.namespace)
        if namespace is None:
            raise errors.not_found("", "namespaces", attributes.namespace)
        self._check(attributes, namespace)

    @staticmethod
    def _check(attributes: Attributes, namespace: Object) -> None:
        resource = attributes.resource
        if (namespace.get("status") or {}).get("phase") == "Terminating":
            name = attributes.namespace
            why = f"unable to create new content in namespace {name} because it is being terminated"
            refused = errors.forbidden(resource.group, resource.name, attributes.told_name, why)
            cause = {"reason": "NamespaceTerminating", "message": f"namespace {name} is being terminated"}
            refused.status["details"]["causes"] = [{**cause, "field": "metadata.namespace"}]
            raise refused

    def validate(self, attributes: Attributes) -> None:
        """Nothing more."""
