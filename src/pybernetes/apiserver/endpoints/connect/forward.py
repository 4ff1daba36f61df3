"""Carries a request on, and its answer back: whole, streamed, or as an upgraded connection
(upstream: apimachinery/pkg/util/proxy/upgradeaware.go, transport.go)."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

from pybernetes.api import errors
from pybernetes.client.http import Answer, Duplex, HTTPClient, Stream
from pybernetes.wire import channels, websocket
from pybernetes.wire.duplex import join
from pybernetes.wire.http import BodyWriter, Request, Response, StreamingResponse, Upgraded, UpgradeResponse
from pybernetes.wire.remotecommand import PORT_FORWARD, TUNNELLED_PORT_FORWARD

from . import rewriting
from .location import Location, join_host_port

HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "content-length"),
    }
)
# Credentials end at authentication; what they end here for is that nobody need rely on it.
PRIVATE = frozenset({"authorization", "x-remote-user", "x-remote-uid", "x-remote-group"})
PRIVATE_PREFIXES = ("impersonate-", "x-remote-extra-")
CORS = "access-control-"
MAX_ERROR = 50_000  # bytes of a kubelet's refusal that go into the Status (upstream's maxReadLength)

Headers = list[tuple[str, str]]


def upgrade_asked(request: Request) -> bool:
    """Whether the connection is to become something else."""
    return "upgrade" in (request.header("connection") or "").lower() and bool(request.header("upgrade"))


def forwarded_headers(request: Request) -> Headers:
    """What the other side gets to see: the host that the client asked for, and through whom the request came, as Go's proxy tells it."""
    told = [value for name, value in request.headers if name == "x-forwarded-for"]
    by = [("x-forwarded-for", ", ".join([*told, request.peer]))] if request.peer else []
    named = {name.strip().lower() for name in (request.header("connection") or "").split(",")}
    return [
        (name, value)
        for name, value in request.headers
        if name not in HOP_BY_HOP
        and name not in named
        and name not in PRIVATE
        and not name.startswith(PRIVATE_PREFIXES)
        and name != "x-forwarded-uri"
        and not (by and name == "x-forwarded-for")
    ] + by


def answered_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """What the client gets to see of the answer's."""
    return [(n, v) for n, v in headers if n not in HOP_BY_HOP and not n.startswith(CORS)]


def dial_error(error: Exception, location: Location) -> str:
    """In Go's words."""
    place = join_host_port(location.host, location.port)
    cause = error.__cause__ or error
    if isinstance(cause, TimeoutError):
        return f"dial tcp {place}: i/o timeout"
    if isinstance(cause, socket.gaierror):
        return f"dial tcp: lookup {location.host}: no such host"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: x509: {cause.verify_message}"
    if isinstance(cause, OSError) and cause.errno and not isinstance(cause, ssl.SSLError):
        return f"dial tcp {place}: connect: {os.strerror(cause.errno).lower()}"
    return str(cause) or repr(cause)


