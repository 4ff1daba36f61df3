"""From what a request asks for to the verb that answers it (upstream: apiserver/pkg/endpoints/installer.go)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace

from pybernetes.api import errors
from pybernetes.wire.http import Request, Response, StreamingResponse, UpgradeResponse

from .. import audit
from ..authentication.user import User
from ..query import Query
from ..resource import VERBS, Resource
from ..types import RequestInfo
from . import gorestful, negotiate
from .handlers import APPLY_TYPES, PATCH_TYPES, ResourceHandler
from .metrics import CONNECT

NOT_ALLOWED = "the server does not allow this method on the requested resource"
NOT_FOUND = "the server could not find the requested resource"
STATUS_VERBS = ("get", "update", "patch")
ACROSS = ("list", "watch")  # verbs on all namespaces: nothing is made, or deleted, in all of them at once
LOG = "text/plain"  # as which a log is given, beside what objects are given as
NO_PAGE = Response(404, [("Content-Type", "text/plain; charset=utf-8")], b"404 page not found\n")

Answer = Response | StreamingResponse | UpgradeResponse
# (request, what it asks for, its query, who asks)
Special = Callable[[Request, RequestInfo, Query, User], Awaitable[Answer]]


def not_found() -> errors.StatusError:
    """404 for a path that is not served."""
    return errors.generic(404, "", "", "", "", NOT_FOUND)


def not_allowed() -> errors.StatusError:
    """405."""
    return errors.generic(405, "", "", "", "", NOT_ALLOWED)


class Routes:
    """All resources. `special` answers subresources that are no part of the object, and resources that are never stored:
    (group, resource, subresource) -> verb -> handler. `hidden`: (group, version, resource) of those that nobody is to see."""

    def __init__(
        self,
        handlers: Mapping[tuple[str, str, str], ResourceHandler],
        special: Mapping[tuple[str, str, str], Mapping[str, Special]],
        hidden: Collection[tuple[str, str, str]] = (),
    ) -> None:
        self._handlers = handlers
        self._groups = {group for group, _, _ in handlers}  # of built-in kinds
        self._special, self._hidden = special, hidden

    async def answer(self, request: Request, info: RequestInfo, query: Query, user: User) -> Answer:
        """StatusError 404 and 405 for what there is not."""
        handler = self._handlers.get((info.group, info.version, info.resource))
        if (info.group, info.version, info.resource) in self._hidden:
            raise not_found()
        if handler is None or (info.namespace and not handler.resource.namespaced and info.resource != "namespaces"):
            if info.group in self._groups:
                raise not_found()
            return NO_PAGE
        if (
            handler.resource.unstructured
            and handler.resource.namespaced
            and not info.namespace
            and info.verb not in ACROSS
        ):
            return NO_PAGE
        if info.resource == "namespaces" and not handler.resource.namespaced:
            # /api/v1/namespaces/a: cluster-scoped, though authorization sees it in its own namespace
            info = replace(info, namespace="")
        if not handler.resource.deprecated:
            return await self._served(handler, request, info, query, user)
        audit.annotate(audit.DEPRECATED, "true")
        told = ("Warning", f'299 - "{handler.resource.deprecated}"')
        try:
            answered = await self._served(handler, request, info, query, user)
        except errors.StatusError as error:
            error.headers = (*error.headers, told)
            raise
        return replace(answered, headers=(*answered.headers, told))

    async def _served(
        self, handler: ResourceHandler, request: Request, info: RequestInfo, query: Query, user: User
    ) -> Answer:
        """Of a resource that there is."""
        if request.body and info.subresource not in CONNECT:
            audit.takes_body(request)
        special = self._special.get((info.group, info.resource, info.subresource))
        if special is not None:
            answer = special.get(info.verb)
            if info.name and not info.subresource:  # nothing of it has a name
                raise not_found()
            if answer is None or bool(info.subresource) != bool(info.name):
                raise not_allowed()
            if info.subresource != "proxy" and request.method == "HEAD":
                raise not_allowed()
            if info.subresource not in CONNECT:
                gorestful.check(
                    request, (LOG, *negotiate.SUPPORTED) if info.subresource == "log" else negotiate.SUPPORTED
                )
            return await answer(request, info, query, user)
        if handler.resource.unstructured:
            check_custom_verb(handler.resource, info)
        else:
            if request.method == "HEAD":  # upstream installs no such route
                raise not_allowed()
            check_verb(handler.resource, info)
            gorestful.check(
                request,
                (*negotiate.SUPPORTED, *negotiate.STREAMED) if info.verb in ACROSS else negotiate.SUPPORTED,
                (*PATCH_TYPES, *APPLY_TYPES) if info.verb == "patch" else (),
            )
        return await self._verb(handler, request, info, query, user)

    @staticmethod
    def _verb(
        handler: ResourceHandler, request: Request, info: RequestInfo, query: Query, user: User
    ) -> Awaitable[Answer]:
        match info.verb:
            case "watch":
                return handler.watch(request, info, query)
            case "list":
                return handler.list(request, info, query)
            case "get":
                return handler.get(request, info, query)
            case "create":
                return handler.create(request, info, query, user)
            case "update":
                return handler.update(request, info, query, user)
            case "patch":
                return handler.patch(request, info, query, user)
            case "delete":
                return handler.delete(request, info, query, user)
            case "deletecollection":
                return handler.delete_collection(request, info, query, user)
        raise not_allowed()


def check_custom_verb(resource: Resource, info: RequestInfo) -> None:
    """As `check_verb`, of a custom resource, whose requests no router has seen: the verb alone counts, not whether there is a name."""
    there = {"": True, "status": resource.status, "scale": resource.scale is not None}
    if not there.get(info.subresource):
        raise errors.not_found(resource.group, resource.name, info.name)
    if info.verb not in (STATUS_VERBS if info.subresource else VERBS):
        raise errors.method_not_supported(resource.group, resource.name, info.verb)


def check_verb(resource: Resource, info: RequestInfo) -> None:
    """StatusError for a verb that the resource, or its subresource, does not have."""
    if info.subresource:
        part = resource.parts.get(info.subresource)
        if part is not None:
            if info.verb not in part.verbs or not info.name:
                raise not_allowed()
            return
        subresource = (info.subresource == "status" and resource.status) or (
            info.subresource == "scale" and resource.scale
        )
        if not subresource:
            raise not_allowed() if info.subresource in resource.subresources else not_found()
        if info.verb not in STATUS_VERBS:
            raise not_allowed()
        return
    # A name is there for exactly the verbs that need one.
    named = info.verb in ("get", "update", "patch", "delete")
    has = info.verb in resource.verbs or resource.ends  # whose verbs are but fewer in discovery
    if not has or (info.verb != "watch" and named != bool(info.name)):
        raise not_allowed()
    if resource.namespaced and not info.namespace and info.verb not in ACROSS:
        raise not_allowed()
