"""Authentication by a front proxy that says in headers who asks (upstream: apiserver/.../request/headerrequest)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from pybernetes.api.wellknown import ALL_AUTHENTICATED
from pybernetes.pki.bundles import common_name
from pybernetes.wire.http import Request

from .user import User


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """Of the flags --requestheader-*. `issued` says whether a DER certificate, with its intermediates, is of the proxies' authority."""

    issued: Callable[[bytes, Sequence[bytes]], bool]
    allowed_names: Collection[str] = ()  # common names of the proxies' certificates; none: any
    username_headers: Sequence[str] = ("x-remote-user",)
    uid_headers: Sequence[str] = ()
    group_headers: Sequence[str] = ("x-remote-group",)
    extra_prefixes: Sequence[str] = ("x-remote-extra-",)

    async def authenticate(self, request: Request) -> User | None:
        """None without the proxy's certificate, or without a user in the headers."""
        if not request.peer_certificate or not any(request.header(name) for name in self.username_headers):
            return None
        if not self.issued(request.peer_certificate, request.peer_intermediates):
            return None
        if not self._allowed(request.peer_certificate):
            return None
        name = next(value for header in self.username_headers if (value := request.header(header)))
        uid = next((value for header in self.uid_headers if (value := request.header(header))), "")
        groups = tuple(value for header in self.group_headers for value in request.header_values(header))
        if ALL_AUTHENTICATED not in groups:
            groups = (*groups, ALL_AUTHENTICATED)
        return User(name, groups, uid, self._extra(request))

    def _allowed(self, certificate: bytes) -> bool:
        return not self.allowed_names or common_name(certificate) in self.allowed_names

    def _extra(self, request: Request) -> dict[str, tuple[str, ...]]:
        extra: dict[str, list[str]] = {}
        for header, value in request.headers:
            for prefix in self.extra_prefixes:
                if header.startswith(prefix):
                    extra.setdefault(unquote(header[len(prefix) :]), []).append(value)
        return {key: tuple(values) for key, values in extra.items()}
