"""Bytes of a connection become requests: the httptools parser with limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httptools

from .body import IncomingBody
from .messages import Headers, Limits, Request

# Non-body bytes tolerated for each body byte (chunk framing) beyond the header limit.
_CHUNK_OVERHEAD = 8


class Reject(Exception):
    """Stops the parser with a status to answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Upgrade(Exception):
    """A request to upgrade has ended; `rest` is what followed it, in no HTTP."""

    def __init__(self, rest: bytes) -> None:
        super().__init__()
        self.rest = rest


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with what is needed to frame its response."""

    request: Request
    keep_alive: bool
    http_1_0: bool
    size: int = 0  # of what it holds in memory, about


class Parser:
    """One connection's. `parsed` is called with each request: with its body where that came along, else while it is under way."""

    def __init__(self, limits: Limits, parsed: Callable[[Exchange], None], begun: Callable[[], None]) -> None:
        """`begun` is called with the first byte of each request."""
        self._limits, self._parsed, self._begun = limits, parsed, begun
        self._parser = httptools.HttpRequestParser(self)
        self.peer_certificate: bytes | None = None
        self.peer_intermediates: tuple[bytes, ...] = ()
        self.peer = ""
        self.wanted: Callable[[], None] = lambda: None  # who wants a body that is under way calls it
        self.in_message = False
        self.expects_continue = False
        self.body: IncomingBody | None = None  # of the request that is under way, once that was given out
        self._overhead = 0
        self._reset()

    def _reset(self) -> None:
        self._target = bytearray()
        self._headers: list[tuple[str, str]] = []
        self._header_bytes = 0
        self._headers_done = False
        self._incoming: IncomingBody | None = None  # made with the first byte of one: most requests have none
        self._received = 0
        self.body = None

    def feed(self, data: bytes) -> None:
        """Reject for what is no request that can be answered, Upgrade at the end of HTTP."""
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            raise Upgrade(data[int(upgrade.args[0]) :]) from None
        except httptools.HttpParserError as error:
            cause = error.__context__
            raise Reject(cause.status if isinstance(cause, Reject) else 400) from None
        if not self.in_message:
            self._overhead = 0
            return
        if self._overhead > self._limits.header_bytes + _CHUNK_OVERHEAD * self._received:
            raise Reject(431)
        if self._headers_done and self.body is None:
            self.body = self._body()
            self._give(self._request(b"", self.body), len(self.body))

    # Called by httptools.

    def on_message_begin(self) -> None:
        self._reset()
        self.in_message = True
        self._begun()

    def on_url(self, url: bytes) -> None:
        self._header_bytes += len(url)
        if self._header_bytes > self._limits.header_bytes:
            raise Reject(431)
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > self._limits.header_bytes:
            raise Reject(431)
        if not self._headers_done:  # trailers are dropped
            if len(self._headers) >= self._limits.headers:
                raise Reject(431)
            self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._headers_done = True
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise Reject(505)
        hosts = expect = 0
        for name, value in self._headers:
            if name == "host":
                hosts += 1
            elif name == "content-length":
                self._body().announce(int(value))
            elif name == "expect":
                if value.lower() != "100-continue":
                    raise Reject(417)
                expect = 1
        if hosts > 1 or (not hosts and version == "1.1"):
            raise Reject(400)
        self.expects_continue = bool(expect) and version == "1.1"

    def on_body(self, body: bytes) -> None:
        self.expects_continue = False
        self._overhead -= len(body)
        self._received += len(body)
        self._body().feed(body)

    def on_message_complete(self) -> None:
        self.in_message = False
        self.expects_continue = False
        self._overhead = 0
        incoming, given = self._incoming, self.body is not None
        self.body = None
        if incoming is not None:
            incoming.finish()
        if given:
            return
        if incoming is None or incoming.failed:
            self._give(self._request(b"", incoming), 0)
        else:
            body = incoming.taken()
            self._give(self._request(body, None), len(body))

    def _body(self) -> IncomingBody:
        if self._incoming is None:
            self._incoming = IncomingBody(self._limits.body_bytes, self.wanted)
        return self._incoming

    def _request(self, body: bytes, incoming: IncomingBody | None) -> Request:
        path, query = _split_target(bytes(self._target))
        headers: Headers = tuple(self._headers)
        method = self._parser.get_method().decode("ascii")
        certificate, behind = self.peer_certificate, self.peer_intermediates
        return Request(method, path, query, headers, body, certificate, incoming, self.peer, behind)

    def _give(self, request: Request, size: int) -> None:
        keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        http_1_0 = self._parser.get_http_version() == "1.0"
        self._parsed(Exchange(request, keep_alive, http_1_0, size + self._header_bytes))


def _split_target(target: bytes) -> tuple[bytes, bytes]:
    """Split a request target into raw path and query."""
    if target.startswith(b"/"):
        path, _, query = target.partition(b"?")
        return path, query
    if b"://" not in target:
        return target, b""
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        raise Reject(400) from None
    return url.path or b"/", url.query or b""
