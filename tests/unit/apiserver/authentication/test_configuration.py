"""AuthenticationConfiguration: what is wrong with a file, in upstream's words."""

from typing import Any

import pytest
import yaml

from pybernetes.apiserver.authentication import configuration, oidcflags
from pybernetes.apiserver.authentication.configuration import Anonymous, Source
from pybernetes.apiserver.configdocument import DocumentError

ISSUER = {"url": "https://issuer", "audiences": ["a"]}
USERNAME = {"username": {"claim": "sub", "prefix": ""}}
EMAIL = (
    "claims.email_verified must be used in claimMappings.username.expression or "
    "claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in "
    "claimMappings.username.expression"
)
FOO = "compilation failed: ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo.bar\n | ^"
Object = dict[str, Any]


def jwt(issuer: Object | None = None, mappings: Object | None = None, **more: Any) -> Object:
    return {"issuer": {**ISSUER, **(issuer or {})}, "claimMappings": {**USERNAME, **(mappings or {})}, **more}


def username(expression: str, **more: Any) -> Object:
    return jwt(mappings={"username": {"expression": expression}}, **more)


def problems(*entries: Object, disallowed: tuple[str, ...] = (), **more: Any) -> str:
    try:
        configuration.check({"jwt": list(entries), **more}, disallowed)
    except DocumentError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
def test_a_file(version: str) -> None:
    document = {
        "apiVersion": f"apiserver.config.k8s.io/{version}",
        "kind": "AuthenticationConfiguration",
        "jwt": [
            jwt(
                {"audiences": ["a", "b"], "audienceMatchPolicy": "MatchAny", "discoveryURL": "https://other/x"},
                {"groups": {"expression": "claims.roles.split(',')"}, "uid": {"claim": "sub"}},
                claimValidationRules=[{"claim": "hd", "requiredValue": "example.com"}],
                userValidationRules=[{"expression": "!user.username.startsWith('system:')", "message": "no"}],
            )
        ],
        "anonymous": {"enabled": True, "conditions": [{"path": "/livez"}]},
    }
    read = configuration.parse(yaml.safe_dump(document).encode())
    (one,) = read.jwt
    assert (one.issuer, one.audiences, one.discovery_url) == ("https://issuer", ("a", "b"), "https://other/x")
    assert (one.username, one.uid, one.required) == (Source("sub"), Source("sub"), {"hd": "example.com"})
    assert one.groups.expression is not None and one.user_rules[0].message == "no"
    assert read.anonymous == Anonymous(True, frozenset(["/livez"]))


