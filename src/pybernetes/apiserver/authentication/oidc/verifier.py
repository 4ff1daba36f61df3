"""What one issuer has signed: its discovery document and its keys (upstream: oidc.go asyncIDTokenVerifier, idTokenVerifier)."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end
from pybernetes.api.field import quote

from ..bearer import TokenError
from . import idtoken
from .fetch import Document, Fetcher, FetchError
from .idtoken import Claims
from .jose import Signed
from .keyset import KeySet

_log = logging.getLogger(__name__)

RETRY_SECONDS = 10.0  # between tries to reach an issuer: it may well be a part of this cluster
WELL_KNOWN = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Accepted:
    """For whom tokens must be, and by what they may be signed."""

    audiences: Sequence[str]
    algorithms: Sequence[str]


class Verifier:
    """`start` looks for the issuer in the background: until it was reached, `initialized` is False. `close` when done.

    `told` hears of every fetch of keys: the set's bytes, None for a failure. The fetcher is the caller's.
    """

    def __init__(
        self,
        issuer: str,
        accepted: Accepted,
        fetcher: Fetcher,
        clock: Clock,
        told: Callable[[bytes | None], object] = lambda keys: None,
        discovery_url: str = "",
    ) -> None:
        self._issuer, self._accepted, self._fetcher, self._clock, self._told = issuer, accepted, fetcher, clock, told
        self._discovery_url = discovery_url or issuer.removesuffix("/") + WELL_KNOWN
        self._keys: KeySet | None = None
        self._task: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()
        self._problem = f"oidc: authenticator for issuer {quote(issuer)} is not initialized"

    @property
    def initialized(self) -> bool:
        """The issuer was reached."""
        return self._keys is not None

    @property
    def problem(self) -> str:
        """Why no token can be looked at; "" where they can."""
        return "" if self.initialized else self._problem

    def start(self) -> None:
        """Begins to look for the issuer."""
        self._task = asyncio.get_running_loop().create_task(self._initialize())

    async def close(self) -> None:
        """Ends what `start` began."""
        await end(self._task)
        if self._keys is not None:
            await self._keys.close()

    async def verify(self, signed: Signed, claims: Claims) -> None:
        """TokenError for a token that is not the issuer's, for others, or not of this time."""
        if self._keys is None:
            raise TokenError(self._problem)
        idtoken.check(claims, self._accepted.audiences, self._clock.now())
        idtoken.check_algorithm(signed, self._accepted.algorithms)
        await self._keys.verify(signed)

    async def _initialize(self) -> None:
        while True:
            try:
                url = keys_url(await self._fetcher.get(self._discovery_url), self._issuer)
            except FetchError as error:
                self._problem = str(error)
                _log.error("oidc authenticator: initializing issuer %r: %s", self._issuer, error)
                await self._clock.sleep(RETRY_SECONDS)
                continue
            self._keys = KeySet(functools.partial(self._fetcher.get, url), self._told, self._clock)
            self.ready.set()
            return


def keys_url(document: Document, issuer: str) -> str:
    """Of a discovery document. FetchError for one that is of another issuer, or names no keys."""
    try:
        provider = msgspec.json.decode(document.body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FetchError(f"oidc: failed to decode provider discovery object: {error}") from None
    told = provider.get("issuer", "")
    if told != issuer:
        raise FetchError(
            f"oidc: issuer did not match the issuer returned by provider, expected {quote(issuer)} got {quote(told)}"
        )
    url = provider.get("jwks_uri")
    if not isinstance(url, str) or not url:
        raise FetchError("provider did not return JWKS URL")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise FetchError(f"the jwks_uri of the provider is no URL: {error}") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise FetchError(f"the jwks_uri of the provider is no URL: {quote(url)}")
    return url
