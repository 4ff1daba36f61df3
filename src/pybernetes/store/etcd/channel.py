"""Calls to whichever member of an etcd cluster answers: endpoints, TLS, time limits, and what is tried again.

Upstream's client (clientv3) rules: what only reads is tried again on the next endpoint, a write only where it is certain that nobody
has seen it; the caller says what may be repeated. Everything ends within its time limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from pybernetes.aio.connectionerrors import explained
from pybernetes.aio.ending import end

from ..backends import Location, LocationError
from .http2 import DEADLINE_EXCEEDED, ETCD_METADATA, UNAVAILABLE, Connection, RPCError, Stream

_log = logging.getLogger(__name__)

CONNECT_SECONDS = 2.0  # a host that is cut off does not refuse, and all wait meanwhile
CALL_SECONDS = 10.0  # of one call with all its attempts; upstream's requests to etcd have those of their clients
ATTEMPT_SECONDS = 4.0  # a member that has no answer by then is left for another one; elections take 1 s
RETRY_SECONDS = 0.05  # before the next round of endpoints, doubling
MAX_RETRY_SECONDS = 1.0
KEEPALIVE_SECONDS = 10.0  # between pings; etcd takes them every 5 s at the most
KEEPALIVE_TIMEOUT_SECONDS = 3.0
ETCD_SAYS = "etcdserver: "  # what begins so are a member's words, or would be
TIMED_OUT = f"{ETCD_SAYS}request timed out"
PING_SECONDS = 1.0  # that a member which lets a call wait has for a sign of life
# That a call waits before such a sign is asked for; then not again for the time that etcd wants between pings.
DOUBT_SECONDS = 1.0
DOUBT_AGAIN_SECONDS = 5.0
DEFAULT_PORTS = {"http": 2379, "https": 2379}


class Endpoint:
    """One member's address: `http://HOST[:PORT]`, or `https://...`. LocationError."""

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise LocationError(f"{url!r}: {error}") from None
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
            raise LocationError(f"{url!r}: want http://HOST:PORT or https://HOST:PORT")
        self.url, self.tls = url, parts.scheme == "https"
        self.host, self.port = parts.hostname, port or DEFAULT_PORTS[parts.scheme]
        self.authority = parts.netloc.rpartition("@")[2]


def tls_context(location: Location) -> ssl.SSLContext:
    """For members behind TLS. LocationError where a file cannot be read."""
    for path in filter(None, (location.ca_file, location.cert_file, location.key_file)):
        try:  # ssl's own words leave out which
            open(path, "rb").close()
        except OSError as error:
            raise LocationError(f"the files for TLS cannot be read: {path}: {error.strerror}") from error
    try:
        context = ssl.create_default_context(cafile=location.ca_file or None)
        if location.cert_file:
            context.load_cert_chain(location.cert_file, location.key_file or None)
    except (OSError, ssl.SSLError) as error:
        raise LocationError(f"the files for TLS cannot be read: {error}") from error
    context.set_alpn_protocols(["h2"])
    return context


def open_channel(location: Location, *, leader: bool = True) -> Channel:
    """To the members of a location; nobody is called yet. LocationError, also for files that cannot be read."""
    endpoints = [Endpoint(url) for url in location.urls]
    context = None
    if any(endpoint.tls for endpoint in endpoints):
        context = functools.partial(tls_context, location)
        context()  # files that cannot be read are told at once
    return Channel(endpoints, context, leader=leader)


