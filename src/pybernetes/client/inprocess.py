"""The HTTP client of a server in the same process: what asks and what answers meet without HTTP between them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pybernetes.wire.http import Call, Request, Server

from .http import Headers, HTTPClient, Reply, limited

URL = "http://in.process"  # in place of a server's address
PEER = "127.0.0.1"
_TARGET = re.compile(r"/[!\"$-~]*")  # a path, maybe with a query, and nothing that a parser would not take as it is
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_BODY_BYTES = 16 << 10  # larger ones are read by pieces, and refused where they are too large


class InProcessClient(HTTPClient):
    """See HTTPClient. `server` is asked at each request, and may raise ConnectionError; it believes the client to have shown `certificate` (DER).

    What a parser might refuse, large bodies and upgrades go over a connection without a socket.
    """

    def __init__(self, server: Callable[[], Server], certificate: bytes | None = None) -> None:
        super().__init__(URL, dial=lambda protocol: server().connect(protocol, certificate))
        self._server, self._certificate = server, certificate
        self._calls: set[Call] = set()

    async def close(self) -> None:
        """Ends every request that is under way."""
        for call in tuple(self._calls):
            call.abort()
        await super().close()

    @asynccontextmanager
    async def _begun(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: bytes,
        streaming: bool,
        repeatable: bool,
        head_timeout: float | None = None,
    ) -> AsyncIterator[Reply]:
        headers = tuple(headers)
        request = self._request(method, target, headers, body)
        if request is None:
            over = super()._begun(method, target, headers, body, streaming, repeatable, head_timeout)
            async with over as reply:
                yield reply
            return
        call = self._server().call(request)
        self._calls.add(call)
        try:
            async with limited(head_timeout):
                await call.head()
            yield call
        finally:
            self._calls.discard(call)
            call.close()

    def _request(self, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes) -> Request | None:
        """As a parser would have made it; None where it is the parser's to say."""
        if method not in _METHODS or len(body) >= _BODY_BYTES or not _TARGET.fullmatch(target):
            return None
        given = [("host", self._authority)]
        for name, value in headers:
            if not value.isprintable() or not value.isascii() or name.lower() == "host":
                return None
            given.append((name.lower(), value.lstrip()))
        path, _, query = target.encode("ascii").partition(b"?")
        return Request(method, path, query, tuple(given), body, self._certificate, peer=PEER)
