"""What an ID token says of itself: issuer, audience, times (upstream: go-oidc v2 verify.go, oidc.go hasCorrectIssuer). Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pybernetes.api.field import quote

from ..bearer import TokenError
from . import jose
from .claimsources import claim_sources
from .jose import JOSEError, Signed

LEEWAY = timedelta(minutes=1)  # by which a token may be from the future; none after its end (go-oidc v2)
GOOGLE, GOOGLE_WITHOUT_SCHEME = "https://accounts.google.com", "accounts.google.com"  # which it says of itself
_YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)  # what Go has for a time that nobody gave

Claims = dict[str, Any]


def read(token: str) -> tuple[Signed, Claims] | None:
    """A token with its claims, which nobody has checked; None for what is none."""
    try:
        signed = jose.read(token)
        claims = msgspec.json.decode(signed.payload)
    except (JOSEError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return (signed, claims) if isinstance(claims, dict) else None


def issuer_of(claims: Claims) -> str:
    """As it is configured; "" for none."""
    issuer = claims.get("iss")
    if not isinstance(issuer, str):
        return ""
    return GOOGLE if issuer == GOOGLE_WITHOUT_SCHEME else issuer


def check(claims: Claims, audiences: Sequence[str], now: datetime) -> None:
    """TokenError for a token that is for others, not of this time, or names claims that are nowhere."""
    claim_sources(claims)
    _check_audience(_audience(claims.get("aud")), audiences)
    expires = _time(claims, "exp") or _YEAR_ONE
    if expires < now:
        raise TokenError(f"oidc: token is expired (Token Expiry: {_shown(expires)})")
    begins = _time(claims, "nbf")
    if begins is not None and now + LEEWAY < begins:
        raise TokenError(f"oidc: current time {_shown(now)} before the nbf (not before) time: {_shown(begins)}")


def check_algorithm(signed: Signed, allowed: Collection[str]) -> None:
    """TokenError."""
    if signed.algorithm not in allowed:
        raise TokenError(
            f"oidc: id token signed with unsupported algorithm, expected {_listed(tuple(allowed))} "
            f"got {quote(signed.algorithm)}"
        )


def _audience(given: Any) -> list[str]:
    if isinstance(given, str):
        return [given]
    if given is None:
        return []
    if isinstance(given, list) and all(isinstance(one, str) for one in given):
        return given
    raise TokenError("oidc: failed to unmarshal claims: aud is neither text nor a list of texts")


def _check_audience(given: list[str], audiences: Sequence[str]) -> None:
    if set(given) & set(audiences):
        return
    if len(audiences) == 1:
        raise TokenError(f"oidc: expected audience {quote(audiences[0])} got {_listed(given)}")
    raise TokenError(f"oidc: expected audience in {_listed(sorted(audiences))} got {_listed(given)}")


def _listed(values: Sequence[str]) -> str:
    return f"[{' '.join(map(quote, values))}]"


def _time(claims: Claims, name: str) -> datetime | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenError(f"oidc: failed to unmarshal claims: {name} is no number")
    try:
        return datetime.fromtimestamp(int(value), UTC)
    except (OverflowError, ValueError, OSError):
        raise TokenError(f"oidc: failed to unmarshal claims: {name} is no time: {value!r}") from None


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S +0000 UTC") if moment.year >= 1000 else "0001-01-01 00:00:00 +0000 UTC"
