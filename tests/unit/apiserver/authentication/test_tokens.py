"""Tokens: of service accounts, static, for joining nodes; and the chain that asks for them."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.errors import StatusError
from pybernetes.apiserver import audit
from pybernetes.apiserver.audit import AuditEvent
from pybernetes.apiserver.authentication import keys, openid, tokenfile
from pybernetes.apiserver.authentication.bearer import TokenError, bearer_token
from pybernetes.apiserver.authentication.bootstraptoken import BootstrapToken
from pybernetes.apiserver.authentication.chain import Authenticators
from pybernetes.apiserver.authentication.serviceaccount import (
    LEGACY,
    LEGACY_ISSUER,
    Binding,
    ServiceAccountTokens,
    TokenMetrics,
    TokenOptions,
    claims,
    peek,
    sign,
    verified,
)
from pybernetes.apiserver.authentication.user import ANONYMOUS, User
from pybernetes.apiserver.types import RequestInfo
from pybernetes.component.metrics import Registry
from pybernetes.wire.http import Request

from ..fakes import Objects, answered, meta

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ISSUER = "https://issuer"
SIGNER = keys.signer_with(ec.generate_private_key(ec.SECP256R1()))
OTHER = keys.signer_with(ec.generate_private_key(ec.SECP256R1()))
ACCOUNT = {"metadata": meta("s", "a", uid="u1")}
POD = {"metadata": meta("p", "a", uid="u2")}
GROUPS = ("system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated")

Object = dict[str, Any]


def known(*objects: tuple[str, str, Object], clock: VirtualClock | None = None, **options: Any) -> ServiceAccountTokens:
    chosen = TokenOptions(issuers=(ISSUER, "https://old"), verifiers=(SIGNER.public,), signer=SIGNER, **options)
    return ServiceAccountTokens(chosen, Objects(*objects), (clock or VirtualClock(epoch=NOW)).now)


def issued(
    binding: Binding | None = None, audiences: tuple[str, ...] = (ISSUER,), signer: keys.Signer = SIGNER, **changes: Any
) -> str:
    payload = claims(ACCOUNT, binding, audiences, 3600, 0, NOW, ISSUER, "id")
    return sign({**payload, **changes}, signer)


BOUND = Binding("pod", "p", "u2", ("n", "u3"))
HERE = (("", "serviceaccounts", ACCOUNT), ("", "pods", POD))


def test_a_token_tells_account_pod_and_node() -> None:
    found = answered(known(*HERE).token(issued(BOUND), ()))
    assert found is not None and found.audiences == (ISSUER,)
    user = found.user
    assert (user.name, user.uid, user.groups) == ("system:serviceaccount:a:s", "u1", GROUPS)
    prefix = "authentication.kubernetes.io/"
    assert user.extra == {
        f"{prefix}credential-id": ("JTI=id",),
        f"{prefix}pod-name": ("p",),
        f"{prefix}pod-uid": ("u2",),
        f"{prefix}node-name": ("n",),
        f"{prefix}node-uid": ("u3",),
    }


@pytest.mark.parametrize(
    ("objects", "token", "message"),
    [
        ([], issued(), 'serviceaccounts "s" not found'),
        ([("", "serviceaccounts", {"metadata": meta("s", "a", uid="x")})], issued(), "does not match claim"),
        ([HERE[0]], issued(BOUND), "service account token has been invalidated"),
        ([HERE[0], ("", "pods", {"metadata": meta("p", "a", uid="x")})], issued(BOUND), "pod UID (x) does not match"),
        (HERE, issued(audiences=("vault",)), 'token audiences ["vault"] is invalid for the target audiences'),
        (HERE, issued(signer=OTHER), "signed by no key that is known"),
        (HERE, issued(exp=NOW.timestamp() - 120), "service account token has expired"),
        (HERE, issued(nbf=NOW.timestamp() + 120), "service account token is not valid yet"),
    ],
)
def test_bad_tokens(objects: Any, token: str, message: str) -> None:
    with pytest.raises(TokenError) as refused:
        answered(known(*objects).token(token, ()))
    assert message in str(refused.value)


@pytest.mark.parametrize("token", ["x", "a.b.c", issued(iss="https://somebody-else")])
def test_tokens_of_others_are_not_looked_at(token: str) -> None:
    assert answered(known(*HERE).token(token, ())) is None


def test_other_audiences_on_request_and_other_issuers() -> None:
    tokens = known(*HERE)
    assert answered(tokens.token(issued(audiences=("vault",)), ("vault", "x"))) is not None
    assert answered(tokens.token(issued(audiences=("https://old",), iss="https://old"), ())) is not None


def test_what_was_good_once_is_looked_at_again() -> None:
    clock, objects = VirtualClock(epoch=NOW), Objects(*HERE)
    tokens = known(clock=clock)
    tokens.reader = objects
    token = issued(BOUND)
    assert answered(tokens.token(token, ())) is not None
    objects.put("", "pods", {"metadata": {**POD["metadata"], "deletionTimestamp": "2030-01-01T00:00:00Z"}})
    clock.step(30)
    assert answered(tokens.token(token, ())) is not None  # a pod that is going needs its token a while
    clock.step(60)
    with pytest.raises(TokenError):
        answered(tokens.token(token, ()))


def legacy(**changes: Any) -> str:
    names = {"namespace": "a", "secret.name": "t", "service-account.name": "s", "service-account.uid": "u1"}
    payload = {"iss": LEGACY_ISSUER, "sub": "system:serviceaccount:a:s", **{LEGACY + k: v for k, v in names.items()}}
    return sign({**payload, **changes}, SIGNER)


def test_a_token_in_a_secret_is_good_while_it_is_there() -> None:
    token = legacy()
    secret = {"metadata": meta("t", "a"), "data": {"token": base64.b64encode(token.encode()).decode()}}
    found = answered(known(HERE[0], ("", "secrets", secret)).token(token, ()))
    assert found is not None and found.user == User("system:serviceaccount:a:s", GROUPS, "u1")
    with pytest.raises(TokenError, match="Token has been invalidated"):
        answered(known(HERE[0]).token(token, ()))
    assert answered(known(HERE[0], lookup=False).token(token, ())) is not None
    other = {"metadata": meta("t", "a"), "data": {"token": base64.b64encode(b"x").decode()}}
    with pytest.raises(TokenError, match="does not match server's copy"):
        answered(known(HERE[0], ("", "secrets", other)).token(token, ()))


@pytest.fixture
def event() -> Iterator[AuditEvent]:
    """Of the request that the token came with."""
    asked = AuditEvent("id", request("t"), RequestInfo("get", "/"), NOW)
    token = audit.current.set(asked)
    yield asked
    audit.current.reset(token)


def counted(registry: Registry) -> dict[str, str]:
    return dict(line.removeprefix("serviceaccount_").split() for line in registry.text().splitlines() if line[0] != "#")


@pytest.mark.parametrize(
    ("late", "stale"),
    [(-60, None), (0, None), (3600, "subject: system:serviceaccount:a:s, seconds after warning threshold: 3600")],
)
def test_a_token_that_lives_on_for_old_clients_is_told_of(event: AuditEvent, late: int, stale: str | None) -> None:
    clock, registry = VirtualClock(epoch=NOW), Registry()
    tokens = known(*HERE, clock=clock)
    tokens.metrics = TokenMetrics(registry)
    payload = claims(ACCOUNT, BOUND, (ISSUER,), 24 * 3600, 3607, NOW, ISSUER, "id")
    clock.step(3607 + late)
    assert answered(tokens.token(sign(payload, SIGNER), ())) is not None
    assert event.annotations.get("authentication.k8s.io/stale-token") == stale
    assert (counted(registry)["valid_tokens_total"], counted(registry)["stale_tokens_total"]) == (
        *("01" if stale else "10"),
    )


@pytest.mark.parametrize(("listed", "kind", "counter"), [(True, "autogenerated", "auto"), (False, "manual", "manual")])
def test_a_token_without_an_end_is_told_of(event: AuditEvent, listed: bool, kind: str, counter: str) -> None:
    token, registry = legacy(), Registry()
    secret = {"metadata": meta("t", "a"), "data": {"token": base64.b64encode(token.encode()).decode()}}
    account = {**ACCOUNT, "secrets": [{"name": "t"}]} if listed else ACCOUNT
    tokens = known(("", "serviceaccounts", account), ("", "secrets", secret))
    tokens.metrics = TokenMetrics(registry)
    assert answered(tokens.token(token, ())) is not None
    assert event.annotations == {
        "authentication.k8s.io/legacy-token": "system:serviceaccount:a:s",
        f"authentication.k8s.io/legacy-token-{kind}-secret": "t",
    }
    assert {name for name, count in counted(registry).items() if count == "1"} == {
        "legacy_tokens_total",
        f"legacy_{counter}_token_uses_total",
    }


def pem(key: Any, public: bool = False) -> bytes:
    if public:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        data: bytes = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    else:
        private = serialization.PrivateFormat.PKCS8
        data = key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
    return data


@pytest.mark.parametrize(
    ("key", "algorithm", "kind"),
    [
        (rsa.generate_private_key(65537, 2048), "RS256", "RSA"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256", "EC"),
        (ec.generate_private_key(ec.SECP521R1()), "ES512", "EC"),
    ],
)
def test_keys(key: Any, algorithm: str, kind: str) -> None:
    signer = keys.signer(pem(key))
    (public,) = keys.verifiers(pem(key, public=True))
    assert (signer.algorithm, public.id) == (algorithm, signer.id)
    assert keys.jwk(public)["kty"] == kind
    assert [v.id for v in keys.verifiers(pem(key, public=True) + pem(key))] == [signer.id] * 2


@pytest.mark.parametrize("data", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_files_without_keys(data: bytes) -> None:
    with pytest.raises(keys.KeyFileError):
        keys.verifiers(data)


def test_discovery_documents() -> None:
    options = TokenOptions(issuers=(ISSUER,), verifiers=(SIGNER.public,), signer=SIGNER)
    pages = openid.pages(options)
    assert b'"jwks_uri":"https://issuer/openid/v1/jwks"' in pages[openid.CONFIGURATION].body
    assert SIGNER.id.encode() in pages[openid.JWKS].body
    assert openid.pages(TokenOptions(issuers=("plain",), verifiers=())) == {}


def bootstrap(**changes: str) -> BootstrapToken:
    data = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"}
    coded = {k: base64.b64encode(v.encode()).decode() for k, v in {**data, **changes}.items()}
    secret = {"metadata": meta("bootstrap-token-abcdef", "kube-system"), "type": "bootstrap.kubernetes.io/token"}
    return BootstrapToken(Objects(("", "secrets", {**secret, "data": coded})), lambda: NOW)


TOKEN = "abcdef.0123456789abcdef"


def test_bootstrap_token() -> None:
    user = answered(bootstrap(**{"auth-extra-groups": "system:bootstrappers:x"}).token(TOKEN, ()))
    groups = ("system:bootstrappers", "system:bootstrappers:x", "system:authenticated")
    assert user == User("system:bootstrap:abcdef", groups)


@pytest.mark.parametrize(
    ("changes", "token", "why"),
    [
        ({}, "abcdef.0123456789abcdeX", ""),
        ({}, "abcdef.0123456789abcdee", "its value for key token-secret does not match"),
        ({}, "bbbbbb.0123456789abcdef", "there is no secret of this token"),
        ({"token-secret": ""}, TOKEN, "it has no value for token-secret"),
        ({"token-id": "bbbbbb"}, TOKEN, "its value for key token-id does not match"),
        ({"usage-bootstrap-authentication": "false"}, TOKEN, "it is not marked usage-bootstrap-authentication"),
        ({"expiration": "2029-12-31T00:00:00Z"}, TOKEN, "it is expired"),
        ({"expiration": "tomorrow"}, TOKEN, "it is expired"),
        (
            {"expiration": "20310101T000000Z"},
            TOKEN,
            "it is expired",
        ),  # ISO 8601, and not RFC 3339: Go reads no such time
    ],
)
def test_bootstrap_tokens_that_are_none(
    changes: dict[str, str], token: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who asks learns nothing; the server's log has the reason, and never the secret half."""
    with caplog.at_level("DEBUG"):
        assert answered(bootstrap(**changes).token(token, ())) is None
    assert why in caplog.text and "0123456789" not in caplog.text