class Forwarder:
    """Carries requests."""

    def __init__(
        self,
        client: Callable[[Location], HTTPClient],
        headers: Callable[[Request], Headers] = forwarded_headers,
        kept: bool = False,
    ) -> None:
        """`client` reaches a place, ValueError where its address is none; without `kept` it is one for each request, and closed after it.

        `headers` are what the other side sees of a request's.
        """
        self._make, self._headers, self._kept = client, headers, kept

    def _client(self, location: Location) -> HTTPClient:
        try:
            return self._make(location)
        except ValueError as error:  # a node, or a pod, may tell of itself what it likes
            raise errors.bad_request(
                f"invalid address {join_host_port(location.host, location.port)!r}: {error}"
            ) from None

    async def upgraded(self, location: Location, request: Request) -> Response | UpgradeResponse:
        """Bytes both ways after the other side's 101; its refusal as it is. StatusError 500 where it is not reached."""
        if TUNNELLED_PORT_FORWARD in websocket.offered_protocols(request) and "/portForward/" in location.path:
            return await self._tunnelled(location, request)
        protocol = request.header("upgrade") or ""
        upstream = await self._dial(location, request.method, self._headers(request), protocol)
        if isinstance(upstream, Answer):
            return Response(upstream.status, answered_headers(upstream.headers.items()), upstream.body)
        headers = answered_headers(upstream.headers.items())
        return UpgradeResponse(protocol, lambda stream: join(stream, upstream), headers, abandoned=upstream.close)

    async def _tunnelled(self, location: Location, request: Request) -> Response | UpgradeResponse:
        """SPDY out of WebSocket messages: what is behind sees plain SPDY."""
        try:
            headers = websocket.handshake_headers(request, TUNNELLED_PORT_FORWARD)
        except websocket.ProtocolError as error:
            raise errors.bad_request(str(error)) from None
        handshake = [("X-Stream-Protocol-Version", PORT_FORWARD)]
        upstream = await self._dial(location, "POST", handshake, "SPDY/3.1")
        if isinstance(upstream, Answer):
            return Response(upstream.status, answered_headers(upstream.headers.items()), upstream.body)
        return UpgradeResponse("websocket", lambda stream: _bridge(stream, upstream), headers, abandoned=upstream.close)

    async def _dial(self, location: Location, method: str, headers: Headers, protocol: str) -> Answer | Duplex:
        target = f"{location.path}?{location.query}" if location.query else location.path
        try:
            return await self._client(location).upgrade(method, target, headers, protocol)
        except (ConnectionError, TimeoutError, ssl.SSLError) as error:
            raise errors.generic(
                500, "", "", "", "", f"error dialing backend: {dial_error(error, location)}"
            ) from error

    async def proxied(self, location: Location, request: Request, prefix: str) -> Response | StreamingResponse:
        """The answer as it comes; redirects within the place lead back through `prefix`. StatusError 503 where it is not reached."""
        headers = self._headers(request)
        headers.append(("X-Forwarded-Uri", rewriting.joined(prefix, location.path)))
        hosts = frozenset({join_host_port(location.host, location.port), _bare(location)})
        place = rewriting.Place(hosts, prefix, request.header("host") or "")
        try:
            return await self._streamed(
                location,
                request.method,
                headers,
                request.body,
                lambda stream: [(n, _moved(n, v, place)) for n, v in answered_headers(stream.header_list)],
                place=place,
            )
        except (ConnectionError, TimeoutError, ssl.SSLError) as error:
            text = f"error trying to reach service: {dial_error(error, location)}"
            raise errors.service_unavailable(text) from error

    async def log(
        self, location: Location, name: str, request: Request
    ) -> Response | StreamingResponse | UpgradeResponse:
        """The kubelet's text as it comes, in messages of a WebSocket where one is asked for; its refusal as a Status."""
        try:
            answer = await self._streamed(
                location, "GET", [], b"", lambda stream: [("Content-Type", "text/plain")], checked=name
            )
        except (ConnectionError, TimeoutError, ssl.SSLError) as error:
            url = f"{location.base}{location.path}" + (f"?{location.query}" if location.query else "")
            text = f'Get "{url}": {dial_error(error, location)}'
            raise errors.generic(500, "", "", "", "", text) from error
        if not websocket.asked(request) or not isinstance(answer, StreamingResponse):
            return answer
        return _in_messages(answer, request)

    async def _streamed(
        self,
        location: Location,
        method: str,
        headers: Headers,
        body: bytes,
        head: Callable[[Stream], Headers],
        checked: str = "",
        place: rewriting.Place | None = None,
    ) -> Response | StreamingResponse:
        client = self._client(location)
        target = f"{location.path or '/'}?{location.query}" if location.query else location.path or "/"
        async with AsyncExitStack() as opening:
            if not self._kept:
                opening.push_async_callback(client.close)
            stream = await opening.enter_async_context(client.stream(method, target, headers, body))
            if checked and not 200 <= stream.status <= 206:
                raise _refusal(stream.status, (await stream.read())[:MAX_ERROR].decode(errors="replace"), checked)
            if method == "HEAD" or stream.status in (204, 304):
                return Response(stream.status, head(stream))
            begun = b""
            if place is not None and _is_page(stream):
                begun, whole = await _beginning(stream)
                if whole:
                    return Response(stream.status, head(stream), await _page(place, begun, stream))
            opened = opening.pop_all()

        async def produce(writer: BodyWriter) -> None:
            async with opened:
                if begun:
                    await writer.write(begun)
                async for piece in stream:
                    await writer.write(piece)

        def abandoned() -> None:
            asyncio.get_running_loop().create_task(opened.aclose())  # ends at once: the connection is cut

        return StreamingResponse(produce, stream.status, head(stream), abandoned)


