"""GETs documents of an issuer, of bounded size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import responses
from urllib.parse import quote, urlsplit

from pybernetes.aio.clock import Clock
from pybernetes.client.http import Headers, HTTPClient

from ...admission.webhook.caller import explained, trusting
from ...admission.webhook.endpoint import Endpoint

SECONDS = 30.0  # of one request (upstream: oidc.go http.Client)
AGENT = ("User-Agent", "kube-apiserver")
UNESCAPED = "/%?&=:@!$'()*+,;~[]"  # of a path and its query, which may be escaped already
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
        """FetchError for all but 200."""
        status, document = await self._get(url, (("Accept", "application/json"), AGENT))
        if status != 200:
            raise FetchError(f"{status}: {document.body[:200].decode(errors='replace')}")
        return document

    async def claims(self, url: str, access_token: str) -> Document:
        """What an endpoint of distributed claims answers; it is shown no token if that is "". FetchError."""
        if not all(" " <= character <= "~" for character in access_token):
            raise FetchError(f'Get "{url}": net/http: invalid header field value for "Authorization"')
        headers = (AGENT, ("Authorization", f"Bearer {access_token}")) if access_token else (AGENT,)
        status, document = await self._get(url, headers, kept=False)  # tokens name any number of hosts
        if not HTTPStatus.OK <= status <= HTTPStatus.IM_USED:
            raise FetchError(
                f"error while getting distributed claim JWT: {status} {responses.get(status, '')}".rstrip()
            )
        return document

    async def _get(self, url: str, headers: Headers, *, kept: bool = True) -> tuple[int, Document]:
        """`kept`: the connection, for the next time."""
        base = target = ""
        own: HTTPClient | None = None
        try:
            parts = urlsplit(url)
            base = f"{parts.scheme}://{parts.netloc}"
            target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=UNESCAPED)
            client = self._clients.get(base)
            if client is None:
                client = HTTPClient(base, self._context)
                if kept:
                    self._clients[base] = client
                else:
                    own = client
            async with self._clock.timeout(SECONDS), client.stream("GET", target, headers) as stream:
                body = bytearray()
                async for piece in stream:
                    body += piece
                    if len(body) > MAX_BYTES:
                        raise FetchError(f'Get "{url}": the answer is larger than {MAX_BYTES} bytes')
                return stream.status, Document(dict(stream.headers), bytes(body))
        except TimeoutError:
            raise FetchError(f'Get "{url}": context deadline exceeded') from None
        except (OSError, ValueError) as error:
            raise FetchError(f'Get "{url}": {explained(error, base, Endpoint(base, target))}') from None
        finally:
            if own is not None:
                await own.close()

    async def close(self) -> None:
        """Ends all connections."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()