@pytest.mark.parametrize(
    "groups",
    [
        "system:masters",
        "system:bootstrappers:x,",
        "system:bootstrappers:X",
        "system:bootstrappers:",
        "system:bootstrappers:x, system:bootstrappers:y",
    ],
)
def test_bootstrap_tokens_give_no_other_groups(groups: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        assert answered(bootstrap(**{"auth-extra-groups": groups}).token(TOKEN, ())) is None
    assert "it has an invalid value for key auth-extra-groups" in caplog.text


def request(token: str = "", certificate: bytes | None = None) -> Request:
    headers = (("authorization", f"Bearer {token}"),) if token else ()
    return Request("GET", b"/", b"", headers, peer_certificate=certificate)


class Certificate:
    """A certificate that says who one is, or has expired."""

    async def authenticate(self, request: Request) -> User | None:
        from pybernetes.api import errors

        if request.peer_certificate == b"expired":
            raise errors.unauthorized()
        return User("cert") if request.peer_certificate else None


STATIC = tokenfile.TokenFile({"t": User("static")})


@pytest.mark.parametrize(
    ("asked", "anonymous", "name"),
    [
        (request("t"), False, "static"),
        (request(TOKEN), False, "system:bootstrap:abcdef"),
        (request("wrong"), True, None),
        (request(), True, "system:anonymous"),
        (request(), False, None),
        (request("wrong", b"good"), False, "cert"),
        (request("t", b"expired"), False, "static"),
        (request("", b"expired"), True, None),
    ],
)
def test_chain(asked: Request, anonymous: bool, name: str | None) -> None:
    chain = Authenticators([Certificate()], [STATIC, bootstrap()], anonymous)
    if name is None:
        with pytest.raises(StatusError) as refused:
            answered(chain.authenticate(asked))
        assert refused.value.code == 401
    else:
        assert answered(chain.authenticate(asked)).name == name


@pytest.mark.parametrize(
    ("path", "code"), [(b"/healthz", 200), (b"/%68ealthz", 200), (b"/healthz/etcd", 401), (b"/api", 401)]
)
def test_anonymous_to_some_paths_alone(path: bytes, code: int) -> None:
    chain = Authenticators([], [STATIC], anonymous=True, anonymous_paths=frozenset(["/healthz", "/livez"]))
    asked = Request("GET", path, b"", ())
    if code == 401:
        with pytest.raises(StatusError) as refused:
            answered(chain.authenticate(asked))
        assert refused.value.code == 401
    else:
        assert answered(chain.authenticate(asked)) is ANONYMOUS


class Known:
    """Knows one token, of a user of whom nobody says that he is authenticated."""

    async def token(self, token: str, audiences: tuple[str, ...]) -> User | None:
        return User("jane", ("a",)) if token == "t" else None


@pytest.mark.parametrize(
    ("asked", "granted"),
    [((), ("api", "api2")), (("api2", "vault"), ("api2",)), (("vault",), None)],
)
def test_a_token_that_names_no_audience_is_for_this_server(
    asked: tuple[str, ...], granted: tuple[str, ...] | None
) -> None:
    chain = Authenticators([], [Known()], implicit=("api", "api2"))
    if granted is None:
        with pytest.raises(TokenError, match="invalid bearer token"):
            answered(chain.token("t", asked))
    else:
        found = answered(chain.token("t", asked))
        assert (found.user.groups, found.audiences) == (("a", "system:authenticated"), granted)


def test_token_files(tmp_path: Path) -> None:
    (tmp_path / "t").write_text('t,jane,1,"a,b"\n\nu,bob,2\n')
    assert tokenfile.read(tmp_path / "t") == {
        "t": User("jane", ("a", "b", "system:authenticated"), "1"),
        "u": User("bob", ("system:authenticated",), "2"),
    }
    (tmp_path / "t").write_text("t\n")
    with pytest.raises(tokenfile.TokenFileError, match="line 1"):
        tokenfile.read(tmp_path / "t")


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ((("authorization", "bearer t"),), "t"),
        ((("authorization", "Basic t"),), ""),
        ((("sec-websocket-protocol", "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.dA"),), "t"),
        ((("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.!"),), "!"),
        ((), ""),
    ],
)
def test_where_a_token_is(headers: tuple[tuple[str, str], ...], token: str) -> None:
    websocket = (("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket"))
    assert bearer_token(Request("GET", b"/", b"", headers + websocket)) == token


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("upgrade", "websocket"),),
        (("connection", "upgrade"),),
        (("connection", "upgrades"), ("upgrade", "websocket")),
        (("connection", "upgrade"), ("upgrade", "SPDY/3.1")),
    ],
)
def test_a_protocol_is_a_token_for_a_websocket_alone(headers: tuple[tuple[str, str], ...]) -> None:
    offered = (("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.dA, v4"),)
    assert bearer_token(Request("GET", b"/", b"", headers + offered)) == ""


def test_a_token_of_any_depth_is_no_failure() -> None:
    """Before anybody has shown who he is: lists in lists, and objects in objects, in each part."""
    for deep in (b"[" * 100_000, b'{"a":' * 100_000, b'{"a":[' * 50_000):
        part = base64.urlsafe_b64encode(deep).decode().rstrip("=")
        for token in (f"{part}.{part}.a", f"e30.{part}.a", f"{part}.e30.a"):
            assert peek(token) is None or isinstance(peek(token), dict)
            with pytest.raises(TokenError):
                verified(token, ())
