"""Signatures of ID tokens: by which algorithm and key, and that nothing else is one."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pybernetes.apiserver.authentication.oidc import jose
from pybernetes.apiserver.authentication.oidc.jose import ALGORITHMS, JOSEError, Key

from .jwts import CURVES, EC, RSA, b64, jwk, key_set, signed


def only(*keys: dict[str, Any]) -> Key:
    (key,) = jose.keys(key_set(*keys))
    return key


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_each_algorithm(algorithm: str) -> None:
    token = jose.read(signed({"a": 1}, algorithm))
    assert (token.algorithm, token.key_id, token.payload) == (algorithm, algorithm, b'{"a":1}')
    assert jose.verifies(token, only(jwk(algorithm)))
    altered = jose.read(signed({"a": 2}, algorithm))
    assert not jose.verifies(
        jose.Signed(algorithm, "", b"", token.signing_input, altered.signature), only(jwk(algorithm))
    )


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_a_key_of_another_kind_verifies_nothing(algorithm: str) -> None:
    token = jose.read(signed({}, algorithm))
    for other in CURVES if algorithm not in CURVES else ("RS256", *(set(CURVES) - {algorithm})):
        assert not jose.verifies(token, only(jwk(other)))


def test_a_public_key_is_no_secret_of_an_hmac() -> None:
    pem = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    import hashlib
    import hmac

    head = b64(json.dumps({"alg": "HS256", "kid": "RS256"}).encode())
    body = b64(b"{}")
    forged = f"{head}.{body}.{b64(hmac.new(pem, f'{head}.{body}'.encode(), hashlib.sha256).digest())}"
    assert not jose.verifies(jose.read(forged), only(jwk("RS256")))


@pytest.mark.parametrize("algorithm", ["none", "None", "", "EdDSA"])
def test_no_signature_is_none(algorithm: str) -> None:
    token = f"{b64(json.dumps({'alg': algorithm}).encode())}.{b64(b'{}')}."
    assert not jose.verifies(jose.read(token), only(jwk("RS256")))


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("a.b", "must have three parts"),
        ("a.b.c.d", "must have three parts"),
        ("é.b.c", "no ASCII"),
        ("e30=.e30.", "illegal base64"),
        ("e30.e.e30", "illegal base64"),
        ("W10.e30.", "no object"),
        ("e30x.e30.", "no JSON"),
        (b64(b'{"alg":1}') + ".e30.", "must be text"),
        (b64(b'{"alg":"RS256","crit":["exp"]}') + ".e30.", "unsupported crit header"),
    ],
)
def test_what_is_no_token(token: str, why: str) -> None:
    with pytest.raises(JOSEError, match=why):
        jose.read(token)


def test_keys_that_sign_nothing_are_passed_over() -> None:
    small = rsa.generate_private_key(65537, 1024)
    others = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {**jwk("RS256"), "use": "enc"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {**jwk("ES256"), "crv": "secp256k1"},
    ]
    found = jose.keys(key_set(*others, jwk("ES256"), jwk("RS256", "small", small)))
    assert [key.id for key in found] == ["ES256", "small"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[]", "an object with keys"),
        (b"{", "JSON|truncated|ended"),
        (key_set({**jwk("RS256"), "n": ""}), "missing n value"),
        (key_set({**jwk("RS256"), "kid": 1}), "must be text"),
        (key_set({**jwk("ES256"), "x": "AA"}), "key 'ES256'"),
        (key_set(*[jwk("ES256")] * 201), "201 keys are too many"),
    ],
)
def test_what_is_no_key_set(data: bytes, why: str) -> None:
    with pytest.raises(JOSEError, match=why):
        jose.keys(data)


def test_another_implementation_agrees() -> None:
    """What PyJWT verifies, and only that."""
    token = signed({"x": "y"}, "ES384")
    assert jwt.decode(token, EC["ES384"].public_key(), ["ES384"]) == {"x": "y"}
    assert jose.verifies(jose.read(token), only(jwk("ES384")))
