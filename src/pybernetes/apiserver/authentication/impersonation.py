"""Acting as somebody else by request headers (upstream: apiserver/pkg/endpoints/filters/impersonation.go). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from pybernetes.api import errors
from pybernetes.wire.http import Request

from ..types import RequestInfo
from .user import User

ACCOUNT = "system:serviceaccount:"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
_EXTRA = "impersonate-extra-"


def asked(request: Request) -> User | None:
    """Who is asked for, with the groups as given; None without such headers. StatusError 400 for groups without a user."""
    name = request.header("impersonate-user") or ""
    groups = tuple(request.header_values("impersonate-group"))
    uid = request.header("impersonate-uid") or ""
    extra: dict[str, tuple[str, ...]] = {}
    for header, value in request.headers:
        if header.startswith(_EXTRA):
            key = unquote(header[len(_EXTRA) :])
            extra[key] = (*extra.get(key, ()), value)
    if not name:
        if groups or uid or extra:
            raise errors.bad_request("requested impersonation of groups, uid or extra without impersonating a user")
        return None
    return User(name, groups, uid, extra)


def questions(wanted: User) -> Iterator[RequestInfo]:
    """What the real user must be allowed: the verb impersonate on each part."""
    yield _question("", "users", wanted.name) if not wanted.name.startswith(ACCOUNT) else _account(wanted.name)
    for group in wanted.groups:
        yield _question("", "groups", group)
    if wanted.uid:
        yield _question("authentication.k8s.io", "uids", wanted.uid)
    for key, values in wanted.extra.items():
        for value in values:
            yield _question("authentication.k8s.io", "userextras", value, subresource=key)


def _question(group: str, resource: str, name: str, namespace: str = "", subresource: str = "") -> RequestInfo:
    return RequestInfo(
        "impersonate",
        "",
        is_resource=True,
        group=group,
        version="v1",
        resource=resource,
        subresource=subresource,
        name=name,
        namespace=namespace,
    )


def _account(name: str) -> RequestInfo:
    namespace, _, account = name[len(ACCOUNT) :].partition(":")
    return _question("", "serviceaccounts", account, namespace)


def resolved(wanted: User) -> User:
    """The user with the groups that come by themselves."""
    groups = wanted.groups
    if wanted.name.startswith(ACCOUNT) and not groups:
        namespace = wanted.name[len(ACCOUNT) :].partition(":")[0]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    implied = UNAUTHENTICATED if wanted.name == "system:anonymous" else AUTHENTICATED
    if implied not in groups and UNAUTHENTICATED not in groups:
        groups = (*groups, implied)
    return User(wanted.name, groups, wanted.uid, wanted.extra)
