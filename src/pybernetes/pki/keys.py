"""Private keys: made, written, and compared with certificates.

Where nobody asks for another algorithm keys are ECDSA P-256: made in a millisecond, and cheaper in every TLS handshake than RSA.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from .files import Pair

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

# As kubeadm's encryptionAlgorithm names them.
_CURVES: dict[str, type[ec.EllipticCurve]] = {"ECDSA-P256": ec.SECP256R1, "ECDSA-P384": ec.SECP384R1}
_RSA_BITS = {"RSA-2048": 2048, "RSA-3072": 3072, "RSA-4096": 4096}
ALGORITHMS = tuple(sorted((*_CURVES, *_RSA_BITS)))


def generate_as(algorithm: str) -> PrivateKey:
    """A new key of one of `ALGORITHMS`; RSA takes up to a second. KeyError for another name."""
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm]())
    return rsa.generate_private_key(65537, _RSA_BITS[algorithm])


def generate() -> ec.EllipticCurvePrivateKey:
    """A new key."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: PrivateKey) -> bytes:
    """`EC PRIVATE KEY` (SEC1) or `RSA PRIVATE KEY` (PKCS#1), as client-go's keyutil writes them.

    Some clients tell the algorithm from these headers and take a key in PKCS#8 for RSA (fabric8's Config.getKeyAlgorithm).
    """
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def load_private(pem: bytes) -> PrivateKey:
    """An RSA or EC key, in any of the usual forms. ValueError for another kind, what is none, or what has a password."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except TypeError as error:  # it has a password
        raise ValueError(str(error)) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError(f"a key of the kind {type(key).__name__} is neither RSA nor EC")
    return key


def public_pem(key: PublicKeyTypes) -> bytes:
    """`PUBLIC KEY`."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_der(key: PublicKeyTypes) -> bytes:
    """The same in bytes (PKIX)."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_of(private: bytes) -> bytes:
    """The public half of a private key, both PEM. ValueError if it is none, or has a password."""
    try:
        return public_pem(serialization.load_pem_private_key(private, None).public_key())
    except TypeError as error:  # it has a password
        raise ValueError(str(error)) from error


def signing_key() -> tuple[bytes, bytes]:
    """A key for service-account tokens: (private, public), PEM. RSA as kubeadm's: verifiers of OpenID tokens everywhere know RS256."""
    key = rsa.generate_private_key(65537, 2048)
    return private_pem(key), public_pem(key.public_key())


def match(pair: Pair) -> bool:
    """Whether this is a readable key, and the certificate's."""
    try:
        key = serialization.load_pem_private_key(pair.key, None)
        return key.public_key() == x509.load_pem_x509_certificate(pair.certificate).public_key()
    except (ValueError, TypeError):
        return False
