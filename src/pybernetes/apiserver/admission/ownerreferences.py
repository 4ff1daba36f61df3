"""Admission OwnerReferencesPermissionEnforcement (upstream: plugin/pkg/admission/gc)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from pybernetes.api import errors
from pybernetes.api.field import quote

from ..authorization.modes import Authorizers
from ..resource import Object, Resource
from ..types import EVERYTHING, Attributes, RequestInfo

PASSED = frozenset({("", "pods", "status")})  # (group, resource, subresource): the only one that upstream passes over


class OwnerReferencesPermissionEnforcement:
    """Who makes an object another one's may delete it, and who blocks the owner's deletion by it may set the owner's finalizers."""

    name = "OwnerReferencesPermissionEnforcement"
    resources = EVERYTHING

    def __init__(self, authorizers: Authorizers, served: Callable[[], Iterable[Resource]]) -> None:
        self._authorizers, self._served = authorizers, served

    def admit(self, attributes: Attributes) -> None:
        """Nothing is filled in."""

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        """403 without the rights."""
        resource, owners, before = attributes.resource, _owners(attributes.object), _owners(attributes.old_object)
        if attributes.operation not in ("CREATE", "UPDATE") or owners == before:
            return None
        if (resource.group, resource.name, attributes.subresource) in PASSED:
            return None
        return self._check(attributes, _blocking(owners, before))

    async def _check(self, attributes: Attributes, blocking: list[Object]) -> None:
        resource = attributes.resource
        if attributes.operation != "CREATE":  # who makes an object could as well not have made it
            info = RequestInfo(
                "delete",
                "",
                is_resource=True,
                group=resource.group,
                version=resource.version,
                resource=resource.name,
                subresource=attributes.subresource,
                namespace=attributes.namespace,
                name=attributes.name,
            )
            await self._may(attributes, info, "cannot set an ownerRef on a resource you can't delete")
        for owner in blocking:
            for info in self._finalizers(attributes, owner):
                why = "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on"
                await self._may(attributes, info, why)

    async def _may(self, attributes: Attributes, info: RequestInfo, why: str) -> None:
        decision = await self._authorizers.authorize(attributes.user, info)
        if not decision.allowed:
            raise _refused(attributes, f"{why}: {decision.reason}, {decision.error or '<nil>'}")

    def _finalizers(self, attributes: Attributes, owner: Object) -> list[RequestInfo]:
        """The updates of finalizers that stand for an owner, which may be meant by several resources. 403 where none is."""
        version, kind = str(owner.get("apiVersion") or ""), str(owner.get("kind") or "")
        group, _, number = version.rpartition("/")
        meant = [one for one in self._served() if (one.group, one.version, one.kind) == (group, number, kind)]
        if not meant:
            why = f"cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion {version} Kind {kind}"
            raise _refused(attributes, f"{why}: no matches for kind {quote(kind)} in version {quote(version)}")
        info = RequestInfo("update", "", is_resource=True, subresource="finalizers", name=str(owner.get("name") or ""))
        return [
            replace(
                info,
                group=one.group,
                version=one.version,
                resource=one.name,
                namespace=attributes.namespace if one.namespaced else "",
            )
            for one in meant
        ]


def _owners(obj: Object | None) -> list[Object]:
    return ((obj or {}).get("metadata") or {}).get("ownerReferences") or []


def _blocking(owners: list[Object], before: list[Object]) -> list[Object]:
    """Those that block the deletion of an owner, and did not before."""
    blocked = {owner.get("uid") for owner in before if owner.get("blockOwnerDeletion")}
    return [owner for owner in owners if owner.get("blockOwnerDeletion") and owner.get("uid") not in blocked]


def _refused(attributes: Attributes, why: str) -> errors.StatusError:
    return errors.forbidden(attributes.resource.group, attributes.resource.name, attributes.told_name, why)
