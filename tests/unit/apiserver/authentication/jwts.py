"""Keys of issuers, and tokens that they sign."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

RSA = rsa.generate_private_key(65537, 2048)
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
EC = {algorithm: ec.generate_private_key(curve) for algorithm, curve in CURVES.items()}


def private(algorithm: str) -> Any:
    """The key that signs by an algorithm."""
    return EC.get(algorithm, RSA)


def signed(
    claims: dict[str, Any], algorithm: str = "RS256", kid: str | None = None, key: Any = None, **header: Any
) -> str:
    """A token; its kid is its algorithm's name if not given, "": none."""
    name = algorithm if kid is None else kid
    headers = {**({"kid": name} if name else {}), **header}
    return jwt.encode(claims, key or private(algorithm), algorithm, headers)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwk(algorithm: str, kid: str | None = None, key: Any = None) -> dict[str, Any]:
    """The public key as of a key set."""
    key = key or private(algorithm)
    kind = jwt.algorithms.ECAlgorithm if algorithm in EC else jwt.algorithms.RSAAlgorithm
    return {
        **json.loads(kind.to_jwk(key.public_key())),
        "kid": algorithm if kid is None else kid,
        "use": "sig",
        "alg": algorithm,
    }


def key_set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()