class Channel:
    """Between its making and `close`. One connection at a time, to the endpoint that answered last."""

    def __init__(
        self, endpoints: Sequence[Endpoint], context: Callable[[], ssl.SSLContext] | None, *, leader: bool = True
    ) -> None:
        """`context` for members behind TLS, asked for with each connection: files may have been renewed.

        `leader`: members that know of no leader are not to answer. Who looks after a broken cluster wants their answers too.
        """
        self._endpoints, self._context, self._leader = endpoints, context, leader
        self._at = 0  # of the endpoint that is used
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._keepalive: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()  # of connections that were left
        self._answered = 0.0  # when the newest call began that was answered
        self._doubted = 0.0  # when a sign of life was asked for
        self._closed = False

    async def call(
        self,
        path: str,
        request: bytes,
        *,
        repeat: bool = False,
        seconds: float = CALL_SECONDS,
        attempt_seconds: float = ATTEMPT_SECONDS,
    ) -> bytes:
        """A request with one answer. `repeat`: it does no harm twice. RPCError, UNAVAILABLE or DEADLINE_EXCEEDED where nobody answers."""
        error, told = RPCError(DEADLINE_EXCEEDED, "no endpoint of etcd has answered"), ""
        end = asyncio.get_running_loop().time() + seconds
        delay, tried, untrusted = RETRY_SECONDS, 0, 0
        try:
            while True:
                try:
                    return await self._attempt(path, request, end, attempt_seconds)
                except RPCError as failed:
                    error, told = failed, failed.message if failed.message.startswith(ETCD_SAYS) else told
                    if failed.status != UNAVAILABLE or self._closed or not (repeat or failed.unsent):
                        raise
                    untrusted = untrusted + 1 if isinstance(failed.__cause__, ssl.SSLCertVerificationError) else 0
                    if untrusted == len(self._endpoints):  # which no waiting makes better
                        raise
                tried += 1
                if tried % len(self._endpoints) == 0:
                    async with asyncio.timeout_at(end):
                        await asyncio.sleep(delay)
                    delay = min(2 * delay, MAX_RETRY_SECONDS)
        except TimeoutError:
            # A member that is there and has no leader says more than that the others refuse connections.
            raise RPCError(error.status, told or error.message, unsent=error.unsent) from None

    async def _attempt(self, path: str, request: bytes, end: float, seconds: float) -> bytes:
        """RPCError; TimeoutError where nothing was sent until `end`."""
        connection = self._connection
        if connection is None or not connection.usable:
            async with asyncio.timeout_at(end):
                connection = await self.connection()
        loop = asyncio.get_running_loop()
        began = loop.time()
        rest = end - began
        if rest <= 0:
            raise TimeoutError
        stream = connection.call(path)
        stream.send(request, last=True)
        doubt = loop.call_later(DOUBT_SECONDS, self._doubt, connection)
        try:
            answer = await stream.answer(min(seconds, rest))
            self._answered = max(self._answered, began)
            return answer
        except TimeoutError:
            if rest < seconds:  # it did not have its time
                raise RPCError(DEADLINE_EXCEEDED, TIMED_OUT) from None
            # What a member had passed on to a leader that is gone now is never answered: it says nothing against a member that has
            # answered later calls.
            if self._answered <= began:
                self.leave(connection)
            raise RPCError(UNAVAILABLE, TIMED_OUT) from None
        except RPCError as error:
            if error.status == UNAVAILABLE:
                self.leave(connection)
            raise
        finally:
            doubt.cancel()

    def _doubt(self, connection: Connection) -> None:
        """A call waits: is the member there at all?"""
        loop = asyncio.get_running_loop()
        if connection.usable and loop.time() > self._doubted + DOUBT_AGAIN_SECONDS:
            self._doubted = loop.time()
            task = loop.create_task(self._sign_of_life(connection))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _sign_of_life(self, connection: Connection) -> None:
        """One that is frozen or cut off is left at once: all that waits for it fails, or goes on with another one."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                await asyncio.shield(connection.ping())
        except TimeoutError:
            self.leave(connection)
            connection.close("it does not answer")

    async def open(self, path: str) -> tuple[Connection, Stream]:
        """A call whose messages go both ways. RPCError."""
        connection = await self.connection()
        return connection, connection.call(path)

    async def connection(self) -> Connection:
        """One that can be used. RPCError: this endpoint has none, the next one is tried with the next call."""
        if self._connection is not None and self._connection.usable:
            return self._connection
        async with self._connecting:
            if self._connection is not None and self._connection.usable:
                return self._connection
            if self._closed:
                raise RPCError(UNAVAILABLE, "closed", unsent=True)
            endpoint = self._endpoints[self._at]
            try:
                self._connection = await self._connect(endpoint)
            except (OSError, TimeoutError, LocationError) as error:
                self._at = (self._at + 1) % len(self._endpoints)
                text = explained(error, datetime.now(UTC)) or "no answer"
                raise RPCError(UNAVAILABLE, f"cannot connect to {endpoint.url}: {text}", unsent=True) from error
            if self._keepalive is not None:
                self._keepalive.cancel()
            self._keepalive = asyncio.get_running_loop().create_task(self._keep_alive(self._connection))
            return self._connection

    async def _connect(self, endpoint: Endpoint) -> Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            _, connection = await loop.create_connection(
                lambda: Connection(
                    endpoint.authority, tls=endpoint.tls, metadata=ETCD_METADATA if self._leader else ()
                ),
                endpoint.host,
                endpoint.port,
                ssl=self._context() if endpoint.tls and self._context else None,
            )
        return connection

    async def _keep_alive(self, connection: Connection) -> None:
        """A member that vanished without a word is noticed. gRPC's servers end connections that ping while nothing is under way."""
        while connection.usable:
            await asyncio.sleep(KEEPALIVE_SECONDS)
            if not connection.busy:
                continue
            try:
                async with asyncio.timeout(KEEPALIVE_TIMEOUT_SECONDS):
                    await asyncio.shield(connection.ping())
            except (TimeoutError, asyncio.CancelledError):
                if self._closed or not connection.usable:
                    return
                _log.warning("etcd does not answer at this endpoint, another one is tried")
                self.leave(connection)
                connection.close("it does not answer")

    def leave(self, connection: Connection) -> None:
        """Turns to the next endpoint, where the connection is the present one. What is under way on it may end by itself."""
        if self._connection is connection:
            self._connection = None
            self._at = (self._at + 1) % len(self._endpoints)
            if len(self._endpoints) > 1 or not connection.usable:
                task = asyncio.get_running_loop().create_task(self._end(connection))
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)
            else:
                self._connection = connection

    async def _end(self, connection: Connection) -> None:
        """What is under way may be answered still, but not by a member that does not even answer a ping: its watches go on elsewhere."""
        try:
            if connection.usable:
                async with asyncio.timeout(PING_SECONDS):
                    await asyncio.shield(connection.ping())
                await asyncio.sleep(ATTEMPT_SECONDS)
        except TimeoutError:
            pass
        finally:
            connection.close("left for another endpoint")

    async def close(self) -> None:
        """Ends all calls."""
        self._closed = True
        await end(*self._ending)
        await end(self._keepalive)
        if self._connection is not None:
            self._connection.close()
            with contextlib.suppress(asyncio.CancelledError):
                await self._connection.closed
