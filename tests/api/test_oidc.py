"""Users by tokens of OpenID Connect issuers: keys from a real one over HTTPS, by flags and by a file that is followed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pybernetes.apiserver.options import FLAGS, access
from pybernetes.component import flags
from pybernetes.component.command import UsageError

from ..unit.apiserver.authentication.jwts import jwk
from .outside import Cluster, Outside, cluster, outside, run

Object = dict[str, Any]
WHO = "system:authenticated"


def config(at: Outside, *entries: Object, **more: Any) -> Object:
    jwt = [
        {**entry, "issuer": {"certificateAuthority": at.authority.pem.decode(), **entry["issuer"]}} for entry in entries
    ]
    return {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": jwt, **more}


def entry(at: Outside, issuer: str, username: Object | None = None, **more: Any) -> Object:
    return {
        "issuer": {"url": f"{at.base}/{issuer}", "audiences": ["kubernetes"]},
        "claimMappings": {"username": username or {"claim": "sub", "prefix": f"{issuer}:"}, **more},
    }


async def ready(of: Cluster) -> None:
    """All issuers were reached."""
    jwt = of.server.authenticators._running.jwt
    assert jwt is not None
    for one in jwt._current.values():
        await one.ready.wait()


async def look(of: Cluster) -> None:
    """What happens each second."""
    jwt = of.server.authenticators._running.jwt
    assert jwt is not None and jwt._follower is not None
    await jwt._follower.look()


def test_flags(tmp_path: Path) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            at.keys["a"] = [jwk("RS256"), jwk("ES256")]
            authority = at.write("authority", at.authority.pem.decode())
            given = {
                "issuer-url": f"{at.base}/a",
                "client-id": "kubernetes",
                "ca-file": authority,
                "username-claim": "email",
                "username-prefix": "oidc:",
                "groups-claim": "groups",
                "groups-prefix": "g:",
                "required-claim": "hd=example.com,org",
                "signing-algs": "RS256,ES256",
            }
            async with cluster(tmp_path, *(f"--oidc-{name}={value}" for name, value in given.items())) as of:
                await ready(of)
                claims: Object = {
                    "email": "j@x",
                    "email_verified": True,
                    "groups": ["dev"],
                    "hd": "example.com,org",
                    "jti": "1",
                }
                user = {
                    "username": "oidc:j@x",
                    "groups": ["g:dev", WHO],
                    "extra": {"authentication.kubernetes.io/credential-id": ["JTI=1"]},
                }
                for algorithm in ("RS256", "ES256"):
                    assert await of.who(at.token("a", algorithm, **claims)) == user
                assert await of.who(at.token("a", "RS384", **claims)) is None
                assert await of.who(at.token("a", **{**claims, "hd": "x"})) is None
                assert await of.who(at.token("a", **claims, aud="other")) is None
                assert await of.who(at.token("a", **claims, exp=1)) is None
                assert at.fetched == ["/a/.well-known/openid-configuration", "/a/keys"]
                status = await of.review(at.token("a", **{**claims, "hd": "x"}))
                assert status["error"] == (
                    "[invalid bearer token, oidc: required claim hd value does not match. Got = x, want = example.com,org]"
                )
                assert (await of.review(at.token("a", **claims)))["user"] == user
                text = of.metrics()
                assert 'jwt_authenticator_latency_seconds_count{result="success",jwt_issuer_hash="sha256:' in text
                assert 'jwks_fetch_last_timestamp_seconds{result="success",jwt_issuer_hash="sha256:' in text

    run(story)


def test_several_issuers_by_a_file_that_is_followed(tmp_path: Path) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            at.keys |= {"a": [jwk("RS256")], "b": [jwk("ES384")]}
            file = at.write("config", config(at, entry(at, "a")))
            async with cluster(tmp_path, f"--authentication-config={file}") as of:
                await ready(of)
                a, b = at.token("a", sub="jane"), at.token("b", "ES384", sub="jane")
                assert await of.who(a) == {"username": "a:jane", "groups": ["system:authenticated"]}
                assert await of.who(b) is None
                at.write("config", config(at, entry(at, "a"), entry(at, "b", {"expression": "'b-' + claims.sub"})))
                await look(of)
                assert [(await of.who(token) or {}).get("username") for token in (a, b)] == ["a:jane", "b-jane"]
                at.write("config", config(at, entry(at, "a", {"claim": "sub"})))  # which needs a prefix
                await look(of)
                assert (await of.who(b) or {}).get("username") == "b-jane"
                at.write("config", config(at, entry(at, "b")))
                await look(of)
                fresh = at.token("a", sub="jane", jti="another")  # of the one before the answer may hold for 10 s
                assert await of.who(fresh) is None
                text, prefix = of.metrics(), "apiserver_authentication_config_controller"
                assert f'{prefix}_automatic_reloads_total{{status="success",apiserver_id_hash="sha256:' in text
                assert f'{prefix}_automatic_reloads_total{{status="failure"' in text
                assert f'{prefix}_last_config_info{{apiserver_id_hash="sha256:' in text

    run(story)


def test_keys_that_are_rotated(tmp_path: Path) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            at.keys["a"] = [jwk("RS256")]
            file = at.write("config", config(at, entry(at, "a")))
            async with cluster(tmp_path, f"--authentication-config={file}") as of:
                await ready(of)
                token = at.token("a", "ES256", sub="j")
                assert await of.who(token) is None
                at.keys["a"] = [jwk("ES256")]
                assert (await of.who(token) or {}).get("username") == "a:j"

    run(story)


def test_an_issuer_that_comes_later_harms_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            file = at.write("config", config(at, entry(at, "later")))
            async with cluster(tmp_path, f"--authentication-config={file}") as of:
                assert (await of.who("jane") or {}).get("username") == "jane"
                token = at.token("later", sub="j")
                assert (await of.review(token))[
                    "error"
                ] == "[invalid bearer token, oidc: authenticator not initialized]"

    run(story)


def test_anonymous_to_some_paths_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            anonymous = {"enabled": True, "conditions": [{"path": "/livez"}, {"path": "/version"}]}
            file = at.write("config", config(at, anonymous=anonymous))
            async with cluster(tmp_path, f"--authentication-config={file}", "--authorization-mode=RBAC") as of:
                codes = {path: (await of.ask(path))[0] for path in ("/livez", "/version", "/readyz", "/api", "/livez/")}
                assert codes == {"/livez": 200, "/version": 200, "/readyz": 401, "/api": 401, "/livez/": 401}

    run(story)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--oidc-issuer-url=https://i"], "oidc-issuer-url and oidc-client-id must be specified together"),
        (["--oidc-groups-claim=g"], "oidc-issuer-url and oidc-client-id must be specified together"),
        (["--oidc-issuer-url=http://i", "--oidc-client-id=c"], "issuer.url: Invalid value"),
        (
            ["--oidc-issuer-url=https://i", "--oidc-client-id=c", "--oidc-signing-algs=HS256"],
            'oidc: unsupported signing alg: "HS256"',
        ),
        (["--oidc-issuer-url=https://i", "--oidc-client-id=c", "--oidc-ca-file=/none"], "'/none' cannot be read"),
        (["--authentication-config={file}", "--oidc-client-id=c"], "are mutually exclusive"),
        (["--authentication-config={file}", "--anonymous-auth=false"], "--anonymous-auth flag cannot be set"),
        (["--authentication-config=/none"], 'error reading authentication configuration file "/none"'),
        (["--authentication-token-webhook-config-file=/none"], "does not exist"),
        (
            ["--authentication-token-webhook-config-file={file}", "--authentication-token-webhook-version=v2"],
            'unsupported authentication webhook version "v2", supported versions are "v1", "v1beta1"',
        ),
        (["--authorization-mode=ABAC"], "authorization-mode ABAC's authorization policy file not passed"),
        (["--authorization-mode=Webhook"], "authorization-mode Webhook's authorization config file not passed"),
        (["--authorization-policy-file=x"], "cannot specify --authorization-policy-file without mode ABAC"),
        (["--authorization-mode=RBAC,RBAC"], "authorization-mode [RBAC RBAC] has mode specified more than once"),
        (["--authorization-mode=Foo"], 'authorization-mode "Foo" is not a valid mode'),
        (["--authorization-mode=ABAC", "--authorization-policy-file={bad}"], "line 1: {: couldn't get version/kind"),
        (
            ["--authorization-config={file}", "--authorization-mode=RBAC"],
            "--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags",
        ),
        (["--authorization-config={file}"], 'no kind "AuthenticationConfiguration" is registered'),
    ],
)
def test_flags_that_do_not_fit(tmp_path: Path, arguments: list[str], why: str) -> None:
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "anonymous": {"enabled": True},
    }
    (tmp_path / "file").write_text(json.dumps(document))
    (tmp_path / "bad").write_text("{")
    (tmp_path / "tokens").write_text("t,u,1\n")
    places = {"file": str(tmp_path / "file"), "bad": str(tmp_path / "bad")}
    given = [argument.format(**places) for argument in arguments]
    with pytest.raises(UsageError) as refused:
        access.options(flags.parse("kube-apiserver", FLAGS, [f"--token-auth-file={tmp_path}/tokens", *given]))
    assert why in str(refused.value)
