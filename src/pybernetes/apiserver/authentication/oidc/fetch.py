"""GETs documents of an issuer, of bounded size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pybernetes.aio.clock import Clock
from pybernetes.client.http import HTTPClient

from ...admission.webhook.caller import explained, trusting
from ...admission.webhook.endpoint import Endpoint

SECONDS = 30.0  # of one request (upstream: oidc.go http.Client)
MAX_BYTES = 1 << 20  # of a document: a hundred keys are 100 kB


class FetchError(Exception):
    """No document; the text says why, as Go does."""


@dataclass(frozen=True, slots=True)
class Document:
    """What was answered with 200. Names of headers are lower-cased."""

    headers: Mapping[str, str]
    body: bytes


class Fetcher:
    """`authority` is PEM, "" for the system's. `close` when done. Redirects are not followed."""

    def __init__(self, authority: str, clock: Clock) -> None:
        """ValueError for authorities that cannot be read."""
        self._clock = clock
        self._context = trusting(authority.encode())
        self._clients: dict[str, HTTPClient] = {}

    async def get(self, url: str) -> Document:
        """FetchError."""
        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            client = self._clients.get(base)
            if client is None:
                client = self._clients[base] = HTTPClient(base, self._context)
            headers = (("Accept", "application/json"), ("User-Agent", "kube-apiserver"))
            async with self._clock.timeout(SECONDS), client.stream("GET", target, headers) as stream:
                body = bytearray()
                async for piece in stream:
                    body += piece
                    if len(body) > MAX_BYTES:
                        raise FetchError(f'Get "{url}": the answer is larger than {MAX_BYTES} bytes')
                if stream.status != 200:
                    raise FetchError(f"{stream.status}: {body[:200].decode(errors='replace')}")
                return Document(dict(stream.headers), bytes(body))
        except TimeoutError:
            raise FetchError(f'Get "{url}": context deadline exceeded') from None
        except (OSError, ValueError) as error:
            raise FetchError(f'Get "{url}": {explained(error, base, Endpoint(base, target))}') from None

    async def close(self) -> None:
        """Ends all connections."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()
