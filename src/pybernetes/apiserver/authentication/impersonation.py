"""Acting as somebody else by request headers (upstream: apiserver/pkg/endpoints/filters/impersonation.go). Pure.

Headers are read before anybody is asked whether one may: in one pass, whatever is in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from pybernetes.api import errors
from pybernetes.api.wellknown import (
    ALL_AUTHENTICATED,
    ALL_SERVICE_ACCOUNTS_GROUP,
    ALL_UNAUTHENTICATED,
    ANONYMOUS_USER,
    SERVICE_ACCOUNT_GROUP_PREFIX,
    SERVICE_ACCOUNT_USERNAME_PREFIX,
)
from pybernetes.wire.http import Headers

from ..types import RequestInfo
from .user import User

_PREFIX = "impersonate-"
_EXTRA = "impersonate-extra-"


def requested(headers: Headers) -> User | None:
    """Who is asked for, with the groups as given; None without such headers. StatusError 400 for groups without a user."""
    for header, _ in headers:
        if header.startswith(_PREFIX):
            return _read(headers)
    return None


def _read(headers: Headers) -> User | None:
    name: str | None = None
    uid: str | None = None
    groups: list[str] = []
    extra: dict[str, list[str]] = {}
    for header, value in headers:
        if header == "impersonate-user":
            name = value if name is None else name  # of several the first counts, as everywhere
        elif header == "impersonate-group":
            groups.append(value)
        elif header == "impersonate-uid":
            uid = value if uid is None else uid
        elif header.startswith(_EXTRA):
            extra.setdefault(unquote(header[len(_EXTRA) :]), []).append(value)
    if name:
        return User(name, tuple(groups), uid or "", {key: tuple(values) for key, values in extra.items()})
    if groups or uid or extra:
        raise errors.bad_request("requested impersonation of groups, uid or extra without impersonating a user")
    return None


def questions(target: User) -> Iterator[RequestInfo]:
    """What the real user must be allowed: the verb impersonate on each part."""
    yield (
        _question("", "users", target.name)
        if not target.name.startswith(SERVICE_ACCOUNT_USERNAME_PREFIX)
        else _account(target.name)
    )
    for group in target.groups:
        yield _question("", "groups", group)
    if target.uid:
        yield _question("authentication.k8s.io", "uids", target.uid)
    for key, values in target.extra.items():
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
    namespace, _, account = name[len(SERVICE_ACCOUNT_USERNAME_PREFIX) :].partition(":")
    return _question("", "serviceaccounts", account, namespace)


def resolved(target: User) -> User:
    """The user with the groups that come by themselves."""
    groups = target.groups
    if target.name.startswith(SERVICE_ACCOUNT_USERNAME_PREFIX) and not groups:
        namespace = target.name[len(SERVICE_ACCOUNT_USERNAME_PREFIX) :].partition(":")[0]
        groups = (ALL_SERVICE_ACCOUNTS_GROUP, f"{SERVICE_ACCOUNT_GROUP_PREFIX}{namespace}")
    implied = ALL_UNAUTHENTICATED if target.name == ANONYMOUS_USER else ALL_AUTHENTICATED
    if implied not in groups and ALL_UNAUTHENTICATED not in groups:
        groups = (*groups, implied)
    return User(target.name, groups, target.uid, target.extra)