def test_a_file_that_says_nothing() -> None:
    data = b"{apiVersion: apiserver.config.k8s.io/v1, kind: AuthenticationConfiguration, jwt: []}"
    assert configuration.parse(data) == configuration.AuthenticationConfiguration()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{kind: AuthenticationConfiguration}", "Object 'apiVersion' is missing"),
        (
            b"{apiVersion: apiserver.config.k8s.io/v2, kind: AuthenticationConfiguration}",
            'no kind "AuthenticationConfiguration" is registered for version "apiserver.config.k8s.io/v2"',
        ),
        (
            b"{apiVersion: apiserver.config.k8s.io/v1, kind: AuthenticationConfiguration, jwt: [{issuers: {}}]}",
            'strict decoding error: unknown field "jwt[0].issuers"',
        ),
    ],
)
def test_no_such_file(data: bytes, why: str) -> None:
    with pytest.raises(DocumentError) as refused:
        configuration.parse(data)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("issuer", "why"),
    [
        ({"url": ""}, "url: Required value"),
        ({"url": "https://i:port"}, 'url: Invalid value: "https://i:port": parse "https://i:port": invalid port ":port" after host'),
        ({"url": "http://i"}, 'url: Invalid value: "http://i": URL scheme must be https'),
        ({"url": "https://u:p@i"}, 'url: Invalid value: "https://u:p@i": URL must not contain a username or password'),
        ({"url": "https://i?q"}, 'url: Invalid value: "https://i?q": URL must not contain a query'),
        ({"url": "https://i#f"}, 'url: Invalid value: "https://i#f": URL must not contain a fragment'),
        ({"discoveryURL": "https://issuer/"}, 'discoveryURL: Invalid value: "https://issuer/": discoveryURL must be different from URL'),
        ({"discoveryURL": "http://x"}, 'discoveryURL: Invalid value: "http://x": URL scheme must be https'),
        ({"audiences": []}, "audiences: Required value: at least one jwt[0].issuer.audiences is required"),
        ({"audiences": [""]}, "audiences[0]: Required value"),
        (
            {"audiences": ["a", "a"], "audienceMatchPolicy": "MatchAny"},
            'audiences[1]: Duplicate value: "a"',
        ),
        (
            {"audiences": ["a", "b"]},
            'audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be MatchAny for multiple audiences',
        ),
        (
            {"audienceMatchPolicy": "All"},
            'audienceMatchPolicy: Invalid value: "All": audienceMatchPolicy must be empty or MatchAny for single audience',
        ),
        (
            {"certificateAuthority": "x"},
            'certificateAuthority: Invalid value: "<omitted>": data does not contain any valid RSA or ECDSA certificates',
        ),
        (
            {"egressSelectorType": "panda"},
            'egressSelectorType: Invalid value: "panda": egress selector must be either controlplane or cluster',
        ),
        (
            {"egressSelectorType": "cluster"},
            'egressSelectorType: Invalid value: "cluster": oidc: egress lookup required with egress selector type '
            '"cluster": there is none here',
        ),
    ],
)  # fmt: skip
def test_issuers(issuer: Object, why: str) -> None:
    assert problems(jwt(issuer)) == f"jwt[0].issuer.{why}"


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({}, "[0]: Required value: claim or expression is required"),
        ({"claim": "a", "expression": "true"}, '[0]: Invalid value: "a": claim and expression can\'t both be set'),
        ({"claim": "a", "message": "m"}, '[0].message: Invalid value: "m": may not be specified when claim is set'),
        (
            {"expression": "true", "requiredValue": "v"},
            '[0].requiredValue: Invalid value: "v": may not be specified when expression is set',
        ),
        ({"expression": "foo.bar"}, f'[0].expression: Invalid value: "foo.bar": {FOO}'),
        ({"expression": "claims.foo"}, '[0].expression: Invalid value: "claims.foo": must evaluate to bool'),
        (
            {"expression": "user.uid == ''"},
            "[0].expression: Invalid value: \"user.uid == ''\": compilation failed: ERROR: <input>:1:1: undeclared "
            "reference to 'user' (in container '')\n | user.uid == ''\n | ^",
        ),
    ],
)  # fmt: skip
def test_claim_rules(rule: Object, why: str) -> None:
    assert problems(jwt(claimValidationRules=[rule])) == f"jwt[0].claimValidationRules{why}"


