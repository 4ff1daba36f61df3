"""Headers by which one says who one is: they end where that is known (upstream: endpoints/filters WithAuthentication).

What goes on to kubelets, pods and extension servers must neither give the credentials away nor let the client speak as a front
proxy there. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

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
        kept = [kept for header in request.headers if (kept := self._kept(*header)) is not None]
        return request if tuple(kept) == tuple(request.headers) else replace(request, headers=tuple(kept))

    def _kept(self, name: str, value: str) -> tuple[str, str] | None:
        if name in self.names or name.startswith(self.prefixes):
            return None
        if name != PROTOCOLS or PROTOCOL not in value:
            return name, value
        rest = [one.strip() for one in value.split(",") if not one.strip().startswith(PROTOCOL)]
        return (name, ", ".join(rest)) if rest else None
