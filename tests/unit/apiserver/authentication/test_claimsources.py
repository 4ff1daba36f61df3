"""Claims that a token leaves to others: what of it is read, and tokens that name what is nowhere, whoever needs the claim."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.authentication.bearer import TokenError
from pybernetes.apiserver.authentication.oidc import idtoken
from pybernetes.apiserver.authentication.oidc.claimsources import ClaimSource, claim_sources

PLACE = {"endpoint": "https://x", "access_token": "t"}


@pytest.mark.parametrize(
    ("names", "sources", "by_claim"),
    [
        (None, None, {}),
        ({}, {"s": PLACE}, {}),
        ({"groups": "s"}, {"s": PLACE}, {"groups": ClaimSource("https://x", "t")}),
        ({"a": "s", "b": "s"}, {"s": {"endpoint": "e", "access_token": None}}, {"a": ClaimSource("e"), "b": ClaimSource("e")}),
        ({"groups": "s"}, {"s": {"JWT": "a.b.c"}}, {"groups": ClaimSource()}),
        ({"groups": "s"}, {"s": None}, {"groups": ClaimSource()}),
    ],
)  # fmt: skip
def test_sources(names: Any, sources: Any, by_claim: dict[str, ClaimSource]) -> None:
    assert claim_sources({"_claim_names": names, "_claim_sources": sources}) == by_claim


@pytest.mark.parametrize(
    ("names", "sources", "why"),
    [
        ({"groups": "s"}, {}, "oidc: source does not exist"),
        ({"roles": "s"}, {"t": PLACE}, "oidc: source does not exist"),
        ({"groups": "s"}, None, "oidc: source does not exist"),
        ({"groups": ""}, {"": PLACE}, "oidc: failed to obtain source from claim name"),
        ({"groups": None}, {"s": PLACE}, "oidc: failed to obtain source from claim name"),
        ({"groups": 1}, {"s": PLACE}, "oidc: failed to unmarshal claims: _claim_names has a source that is no text"),
        ("groups", {}, "oidc: failed to unmarshal claims: _claim_names is no object"),
        ({}, [], "oidc: failed to unmarshal claims: _claim_sources is no object"),
        ({}, {"s": "x"}, "oidc: failed to unmarshal claims: a source of _claim_sources is no object"),
        (
            {},
            {"s": {"endpoint": 1}},
            "oidc: failed to unmarshal claims: an endpoint or access_token of _claim_sources is no text",
        ),
    ],
)
def test_refused_tokens(names: Any, sources: Any, why: str) -> None:
    claims = {"aud": "a", "exp": 4_000_000_000, "_claim_names": names, "_claim_sources": sources}
    with pytest.raises(TokenError) as refused:
        idtoken.check(claims, ["a"], datetime(2030, 1, 1, tzinfo=UTC))
    assert str(refused.value) == why
