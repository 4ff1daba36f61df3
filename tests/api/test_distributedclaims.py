"""Groups that a token leaves to another server: which are fetched, with what, and every answer that refuses the token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pybernetes.wire.http import Response

from ..unit.apiserver.authentication.jwts import jwk
from .outside import Outside, cluster, outside, run
from .test_oidc import Object, config, entry, ready

BEFORE = "[invalid bearer token, oidc: could not expand distributed claims: "
TEXT = [("Content-Type", "application/jwt")]
GROUPS = {"groups": {"claim": "groups", "prefix": "g:"}}
WHO = "system:authenticated"


def left(at: Outside, path: str, **source: Any) -> Object:
    """Claims of one whose groups are at a path."""
    return {
        "sub": "jane",
        "_claim_names": {"groups": "s"},
        "_claim_sources": {"s": {"endpoint": at.base + path, **source}},
    }


def answer(token: str, status: int = 200) -> Response:
    return Response(status, TEXT, token.encode())


def test_groups_from_elsewhere(tmp_path: Path) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            at.keys |= {"a": [jwk("RS256")], "b": [jwk("ES256")]}
            at.claims |= {
                "/groups": answer(at.token("a", groups=["dev", "ops"])),
                "/one": answer(at.token("a", groups="dev") + "\n", 203),
                "/other": answer(at.token("b", "ES256", groups=["b"])),
            }
            file = at.write("config", config(at, entry(at, "a", **GROUPS)))
            async with cluster(tmp_path, f"--authentication-config={file}") as of:
                await ready(of)

                async def groups(**claims: Any) -> list[str]:
                    user = await of.who(at.token("a", **claims))
                    assert user is not None
                    return [group for group in user["groups"] if group != WHO]

                assert await groups(**left(at, "/groups", access_token="foo")) == ["g:dev", "g:ops"]
                assert await groups(**left(at, "/one")) == ["g:dev"]
                assert at.bearers == ["Bearer foo", ""]
                assert await groups(**left(at, "/groups"), groups=["own"]) == ["g:own"]
                aggregated = {"_claim_names": {"groups": "s"}, "_claim_sources": {"s": {"JWT": "x.y.z"}}}
                assert await groups(sub="jane", **aggregated) == []
                others = {"_claim_names": {"roles": "s"}, "_claim_sources": {"s": {"endpoint": f"{at.base}/none"}}}
                assert await groups(sub="jane", **others) == []
                assert len(at.bearers) == 2
                status = await of.review(at.token("a", **left(at, "/other")))
                why = f'verifying untrusted issuer {at.base}/b failed: verifier not initialized for issuer: "{at.base}/b"]'
                assert status["error"] == BEFORE + why
                jwt = of.server.authenticators._running.jwt
                assert jwt is not None
                (resolver,) = [one._resolver for one in jwt._current.values()]
                assert resolver is not None
                await resolver._others[f"{at.base}/b"].ready.wait()
                assert await groups(**left(at, "/other")) == ["g:b"]

    run(story)


def test_answers_that_refuse_the_token(tmp_path: Path) -> None:
    async def story() -> None:
        async with outside(tmp_path) as at:
            at.keys["a"] = [jwk("RS256")]
            at.claims |= {
                "/audience": answer(at.token("a", groups=["x"], aud="other")),
                "/expired": answer(at.token("a", groups=["x"], exp=1)),
                "/absent": answer(at.token("a", roles=["x"])),
                "/text": answer("no token"),
                "/forged": answer(at.token("a", "ES256", groups=["x"])),
                "/nobody": answer(at.token("a", groups=["x"], iss="")),
                "/forbidden": answer("", 403),
                "/number": answer(at.token("a", groups=7)),
            }
            file = at.write("config", config(at, entry(at, "a", **GROUPS)))
            verify = BEFORE + "verify distributed claim token: "
            get = BEFORE + 'while getting distributed claim "groups": '
            whys = {
                "/audience": verify + 'oidc: expected audience "kubernetes" got ["other"]]',
                "/expired": verify + "oidc: token is expired (Token Expiry: 1970-01-01 00:00:01 +0000 UTC)]",
                "/absent": f'{BEFORE}jwt returned by distributed claim endpoint "{at.base}/absent" did not contain claim: groups]',
                "/text": f'{BEFORE}getting untrusted issuer from endpoint {at.base}/text failed for claim "groups": malformed token]',
                "/forged": verify + "failed to verify signature: failed to verify id token signature]",
                "/nobody": f'{BEFORE}verifying untrusted issuer  failed: verifier not initialized for issuer: ""]',
                "/forbidden": get + "error while getting distributed claim JWT: 403 Forbidden]",
                "/number": '[invalid bearer token, oidc: parse groups claim "groups": json: cannot unmarshal number into Go value of type string]',
            }  # fmt: skip
            async with cluster(tmp_path, f"--authentication-config={file}") as of:
                await ready(of)
                for path, why in whys.items():
                    assert (await of.review(at.token("a", **left(at, path))))["error"] == why, path
                broken = {"ftp://x/": "", "https://[": "", "/no-url": "", f"{at.base}/x": "a\nHost: b"}
                for endpoint, access in broken.items():
                    claims = left(at, "", access_token=access)
                    claims["_claim_sources"]["s"]["endpoint"] = endpoint
                    status = await of.review(at.token("a", **claims))
                    assert status["error"].startswith(f'{get}Get "{endpoint}": '), status

    run(story)