def _in_messages(answer: StreamingResponse, request: Request) -> UpgradeResponse:
    """StatusError 400, 403 where the client speaks no such protocol."""
    try:
        upgraded = channels.readable(request, channels.READER_PROTOCOLS, answer.producer, answer.abandoned)
    except websocket.ProtocolError as error:
        raise _given_up(answer, errors.bad_request(str(error))) from None
    if upgraded is None:
        offered, spoken = websocket.offered_protocols(request), channels.READER_PROTOCOLS
        text = f"requested protocol(s) are not supported: [{' '.join(offered)}]; supports [{' '.join(spoken)}]"
        raise _given_up(answer, errors.forbidden("", "", "", text))
    return upgraded


def _given_up(answer: StreamingResponse, error: errors.StatusError) -> errors.StatusError:
    if answer.abandoned is not None:
        answer.abandoned()
    return error


async def _bridge(stream: Upgraded, other: Duplex) -> None:
    socket = websocket.WebSocket(stream)
    await join(websocket.MessageDuplex(socket, stream), other)


def _bare(location: Location) -> str:
    """The host without the port that goes without saying."""
    usual = {"http": 80, "https": 443}[location.scheme]
    host = f"[{location.host}]" if ":" in location.host else location.host
    return host if location.port == usual else join_host_port(location.host, location.port)


def _moved(name: str, value: str, place: rewriting.Place) -> str:
    """A redirect to a path of the same place, as the client must follow it. StatusError 500 for what is no URL."""
    if name != "location":
        return value
    try:
        return place.url(value)
    except ValueError as error:
        raise errors.internal_error(f"error trying to parse Location header: {error}") from None


def _is_page(stream: Stream) -> bool:
    headers = dict(reversed(stream.header_list))  # the first of each name
    return "location" not in headers and rewriting.rewrites(headers.get("content-type", ""))


async def _beginning(stream: Stream) -> tuple[bytes, bool]:
    """(what came, whether that is all): no more than fits, and a piece."""
    data = bytearray()
    async for piece in stream:
        data += piece
        if len(data) > rewriting.MAX_PAGE:
            return bytes(data), False
    return bytes(data), True


async def _page(place: rewriting.Place, data: bytes, stream: Stream) -> bytes:
    """Rewritten beside the event loop: a page may take a while. StatusError 500 where it is not packed as it says."""
    encoding = next((value for name, value in stream.header_list if name == "content-encoding"), "")
    try:
        return await asyncio.to_thread(rewriting.rewritten, place, data, encoding)
    except rewriting.Unreadable as error:
        raise errors.unclassified(str(error)) from None


def _refusal(code: int, text: str, name: str) -> errors.StatusError:
    """Upstream's GenericHttpResponseChecker."""
    if code == 500:
        return errors.internal_error(text)
    if code == 400:
        return errors.bad_request(text)
    message = {
        401: "the server has asked for the client to provide credentials",
        403: text or "the server does not allow access to the requested resource",
        404: "the server could not find the requested resource",
    }.get(code, f"the server responded with the status code {code} but did not return more information")
    refused = errors.generic(code, "", "", "pods/log", name, f"{message} ( pods/log {name})")
    if text:
        refused.status["details"]["causes"] = [{"reason": "UnexpectedServerResponse", "message": text}]
    return refused
