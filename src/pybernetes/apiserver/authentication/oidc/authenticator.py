"""One issuer, and whose its tokens are (upstream: authenticator/token/oidc/oidc.go)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pybernetes.aio import apart
from pybernetes.aio.clock import Clock

from ..bearer import TokenError
from ..configuration import JWTAuthenticator
from ..user import User
from .distributed import ClaimResolver
from .fetch import Fetcher
from .idtoken import Claims
from .jose import Signed
from .metrics import OIDCMetrics
from .users import user_of
from .verifier import Accepted, Verifier


class OIDCAuthenticator:
    """`start` looks for the issuer in the background: until it was reached, its tokens are refused. `close` when done."""

    def __init__(
        self, configuration: JWTAuthenticator, algorithms: Sequence[str], metrics: OIDCMetrics, clock: Clock
    ) -> None:
        self.configuration, self._metrics, self._clock = configuration, metrics, clock
        self._fetcher = Fetcher(configuration.authority, clock)
        accepted = Accepted(configuration.audiences, algorithms)
        issuer, discovery_url = configuration.issuer, configuration.discovery_url
        self._verifier = Verifier(issuer, accepted, self._fetcher, clock, self._told, discovery_url)
        self._resolver: ClaimResolver | None = None
        if configuration.groups.claim:
            issuers = {issuer: self._verifier}
            self._resolver = ClaimResolver(configuration.groups.claim, issuers, accepted, self._fetcher, clock)

    @property
    def ready(self) -> asyncio.Event:
        """Set as soon as the issuer was reached."""
        return self._verifier.ready

    @property
    def problem(self) -> str:
        """Why no token can be looked at; "" where they can."""
        return self._verifier.problem

    def start(self) -> None:
        """Begins to look for the issuer."""
        self._verifier.start()

    async def close(self) -> None:
        """Ends what `start` and tokens began."""
        await self._verifier.close()
        if self._resolver is not None:
            await self._resolver.close()
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
        if not self._verifier.initialized:
            raise TokenError("oidc: authenticator not initialized")
        try:
            await self._verifier.verify(signed, claims)
        except TokenError as error:
            raise TokenError(f"oidc: verify token: {error}") from None
        size = len(signed.payload)
        if self._resolver is not None:
            try:
                claims, more = await self._resolver.expand(claims)
            except TokenError as error:
                raise TokenError(f"oidc: could not expand distributed claims: {error}") from None
            size += more
        return await apart.run(size, user_of, self.configuration, claims)

    def _told(self, keys: bytes | None) -> None:
        self._metrics.fetched(self.configuration.issuer, keys, self._clock.now().timestamp())
