"""Keys of service-account tokens: read from PEM, named, told as a JWKS (upstream: pkg/serviceaccount/{jwt,openidmetadata}.go)."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pybernetes.pki.bundles import blocks

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

    PublicKey = RSAPublicKey | EllipticCurvePublicKey
    PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey

_CURVES = {"secp256r1": ("ES256", "P-256"), "secp384r1": ("ES384", "P-384"), "secp521r1": ("ES512", "P-521")}


class KeyFileError(ValueError):
    """A file that holds no usable key; the text says why."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key, its name (kid) and its algorithm."""

    id: str
    algorithm: str
    key: PublicKey


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key."""

    id: str
    algorithm: str
    key: PrivateKey
    public: Verifier


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def verifier(key: PublicKey) -> Verifier:
    """KeyFileError for a kind of key that signs no tokens."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, rsa.RSAPublicKey):
        algorithm = "RS256"
    elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        algorithm = _CURVES[key.curve.name][0]
    else:
        raise KeyFileError(f"a key of type {type(key).__name__} signs no tokens: use RSA or ECDSA")
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Verifier(_b64(hashlib.sha256(der).digest()), algorithm, key)


def signer(pem: bytes) -> Signer:
    """Of --service-account-signing-key-file."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"no private key in it: {error}") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise KeyFileError(f"a key of type {type(key).__name__} signs no tokens: use RSA or ECDSA")
    return signer_with(key)


def signer_with(key: PrivateKey) -> Signer:
    """Of a key at hand."""
    public = verifier(key.public_key())
    return Signer(public.id, public.algorithm, key, public)


def verifiers(pem: bytes) -> list[Verifier]:
    """Of --service-account-key-file: public keys, private keys or certificates, several in a file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    keys: list[Verifier] = []
    for block in blocks(pem):
        try:
            if b"CERTIFICATE" in block:
                keys.append(verifier(x509.load_pem_x509_certificate(block).public_key()))  # type: ignore[arg-type]  # it checks
            elif b"PRIVATE KEY" in block:
                keys.append(signer(block).public)
            elif b"PUBLIC KEY" in block:
                keys.append(verifier(serialization.load_pem_public_key(block)))  # type: ignore[arg-type]  # it checks
        except ValueError as error:
            raise KeyFileError(str(error)) from None
    if not keys:
        raise KeyFileError("data does not contain any valid RSA or ECDSA public keys")
    return keys


def jwk(verifier: Verifier) -> dict[str, Any]:
    """A key as in /openid/v1/jwks."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    common = {"use": "sig", "kid": verifier.id, "alg": verifier.algorithm}
    key = verifier.key
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        n, e = (value.to_bytes((value.bit_length() + 7) // 8, "big") for value in (numbers.n, numbers.e))
        return {**common, "kty": "RSA", "n": _b64(n), "e": _b64(e)}
    size = (key.curve.key_size + 7) // 8
    point = key.public_numbers()
    x, y = (_b64(value.to_bytes(size, "big")) for value in (point.x, point.y))
    return {**common, "kty": "EC", "crv": _CURVES[key.curve.name][1], "x": x, "y": y}
