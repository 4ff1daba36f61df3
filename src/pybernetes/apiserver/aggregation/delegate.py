"""Leads requests through to an extension API server (upstream: kube-aggregator pkg/apiserver/handler_proxy.go, resolvers.go)."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.api.wellknown import SYSTEM_PRIVILEGED_GROUP
from pybernetes.client.http import Answer as Fetched
from pybernetes.client.http import HTTPClient
from pybernetes.pki.contexts import ReloadingContext, trusting
from pybernetes.wire.http import Request, Response

from ..admission.webhook.caller import explained
from ..admission.webhook.endpoint import Endpoint, Unresolved, addresses
from ..authentication.user import User
from ..endpoints.connect.forward import Forwarder, Headers, forwarded_headers, upgrade_asked
from ..endpoints.connect.kubelet import unverified
from ..endpoints.connect.location import Location
from ..endpoints.routes import Answer
from ..types import Reader
from .remote import Remote, user_headers

if TYPE_CHECKING:
    from ..filters.exchange import Exchange

AGGREGATOR = User("system:kube-aggregator", (SYSTEM_PRIVILEGED_GROUP,))
ASK_SECONDS = 5.0  # upstream's for discovery and checks
ATTEMPTS = 5  # places of one Service that are asked at once
PLACES = 16  # of one Service with connections kept open
TEXT = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))


@dataclass(frozen=True, slots=True)
class ProxyClient:
    """What is shown to extension API servers; files in PEM, "" for nothing: they will not believe who asks then."""

    certificate: str = ""
    key: str = ""


class NoAnswer(Exception):
    """None of the server's places answered with success; in upstream's words."""


class Delegate:
    """One APIService's server, see `filters.aggregation.Delegate`. `close` when done."""

    def __init__(self, remote: Remote, reader: Reader, shown: ProxyClient, chooser: random.Random) -> None:
        self.remote, self._reader, self._random = remote, reader, chooser
        self.available = False
        self.problem = ""  # why its server cannot be asked at all
        try:
            self._context = _context(remote, shown)
        except (OSError, ValueError) as error:  # of files, of the bundle
            self.problem = f"unable to load root certificates: {error}"
        self._clients: dict[str, HTTPClient] = {}

    async def close(self) -> None:
        """Ends the connections, also those in use: what is behind the APIService is another server now, or none."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    # Requests of clients.

    async def answer(self, exchange: Exchange) -> Answer:
        """503 while it is not available, as upstream's text."""
        if self.problem:
            return _text(500, self.problem)
        if not self.available:
            return _text(503, "service unavailable")
        try:
            place = self._random.choice(addresses(self._reader, self.remote.service))
        except Unresolved:
            return _text(503, "service unavailable")
        request = exchange.request
        location = Location("https", *place, request.raw_path.decode("latin-1"), request.query.decode("latin-1"))

        def headers(of: Request) -> Headers:
            return _delegated_headers(of, exchange.user)

        forwarder = Forwarder(self._client, headers, kept=True)
        if upgrade_asked(request):
            return await forwarder.upgraded(location, request)
        return await forwarder.proxied(location, request, "")

    def _client(self, location: Location) -> HTTPClient:
        client = self._clients.get(location.base)
        if client is None:
            self._forget()
            client = HTTPClient(location.base, self._context, server_name=self.remote.server_name)
            self._clients[location.base] = client
        return client

    def _forget(self) -> None:
        """Endpoints come and go: the connections to those that are not in use any more end."""
        for base, client in list(self._clients.items()):
            if len(self._clients) < PLACES:
                return
            if not client.busy:
                client.drop_idle()
                del self._clients[base]

    # What this server asks by itself.

    async def fetch(self, path: str, headers: Sequence[tuple[str, str]] = ()) -> Fetched:
        """A GET as the aggregator. NoAnswer where nothing whole comes in ASK_SECONDS; any status."""
        try:
            place = self._random.choice(addresses(self._reader, self.remote.service))
        except Unresolved as error:
            raise NoAnswer(str(error)) from None
        return await self._fetch(place, path, headers)

    async def _fetch(self, place: tuple[str, int], path: str, headers: Sequence[tuple[str, str]] = ()) -> Fetched:
        location = Location("https", *place, path)
        url = f"{location.base}{path}"
        try:
            client = self._client(location)
            return await client.request("GET", path, [*headers, *user_headers(AGGREGATOR)], timeout=ASK_SECONDS)
        except TimeoutError:
            raise NoAnswer(f"timed out waiting for {url}") from None
        except (OSError, ValueError) as error:
            why = explained(error, f"https://{self.remote.server_name}", Endpoint(location.base, path, place))
            raise NoAnswer(f'failing or missing response from {url}: Get "{url}": {why}') from None

    async def check(self) -> None:
        """Returns when one of its places answers for the group-version. NoAnswer."""
        try:
            places = addresses(self._reader, self.remote.service)
        except Unresolved as error:
            raise NoAnswer(str(error)) from None
        chosen = self._random.sample(places, min(ATTEMPTS, len(places)))
        results = await asyncio.gather(*(self._check(place) for place in chosen), return_exceptions=True)
        failures = [result for result in results if result is not None]
        if len(failures) == len(results):
            raise failures[-1]

    async def _check(self, place: tuple[str, int]) -> None:
        answer = await self._fetch(place, self.remote.path)
        if not 200 <= answer.status < 300:
            url = f"{Location('https', *place).base}{self.remote.path}"
            text = f"failing or missing response from {url}: bad status from {url}: {answer.status}"
            raise NoAnswer(text)


def _context(remote: Remote, shown: ProxyClient) -> ssl.SSLContext:
    """Made anew when the files of the certificate change."""
    files = [Path(file) for file in (shown.certificate, shown.key) if file]

    def make() -> ssl.SSLContext:
        context = unverified() if remote.insecure else trusting(remote.ca.decode("ascii") if remote.ca else None)
        if shown.certificate:
            context.load_cert_chain(shown.certificate, shown.key or None)
        return context

    return ReloadingContext(make, files) if files else make()


def _delegated_headers(request: Request, user: User) -> Headers:
    """Without the client's own name for this server: there it has another."""
    return [(name, value) for name, value in forwarded_headers(request) if name != "host"] + user_headers(user)


def _text(code: int, message: str) -> Response:
    """As Go's http.Error."""
    return Response(code, TEXT, f"{message}\n".encode())
