"""Who asks by way of a front proxy, such as the API server before its extensions (upstream: apiserver/.../authentication/request/headerrequest).

Which proxies are believed the cluster says itself, in the ConfigMap kube-system/extension-apiserver-authentication.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from pybernetes.api.wellknown import ALL_AUTHENTICATED
from pybernetes.pki.bundles import Authorities, common_name
from pybernetes.wire.http import Request

from .delegated import Ask, Guard, UserInfo


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """`names`: common names of the proxies' certificates, none: any. Header names are lower-cased."""

    authorities: Authorities
    names: Sequence[str]
    user_headers: Sequence[str]
    uid_headers: Sequence[str]
    group_headers: Sequence[str]
    extra_prefixes: Sequence[str]

    def user(self, request: Request) -> UserInfo | None:
        """None unless a proxy asks, and says for whom."""
        certificate = request.peer_certificate
        if certificate is None or not self.authorities.issued(certificate, request.peer_intermediates):
            return None
        if self.names and common_name(certificate) not in self.names:
            return None
        name = next((value for header in self.user_headers if (value := request.header(header))), "")
        if not name:
            return None
        uid = next((value for header in self.uid_headers if (value := request.header(header))), "")
        groups = tuple(value for header in self.group_headers for value in request.header_values(header))
        extra: dict[str, list[str]] = {}
        for header, value in request.headers:
            for prefix in self.extra_prefixes:
                if header.startswith(prefix):
                    extra.setdefault(unquote(header[len(prefix) :]), []).append(value)
        everybody = () if ALL_AUTHENTICATED in groups else (ALL_AUTHENTICATED,)
        return UserInfo(name, (*groups, *everybody), uid, extra)


def published(data: Mapping[str, str]) -> FrontProxy | None:
    """What the ConfigMap says; None where no proxy is believed. ValueError where it cannot be read."""
    authority = data.get("requestheader-client-ca-file", "")
    if not authority:
        return None
    return FrontProxy(
        Authorities(authority.encode()),
        _listed(data, "requestheader-allowed-names"),
        _headers(data, "requestheader-username-headers"),
        _headers(data, "requestheader-uid-headers"),
        _headers(data, "requestheader-group-headers"),
        _headers(data, "requestheader-extra-headers-prefix"),
    )


def _listed(data: Mapping[str, str], key: str) -> list[str]:
    value = json.loads(data.get(key) or "[]")
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{key}: {data[key]!r} is no list of strings")
    return [str(item) for item in value]


def _headers(data: Mapping[str, str], key: str) -> list[str]:
    return [name.lower() for name in _listed(data, key)]


class PublishedIdentities:
    """What the cluster publishes of who may ask as whom; `read` again as it changes. Nobody, before the first time."""

    def __init__(self) -> None:
        self._clients: Authorities | None = None
        self._proxy: FrontProxy | None = None

    def read(self, data: Mapping[str, str]) -> str:
        """The certificates (PEM) that TLS must let in for them. ValueError, and then all stays as it was."""
        clients, proxy = data.get("client-ca-file", ""), published(data)
        self._clients = Authorities(clients.encode()) if clients else None
        self._proxy = proxy
        return "\n".join(text for text in (clients, data.get("requestheader-client-ca-file", "")) if text)

    def issued(self, certificate: bytes, intermediates: Sequence[bytes] = ()) -> bool:
        """Whether it is a client's: a proxy's own certificate makes nobody a user."""
        return self._clients is not None and self._clients.issued(certificate, intermediates)

    def user(self, request: Request) -> UserInfo | None:
        """Who asks by way of a proxy."""
        return self._proxy.user(request) if self._proxy is not None else None


class ProxiedGuard:
    """First the front proxy's word, as upstream; else another guard's, which also says what one may."""

    def __init__(self, identities: PublishedIdentities, guard: Guard) -> None:
        self._identities, self._guard = identities, guard

    async def authenticate(self, request: Request) -> UserInfo | None:
        return self._identities.user(request) or await self._guard.authenticate(request)

    async def authorize(self, user: UserInfo, ask: Ask) -> str | None:
        return await self._guard.authorize(user, ask)
