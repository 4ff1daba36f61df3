"""What passes between the server and its handler: requests, the three kinds of answers, limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Protocol

from .body import IncomingBody

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds a server puts on its connections; sizes in bytes, times in seconds."""

    header_bytes: int = 1 << 20
    headers: int = 2000  # every one that is asked for is looked for among all
    body_bytes: int = 3 << 20
    idle_seconds: float = 120.0
    read_seconds: float = 60.0
    write_seconds: float = 60.0  # that a peer may take nothing while there is something for it
    linger_seconds: float = 1.0
    drain_seconds: float = 5.0
    pipeline_depth: int = 16  # requests that wait for their turn on one connection
    pipeline_bytes: int = 64 << 10  # and how much they may take, before no more is read
    raw_bytes: int = 1 << 20
    unwritten_bytes: int = 256 << 20  # of large answers of all connections, that their readers have not taken yet


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are lower-cased, repeats are kept in order."""

    method: str
    raw_path: bytes
    query: bytes
    headers: Headers
    body: bytes = b""
    peer_certificate: bytes | None = None
    incoming: IncomingBody | None = None  # a body that has not been read yet; `body` is empty then
    peer: str = ""  # the address of who is at the other end; "" where it has none
    peer_intermediates: tuple[bytes, ...] = ()  # what came behind the peer's certificate

    def header(self, name: str) -> str | None:
        """Return the first value of a header, or None."""
        name = name.lower()
        for key, value in self.headers:  # a generator would take twice as long, and every request asks several times
            if key == name:
                return value
        return None

    def header_values(self, name: str) -> list[str]:
        """Return every value of a header in the order received."""
        name = name.lower()
        return [value for key, value in self.headers if key == name]

    def with_headers(self, headers: Headers) -> Request:
        """With these in place of its own. By hand: dataclasses.replace takes ten times as long, and every request has credentials."""
        rest = (self.body, self.peer_certificate, self.incoming, self.peer, self.peer_intermediates)
        return Request(self.method, self.raw_path, self.query, headers, *rest)

    async def whole(self) -> Request:
        """With its body, waiting for it. BodyError where it is too large, or never comes."""
        if self.incoming is None:
            return self
        return replace(self, body=await self.incoming.read(), incoming=None)


@dataclass(frozen=True, slots=True)
class Response:
    """A response whose body is known; the server adds the framing headers."""

    status: int = 200
    headers: Iterable[tuple[str, str]] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class StreamingResponse:
    """A response whose body is written by `producer`, which is cancelled on disconnect.

    `abandoned` is called where the producer never is: the peer left before, or wants no body.
    """

    producer: Callable[[BodyWriter], Awaitable[None]]
    status: int = 200
    headers: Iterable[tuple[str, str]] = ()
    abandoned: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class UpgradeResponse:
    """101: the connection becomes a stream of bytes that `run` owns; it is closed when `run` returns.

    Only for requests with `Connection: Upgrade`; `run` is cancelled when the peer is gone. `abandoned` is called where it never runs.
    """

    protocol: str
    run: Callable[[Upgraded], Awaitable[None]]
    headers: Iterable[tuple[str, str]] = ()
    abandoned: Callable[[], None] | None = None

    @property
    def status(self) -> int:
        """Always 101."""
        return HTTPStatus.SWITCHING_PROTOCOLS


Handler = Callable[[Request], Awaitable[Response | StreamingResponse | UpgradeResponse]]


class Dropped(asyncio.CancelledError):
    """Raised by a handler or producer: the connection ends here, without an answer or the rest of it, as when a server dies."""


class BodyWriter(Protocol):
    """Writes the body of a streaming response."""

    async def write(self, data: bytes) -> None:
        """Send some bytes, waiting while the peer is slow; empty data only waits. They are not copied: let many share them."""
        ...


class Upgraded(Protocol):
    """A connection after the switch of protocols: bytes both ways (client.http.Duplex has the same shape)."""

    async def read(self) -> bytes:
        """The next bytes, b"" at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Sends, waiting while the peer is slow; ConnectionResetError when it is gone."""
        ...

    def close(self) -> None:
        """Ends the connection after what was written."""
        ...
