"""Where claims are that a token names, but does not hold (OpenID Connect Core 1.0, 5.6.2; upstream: go-oidc v2 verify.go). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..bearer import TokenError

NAMES, SOURCES = "_claim_names", "_claim_sources"


@dataclass(frozen=True, slots=True)
class ClaimSource:
    """`endpoint` is "" for aggregated claims (a `JWT` within the token), which upstream does not read either."""

    endpoint: str = ""
    access_token: str = ""  # "": none is sent


def claim_sources(claims: Mapping[str, Any]) -> dict[str, ClaimSource]:
    """By claim. TokenError for names without a source: such a token is refused whoever needs the claim."""
    names = _object(claims.get(NAMES), NAMES)
    sources = {name: _source(value) for name, value in _object(claims.get(SOURCES), SOURCES).items()}
    by_claim: dict[str, ClaimSource] = {}
    for claim, source in names.items():
        if not isinstance(source, str | None):
            raise TokenError(f"oidc: failed to unmarshal claims: {NAMES} has a source that is no text")
        if not source:
            raise TokenError("oidc: failed to obtain source from claim name")
        if source not in sources:
            raise TokenError("oidc: source does not exist")
        by_claim[claim] = sources[source]
    return by_claim


def _object(value: object, what: str) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TokenError(f"oidc: failed to unmarshal claims: {what} is no object")
    return value


def _source(value: object) -> ClaimSource:
    source = _object(value, f"a source of {SOURCES}")
    endpoint, token = source.get("endpoint") or "", source.get("access_token") or ""
    if not isinstance(endpoint, str) or not isinstance(token, str):
        raise TokenError(f"oidc: failed to unmarshal claims: an endpoint or access_token of {SOURCES} is no text")
    return ClaimSource(endpoint, token)
