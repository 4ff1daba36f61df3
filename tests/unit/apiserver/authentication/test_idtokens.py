"""What of an ID token makes a user, and what is refused, in upstream's words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.authentication import configuration
from pybernetes.apiserver.authentication.bearer import TokenError
from pybernetes.apiserver.authentication.oidc import idtoken
from pybernetes.apiserver.authentication.oidc.users import user_of
from pybernetes.apiserver.authentication.user import User

from .jwts import signed

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = int(NOW.timestamp())
Object = dict[str, Any]


def made(claims: Object, mappings: Object | None = None, **more: Any) -> User:
    username = {"username": {"claim": "sub", "prefix": "p:"}}
    entry = {
        "issuer": {"url": "https://i", "audiences": ["a"]},
        "claimMappings": {**username, **(mappings or {})},
        **more,
    }
    return user_of(configuration.check({"jwt": [entry]}).jwt[0], claims)


def refusal(claims: Object, mappings: Object | None = None, **more: Any) -> str:
    with pytest.raises(TokenError) as refused:
        made(claims, mappings, **more)
    return str(refused.value)


def expression(text: str, of: str = "username") -> Object:
    return {of: {"expression": text}}


@pytest.mark.parametrize(
    ("claims", "mappings", "user"),
    [
        ({"sub": "jane"}, {}, User("p:jane")),
        ({"sub": "jane", "jti": "1"}, {}, User("p:jane", extra={"authentication.kubernetes.io/credential-id": ("JTI=1",)})),
        ({"sub": "jane", "g": "a"}, {"groups": {"claim": "g", "prefix": "x:"}}, User("p:jane", ("x:a",))),
        ({"sub": "jane", "g": ["a", "b"]}, {"groups": {"claim": "g", "prefix": ""}}, User("p:jane", ("a", "b"))),
        ({"sub": "jane"}, {"groups": {"claim": "g", "prefix": ""}}, User("p:jane")),
        ({"sub": "jane", "id": "7"}, {"uid": {"claim": "id"}}, User("p:jane", uid="7")),
        ({"email": "j@x", "email_verified": True}, {"username": {"claim": "email", "prefix": ""}}, User("j@x")),
        ({"email": "j@x"}, {"username": {"claim": "email", "prefix": ""}}, User("j@x")),
        ({"sub": "jane"}, expression("'oidc:' + claims.sub"), User("oidc:jane")),
        ({"sub": "j", "a": {"b": ["c", ""]}}, expression("claims.a.b", "groups"), User("p:j", ("c",))),
        ({"sub": "j", "a": "c"}, expression("claims.?a.orValue('')", "groups"), User("p:j", ("c",))),
        ({"sub": "j"}, expression("claims.?a.orValue('')", "groups"), User("p:j")),
        ({"sub": "j", "a": None}, expression("claims.a", "groups"), User("p:j")),
        ({"sub": "j", "example.org/r": ["c"]}, expression("claims.example__dot__org__slash__r", "groups"), User("p:j", ("c",))),
        ({"sub": "j", "a": {"b.c": "d"}}, expression("claims.a.b__dot__c", "groups"), User("p:j", ("d",))),
        ({"sub": "j", "a": [{"n": "x"}, {"n": "y"}]}, expression("claims.a.map(e, e.n)", "groups"), User("p:j", ("x", "y"))),
        ({"sub": "j", "a": {"k": 1}}, expression("claims.a.map(k, k)", "groups"), User("p:j", ("k",))),
        ({"sub": "j", "n": 7}, expression("string(claims.n)", "uid"), User("p:j", uid="7")),
        (
            {"sub": "j", "t": "blue", "jti": "1"},
            {"extra": [{"key": "e.x/t", "valueExpression": "claims.t"}, {"key": "e.x/u", "valueExpression": "[]"}]},
            User("p:j", extra={"authentication.kubernetes.io/credential-id": ("JTI=1",), "e.x/t": ("blue",)}),
        ),
    ],
)  # fmt: skip
def test_users(claims: Object, mappings: Object, user: User) -> None:
    assert made(claims, mappings) == user


@pytest.mark.parametrize(
    ("claims", "mappings", "why"),
    [
        ({}, {}, 'oidc: parse username claims "sub": claim not present'),
        ({"sub": 1}, {}, 'oidc: parse username claims "sub": json: cannot unmarshal number into Go value of type string'),
        ({"email": "j", "email_verified": False}, {"username": {"claim": "email", "prefix": ""}}, "oidc: email not verified"),
        (
            {"email": "j", "email_verified": "false"},
            {"username": {"claim": "email", "prefix": ""}},
            "oidc: parse 'email_verified' claim: json: cannot unmarshal string into Go value of type bool",
        ),
        (
            {"sub": "j", "groups": 42},
            {"groups": {"claim": "groups", "prefix": ""}},
            'oidc: parse groups claim "groups": json: cannot unmarshal number into Go value of type string',
        ),
        ({"sub": "j"}, {"uid": {"claim": "u"}}, 'oidc: parse uid claim "u": claim not present'),
        ({"sub": ""}, expression("claims.sub"), "oidc: empty username via CEL expression is not allowed"),
        (
            {"sub": 1},
            expression("claims.sub"),
            "oidc: error evaluating username claim expression: username claim expression must return a string",
        ),
        (
            {"sub": "j"},
            expression("claims.turtle.foo", "groups"),
            "oidc: error evaluating group claim expression: expression 'claims.turtle.foo' resulted in error: no such key: turtle",
        ),
        (
            {"sub": "j", "g": [1]},
            expression("claims.g", "groups"),
            "oidc: error evaluating group claim expression: expression must return a string or a list of strings",
        ),
        (
            {"sub": "j", "t": 1},
            {"extra": [{"key": "e.x/t", "valueExpression": "claims.t"}]},
            "oidc: error evaluating extra claim expression: claims.t: expression must return a string or a list of strings",
        ),
    ],
)  # fmt: skip
def test_refused_users(claims: Object, mappings: Object, why: str) -> None:
    assert refusal(claims, mappings) == why


@pytest.mark.parametrize(
    ("claims", "rules", "why"),
    [
        ({}, [{"claim": "hd", "requiredValue": "x"}], "oidc: required claim hd not present in ID token"),
        (
            {"hd": "y"},
            [{"claim": "hd", "requiredValue": "x"}],
            "oidc: required claim hd value does not match. Got = y, want = x",
        ),
        (
            {},
            [{"expression": 'claims.hd == "x"', "message": "m"}],
            "oidc: error evaluating claim validation expression: expression 'claims.hd == \"x\"' resulted in error: no such key: hd",
        ),
        (
            {"hd": "y"},
            [{"expression": 'claims.hd == "x"', "message": "the hd claim must be x"}],
            "oidc: error evaluating claim validation expression: validation expression 'claims.hd == \"x\"' failed: "
            "the hd claim must be x",
        ),
    ],
)  # fmt: skip
def test_claim_rules(claims: Object, rules: list[Object], why: str) -> None:
    assert refusal({"sub": "j", **claims}, claimValidationRules=rules) == why
    assert made({"sub": "j", "hd": "x"}, claimValidationRules=rules) == User("p:j")


def test_user_rules() -> None:
    rules = [
        {
            "expression": "!user.username.startsWith('p:system:')",
            "message": "username cannot used reserved system: prefix",
        },
        {"expression": "!(user.extra[?'authentication.kubernetes.io/credential-id'][0].orValue('') in ['JTI=bad'])"},
        {"expression": "user.uid == ''"},
        {"expression": "user.groups.all(group, group != 'no')"},
    ]
    assert made({"sub": "j"}, userValidationRules=rules) == User("p:j")
    assert refusal({"sub": "system:x"}, userValidationRules=rules) == (
        "oidc: error evaluating user info validation rule: validation expression "
        "'!user.username.startsWith('p:system:')' failed: username cannot used reserved system: prefix"
    )
    assert "credential-id" in refusal({"sub": "j", "jti": "bad"}, userValidationRules=rules)


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "b", "exp": SECOND + 60}, 'oidc: expected audience "a" got ["b"]'),
        ({"exp": SECOND + 60}, 'oidc: expected audience "a" got []'),
        ({"aud": {"a": 1}, "exp": SECOND + 60}, "oidc: failed to unmarshal claims: aud is neither text nor a list of texts"),
        ({"aud": "a", "exp": SECOND - 1}, "oidc: token is expired (Token Expiry: 2029-12-31 23:59:59 +0000 UTC)"),
        ({"aud": "a"}, "oidc: token is expired (Token Expiry: 0001-01-01 00:00:00 +0000 UTC)"),
        ({"aud": "a", "exp": "x"}, "oidc: failed to unmarshal claims: exp is no number"),
        ({"aud": "a", "exp": 1e300}, "oidc: failed to unmarshal claims: exp is no time: 1e+300"),
        (
            {"aud": "a", "exp": SECOND + 600, "nbf": SECOND + 61},
            "oidc: current time 2030-01-01 00:00:00 +0000 UTC before the nbf (not before) time: 2030-01-01 00:01:01 +0000 UTC",
        ),
    ],
)  # fmt: skip
def test_tokens_of_others_and_of_other_times(claims: Object, why: str) -> None:
    with pytest.raises(TokenError) as refused:
        idtoken.check(claims, ["a"], NOW)
    assert str(refused.value) == why


def test_clocks_may_differ_by_a_minute_at_the_beginning_alone() -> None:
    idtoken.check({"aud": ["x", "a"], "exp": SECOND, "nbf": SECOND + 60}, ["a"], NOW)
    with pytest.raises(TokenError) as refused:
        idtoken.check({"aud": "c", "exp": SECOND}, ["b", "a"], NOW)
    assert str(refused.value) == 'oidc: expected audience in ["a" "b"] got ["c"]'


def test_algorithms_that_are_not_allowed() -> None:
    read = idtoken.read(signed({}, "PS256"))
    assert read is not None
    with pytest.raises(TokenError) as refused:
        idtoken.check_algorithm(read[0], ["RS256"])
    assert str(refused.value) == 'oidc: id token signed with unsupported algorithm, expected ["RS256"] got "PS256"'


@pytest.mark.parametrize(
    ("claims", "issuer"),
    [
        ({"iss": "https://i"}, "https://i"),
        ({"iss": "accounts.google.com"}, "https://accounts.google.com"),
        ({"iss": 1}, ""),
        ({}, ""),
    ],
)
def test_issuers(claims: Object, issuer: str) -> None:
    assert idtoken.issuer_of(claims) == issuer


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.W10.e30", "e30.eyJ.e30"])
def test_what_is_no_id_token(token: str) -> None:
    assert idtoken.read(token) is None
