"""Fetches the one claim that a token may leave to another server, that of groups (upstream: oidc.go claimResolver)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from pybernetes.aio.clock import Clock
from pybernetes.api.field import quote

from ..bearer import TokenError
from . import idtoken
from .claimsources import ClaimSource, claim_sources
from .fetch import Fetcher, FetchError
from .idtoken import Claims
from .verifier import Accepted, Verifier

# Other issuers that sign claims for one that is configured: "very few" (upstream, which has no limit). Each is looked for until it comes.
MAX_ISSUERS = 16


class ClaimResolver:
    """`issuers` are known already, and closed by the caller; those that answers name are looked for. `close` when done."""

    def __init__(
        self, claim: str, issuers: Mapping[str, Verifier], accepted: Accepted, fetcher: Fetcher, clock: Clock
    ) -> None:
        self._claim, self._issuers, self._accepted, self._fetcher, self._clock = (
            claim,
            issuers,
            accepted,
            fetcher,
            clock,
        )
        self._others: dict[str, Verifier] = {}

    async def expand(self, claims: Claims) -> tuple[Claims, int]:
        """The claims of a verified token with the one that is elsewhere, and how many bytes came for it. TokenError.

        A claim that the token holds itself wins; an aggregated one stays absent, as upstream leaves it.
        """
        if self._claim in claims:
            return claims, 0
        source = claim_sources(claims).get(self._claim)
        if source is None or not source.endpoint:
            return claims, 0
        token = await self._fetch(source)
        read = idtoken.read(token)
        if read is None:
            raise TokenError(
                f"getting untrusted issuer from endpoint {source.endpoint} failed for claim {quote(self._claim)}: "
                "malformed token"
            )
        signed, answered = read
        verifier = self._verifier(idtoken.issuer_of(answered))
        try:
            await verifier.verify(signed, answered)
        except TokenError as error:
            raise TokenError(f"verify distributed claim token: {error}") from None
        if self._claim not in answered:
            raise TokenError(
                f"jwt returned by distributed claim endpoint {quote(source.endpoint)} did not contain claim: {self._claim}"
            )
        return {**claims, self._claim: answered[self._claim]}, len(signed.payload)

    async def close(self) -> None:
        """Ends the search for other issuers."""
        for verifier in self._others.values():
            await verifier.close()
        self._others.clear()

    async def _fetch(self, source: ClaimSource) -> str:
        try:
            document = await self._fetcher.claims(source.endpoint, source.access_token)
        except FetchError as error:
            raise TokenError(f"while getting distributed claim {quote(self._claim)}: {error}") from None
        return document.body.decode(errors="replace").strip()

    def _verifier(self, issuer: str) -> Verifier:
        """TokenError for one that was not reached yet: the next token may find it."""
        verifier = self._issuers.get(issuer) or self._others.get(issuer)
        if verifier is None and _is_url(issuer) and len(self._others) < MAX_ISSUERS:
            verifier = self._others[issuer] = Verifier(issuer, self._accepted, self._fetcher, self._clock)
            verifier.start()
        if verifier is None or not verifier.initialized:
            raise TokenError(
                f"verifying untrusted issuer {issuer} failed: verifier not initialized for issuer: {quote(issuer)}"
            )
        return verifier


def _is_url(issuer: str) -> bool:
    try:
        parts = urlsplit(issuer)
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.hostname)
