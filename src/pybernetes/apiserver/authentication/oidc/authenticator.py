"""One issuer: its discovery document, its keys, and whose its tokens are (upstream: authenticator/token/oidc/oidc.go)."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from pybernetes.aio import apart
from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end
from pybernetes.api.field import quote

from ..bearer import TokenError
from ..configuration import JWTAuthenticator
from ..user import User
from . import idtoken
from .fetch import Document, Fetcher, FetchError
from .idtoken import Claims
from .jose import Signed
from .keyset import KeySet
from .metrics import OIDCMetrics
from .users import user_of

_log = logging.getLogger(__name__)

RETRY_SECONDS = 10.0  # between tries to reach an issuer: it may well be a part of this cluster
WELL_KNOWN = "/.well-known/openid-configuration"


class OIDCAuthenticator:
    """`start` looks for the issuer in the background: until it was reached, its tokens are refused. `close` when done."""

    def __init__(
        self, configuration: JWTAuthenticator, algorithms: Sequence[str], metrics: OIDCMetrics, clock: Clock
    ) -> None:
        self.configuration, self._algorithms, self._metrics, self._clock = configuration, algorithms, metrics, clock
        self._fetcher = Fetcher(configuration.authority, clock)
        self._keys: KeySet | None = None
        self._task: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()
        self._problem = f"oidc: authenticator for issuer {quote(configuration.issuer)} is not initialized"

    @property
    def problem(self) -> str:
        """Why no token can be looked at; "" where they can."""
        return "" if self._keys is not None else self._problem

    def start(self) -> None:
        """Begins to look for the issuer."""
        self._task = asyncio.get_running_loop().create_task(self._initialize())

    async def close(self) -> None:
        """Ends what `start` began."""
        await end(self._task)
        if self._keys is not None:
            await self._keys.close()
        await self._fetcher.close()

    async def authenticate(self, signed: Signed, claims: Claims) -> User:
        """Of a token that says it is of this issuer. TokenError."""
        begun = self._clock.monotonic()
        succeeded = False
        try:
            user = await self._user(signed, claims)
            succeeded = True
        finally:
            elapsed = self._clock.monotonic() - begun
            self._metrics.authenticated(self.configuration.issuer, succeeded, elapsed)
        return user

    async def _user(self, signed: Signed, claims: Claims) -> User:
        if self._keys is None:
            raise TokenError("oidc: authenticator not initialized")
        try:
            idtoken.check(claims, self.configuration.audiences, self._clock.now())
            idtoken.check_algorithm(signed, self._algorithms)
            await self._keys.verify(signed)
        except TokenError as error:
            raise TokenError(f"oidc: verify token: {error}") from None
        return await apart.run(len(signed.payload), user_of, self.configuration, claims)

    async def _initialize(self) -> None:
        while True:
            try:
                url = await self._discovered()
            except FetchError as error:
                self._problem = str(error)
                _log.error("oidc authenticator: initializing plugin: %s", error)
                await self._clock.sleep(RETRY_SECONDS)
                continue
            self._keys = KeySet(functools.partial(self._fetcher.get, url), self._told, self._clock)
            self.ready.set()
            return

    def _told(self, keys: bytes | None) -> None:
        self._metrics.fetched(self.configuration.issuer, keys, self._clock.now().timestamp())

    async def _discovered(self) -> str:
        """Where the keys are. FetchError."""
        issuer = self.configuration.issuer
        document = await self._fetcher.get(self.configuration.discovery_url or issuer.removesuffix("/") + WELL_KNOWN)
        return keys_url(document, issuer)


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