@pytest.mark.parametrize(
    ("mappings", "why"),
    [
        ({"username": {}}, "username: Required value: claim or expression is required"),
        ({"username": {"claim": "a", "expression": "b"}}, "username: Invalid value: \"\": claim and expression can't both be set"),
        (
            {"username": {"claim": "a"}},
            "username.prefix: Required value: prefix is required when claim is set. It can be set to an empty string "
            "to disable prefixing",
        ),
        (
            {"groups": {"expression": "claims.a", "prefix": ""}},
            'groups.prefix: Invalid value: "": may not be specified when expression is set',
        ),
        ({"groups": {"expression": "foo.bar"}}, f'groups.expression: Invalid value: "foo.bar": {FOO}'),
        ({"uid": {"claim": "a", "expression": "b"}}, "uid: Invalid value: \"\": claim and expression can't both be set"),
        ({"extra": [{"valueExpression": "claims.a"}]}, "extra[0].key: Required value"),
        ({"extra": [{"key": "e.x/a"}]}, "extra[0].valueExpression: Required value"),
        (
            {"extra": [{"key": "foo", "valueExpression": "claims.a"}]},
            'extra[0].key: Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")',
        ),
        (
            {"extra": [{"key": "e.x/A", "valueExpression": "claims.a"}]},
            'extra[0].key: Invalid value: "e.x/A": must be lowercase',
        ),
        (
            {"extra": [{"key": "x.k8s.io/a", "valueExpression": "claims.a"}]},
            'extra[0].key: Invalid value: "x.k8s.io/a": k8s.io, kubernetes.io and their subdomains are reserved for '
            "Kubernetes use",
        ),
        ({"extra": [{"key": "e.x/a", "valueExpression": "claims.a"}] * 2}, 'extra[1].key: Duplicate value: "e.x/a"'),
    ],
)  # fmt: skip
def test_mappings(mappings: Object, why: str) -> None:
    assert problems(jwt(mappings=mappings)) == f"jwt[0].claimMappings.{why}"


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ([{}], "[0].expression: Required value"),
        ([{"expression": "true"}] * 2, '[1].expression: Duplicate value: "true"'),
        ([{"expression": "user.username"}], '[0].expression: Invalid value: "user.username": must evaluate to bool'),
        ([{"expression": "foo.bar"}], f'[0].expression: Invalid value: "foo.bar": {FOO}'),
    ],
)
def test_user_rules(rules: list[Object], why: str) -> None:
    assert problems(jwt(userValidationRules=rules)) == f"jwt[0].userValidationRules{why}"


@pytest.mark.parametrize(
    "expression",
    [
        "claims.email",
        "has(claims.email) ? claims.email : claims.sub",
        "['yay', string(claims.email), 'panda'].join(' ')",
        "claims.?email",
        '{claims.?email: "panda"}',
        '["a"].map(i, i + claims.email)',
    ],
)
def test_an_email_that_nobody_has_verified(expression: str) -> None:
    why = problems(username(expression))
    assert why.startswith("jwt[0].claimMappings.username.expression: Invalid value: ") and why.endswith(EMAIL)
    rule = {"expression": "claims.?email_verified.orValue(true) == true"}
    assert problems(username(expression, claimValidationRules=[rule])) == ""


@pytest.mark.parametrize("expression", ["claims['email']", "claims.emails", "claims.a.email", "'claims.email'"])
def test_what_is_no_email(expression: str) -> None:
    assert problems(username(expression)) == ""


def test_several() -> None:
    assert problems(jwt(), jwt()) == 'jwt[1].issuer.url: Duplicate value: "https://issuer"'
    assert problems(*[jwt()] * 65) == "jwt: Too many: 65: must have at most 64 items"
    own = problems(jwt(), disallowed=("https://issuer", "b"))
    assert own.endswith(
        'Invalid value: "https://issuer": URL must not overlap with disallowed issuers: [b https://issuer]'
    )
    two = problems(jwt({"url": "http://i"}, {"username": {}}))
    assert two.startswith("[jwt[0].issuer.url: ") and ", jwt[0].claimMappings.username: Required" in two
    closed = problems(anonymous={"enabled": False, "conditions": [{"path": "/x"}]})
    assert closed == (
        'anonymous.conditions: Invalid value: [{"Path":"/x"}]: enabled should be set to true when conditions are defined'
    )


@pytest.mark.parametrize(
    ("claim", "given", "prefix"),
    [("sub", "", "https://issuer#"), ("email", "", ""), ("sub", "-", ""), ("email", "oidc:", "oidc:")],
)
def test_flags(claim: str, given: str, prefix: str) -> None:
    document = oidcflags.document(
        issuer="https://issuer",
        client="c",
        username_claim=claim,
        username_prefix=given,
        groups_claim="groups",
        groups_prefix="g:",
        required={"hd": "x"},
        authority="",
    )
    (one,) = configuration.check(document).jwt
    assert (one.username, one.groups) == (Source(claim, prefix), Source("groups", "g:"))
    assert (one.audiences, one.required) == (("c",), {"hd": "x"})
