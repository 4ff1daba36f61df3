"""JSON Web Signatures with public keys (RFC 7515, 7517, 7518), as far as ID tokens use them. Pure.

A token says by which algorithm it is signed, and nobody believes it: the algorithm must be one that is allowed, and the key of its type, so
that no public key becomes the secret of an HMAC, and no `none` is a signature.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    PublicKey = RSAPublicKey | EllipticCurvePublicKey

# Allowed at all (upstream: oidc.go allowedSigningAlgs), with the bits of the digest.
ALGORITHMS: Mapping[str, int] = {f"{kind}{bits}": bits for kind in ("ES", "PS", "RS") for bits in (256, 384, 512)}
_CURVES = {"P-256": ("ES256", 32), "P-384": ("ES384", 48), "P-521": ("ES512", 66)}
_COORDINATES = {algorithm: (curve, size) for curve, (algorithm, size) in _CURVES.items()}
_BASE64 = re.compile(rb"[A-Za-z0-9_-]*")
MIN_RSA_BITS = 1024  # below it Go's crypto/rsa refuses to verify
MAX_RSA_BITS = 16384  # above it a signature takes long enough to be an attack
MAX_KEYS = 200  # of one set


class JOSEError(ValueError):
    """What is no token, or no key; the text says why."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A token taken apart; nothing of it is checked."""

    algorithm: str
    key_id: str
    payload: bytes
    signing_input: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of a set. `curve` is "" for RSA."""

    id: str
    curve: str
    public: PublicKey


def decoded(text: bytes) -> bytes:
    """base64url without padding. JOSEError."""
    if len(text) % 4 == 1 or not _BASE64.fullmatch(text):
        raise JOSEError("illegal base64 data")
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def read(token: str) -> Signed:
    """The compact form. JOSEError."""
    try:
        parts = token.encode("ascii").split(b".")
    except UnicodeEncodeError:
        raise JOSEError("it is no ASCII") from None
    if len(parts) != 3:
        raise JOSEError("compact JWS format must have three parts")
    try:
        header: Any = msgspec.json.decode(decoded(parts[0]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JOSEError(f"its header is no JSON: {error}") from None
    if not isinstance(header, dict):
        raise JOSEError("its header is no object")
    if "crit" in header or "b64" in header:
        raise JOSEError("unsupported crit header")  # whose meaning would have to be known
    algorithm, key_id = header.get("alg", ""), header.get("kid", "")
    if not isinstance(algorithm, str) or not isinstance(key_id, str):
        raise JOSEError("alg and kid of its header must be text")
    return Signed(algorithm, key_id, decoded(parts[1]), parts[0] + b"." + parts[1], decoded(parts[2]))


def verifies(signed: Signed, key: Key) -> bool:
    """Whether the key has signed it, by the algorithm that the token names, which must be one of ALGORITHMS and fit the key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    bits = ALGORITHMS.get(signed.algorithm)
    if bits is None:
        return False
    digest: hashes.HashAlgorithm = {256: hashes.SHA256(), 384: hashes.SHA384(), 512: hashes.SHA512()}[bits]
    try:
        if isinstance(key.public, rsa.RSAPublicKey):
            if signed.algorithm.startswith("ES"):
                return False
            fill = (
                padding.PSS(padding.MGF1(digest), padding.PSS.AUTO)
                if signed.algorithm.startswith("PS")
                else padding.PKCS1v15()
            )
            key.public.verify(signed.signature, signed.signing_input, fill, digest)
            return True
        curve, size = _COORDINATES.get(signed.algorithm, ("", 0))
        if curve != key.curve or len(signed.signature) != 2 * size:
            return False
        r, s = (int.from_bytes(half, "big") for half in (signed.signature[:size], signed.signature[size:]))
        key.public.verify(encode_dss_signature(r, s), signed.signing_input, ec.ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def keys(data: bytes) -> list[Key]:
    """Of a JSON Web Key Set. What is no public key that signs (a symmetric one, one for encryption) is passed over. JOSEError."""
    try:
        document: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JOSEError(str(error)) from None
    given = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(given, list):
        raise JOSEError("a key set is an object with keys")
    if len(given) > MAX_KEYS:
        raise JOSEError(f"{len(given)} keys are too many: a set may have {MAX_KEYS}")
    return [key for one in given if isinstance(one, dict) and one.get("use", "sig") == "sig" for key in _key(one)]


def _key(given: Mapping[str, Any]) -> Sequence[Key]:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    name = given.get("kid", "")
    if not isinstance(name, str):
        raise JOSEError("the kid of a key must be text")
    try:
        match given.get("kty"):
            case "RSA":
                modulus = _number(given, "n")
                if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
                    return ()
                return (Key(name, "", rsa.RSAPublicNumbers(_number(given, "e"), modulus).public_key()),)
            case "EC" if given.get("crv") in _CURVES:
                curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}[given["crv"]]
                numbers = ec.EllipticCurvePublicNumbers(_number(given, "x"), _number(given, "y"), curve)
                return (Key(name, given["crv"], numbers.public_key()),)
    except JOSEError:
        raise
    except ValueError as error:
        raise JOSEError(f"key {name!r}: {error}") from None
    return ()


def _number(given: Mapping[str, Any], name: str) -> int:
    text = given.get(name)
    if not isinstance(text, str) or not text:
        raise JOSEError(f"invalid key, missing {name} value")
    try:
        return int.from_bytes(decoded(text.encode("ascii")), "big")
    except (UnicodeEncodeError, binascii.Error):
        raise JOSEError(f"invalid key, {name} is no base64url") from None
