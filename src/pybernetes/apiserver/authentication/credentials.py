"""Headers by which one says who one is: they end where that is known (upstream: endpoints/filters WithAuthentication).

What goes on to kubelets, pods and extension servers must neither give the credentials away nor let the client speak as a front
proxy there. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pybernetes.wire.http import Request

from .bearer import PROTOCOL
from .requestheader import RequestHeader

STANDARD = frozenset({"authorization", "x-remote-user", "x-remote-uid", "x-remote-group"})
STANDARD_PREFIXES = ("x-remote-extra-",)
PROTOCOLS = "sec-websocket-protocol"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The names, in lower case, of headers that are credentials, and what such names begin with."""

    names: frozenset[str] = STANDARD
    prefixes: tuple[str, ...] = STANDARD_PREFIXES

    @classmethod
    def of(cls, proxies: Iterable[RequestHeader]) -> Credentials:
        """The usual ones, and those that the front proxies use here."""
        names, prefixes = set(STANDARD), list(STANDARD_PREFIXES)
        for proxy in proxies:
            names |= {name.lower() for name in (*proxy.username_headers, *proxy.uid_headers, *proxy.group_headers)}
            prefixes += [prefix.lower() for prefix in proxy.extra_prefixes]
        return cls(frozenset(names), tuple(dict.fromkeys(prefixes)))

    def without(self, request: Request) -> Request:
        """The request without credentials; a token among the protocols of a WebSocket goes, the other protocols stay."""
        names, prefixes = self.names, self.prefixes
        kept = tuple([one for one in request.headers if one[0] not in names and not one[0].startswith(prefixes)])
        if PROTOCOL in (request.header(PROTOCOLS) or ""):
            kept = tuple([rest for header in kept if (rest := _without_token(header)) is not None])
        return request.with_headers(kept)


def _without_token(header: tuple[str, str]) -> tuple[str, str] | None:
    name, value = header
    if name != PROTOCOLS:
        return header
    rest = [one.strip() for one in value.split(",") if not one.strip().startswith(PROTOCOL)]
    return (name, ", ".join(rest)) if rest else None
