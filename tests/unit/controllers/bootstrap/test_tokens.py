"""Bootstrap tokens: who signs, what a signature looks like."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.wellknown import SECRET_TYPE_BOOTSTRAP_TOKEN
from pybernetes.controllers.bootstrap.tokens import detached_signature, expiration, signed_data, signing_token

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def secret(name: str = "bootstrap-token-abcdef", type_: str = SECRET_TYPE_BOOTSTRAP_TOKEN, **data: str) -> core.Secret:
    content = {"token-id": "abcdef", "token-secret": "s", "usage-bootstrap-signing": "true"}
    content |= {key.replace("_", "-"): value for key, value in data.items()}
    metadata = meta.ObjectMeta(name=name, namespace="kube-system")
    return core.Secret(metadata=metadata, type=type_, data={k: v.encode() for k, v in content.items()})


@pytest.mark.parametrize(
    ("given", "signs"),
    [
        (secret(), True),
        (secret(expiration="2026-01-01T00:00:01Z"), True),
        (secret(expiration="2026-01-01T00:00:00Z"), False),
        (secret(expiration="never"), False),
        (secret(usage_bootstrap_signing="false"), False),
        (secret(token_secret=""), False),
        (secret(token_id="ABCDEF"), False),
        (secret("bootstrap-token-other"), False),
        (secret(type_="Opaque"), False),
    ],
)
def test_signing_token(given: core.Secret, signs: bool) -> None:
    assert signing_token(given, NOW) == (("abcdef", "s") if signs else None)


def test_expiration() -> None:
    assert expiration(secret()) is None
    assert expiration(secret(expiration="2026-01-01T00:00:00Z")) == NOW
    with pytest.raises(ValueError, match="never"):
        expiration(secret(expiration="never"))


def test_signature_as_upstream_made_it() -> None:
    recorded = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImdvbGRlMSJ9..81lgh9yM5G47rEfnki5MlpUbjbGbdpXfOPPWFDW13ac"
    assert detached_signature("apiVersion: v1\nkind: Config\n", "golde1", "0123456789abcdef") == recorded


def test_signatures_come_and_go_with_tokens() -> None:
    data = {"kubeconfig": "x", "jws-kubeconfig-gone00": "old", "more": "y"}
    found = signed_data(data, [secret(), secret(type_="Opaque")], NOW)
    assert set(found) == {"kubeconfig", "more", "jws-kubeconfig-abcdef"}
    assert signed_data({"more": "y", "jws-kubeconfig-abcdef": "old"}, [secret()], NOW) == {"more": "y"}
