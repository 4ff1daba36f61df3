"""Options with which every controller can run: a CA and keys made for the occasion, networks as the recorded cluster had them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pybernetes.controllers.options import Options


def key() -> ec.EllipticCurvePrivateKey:
    """A fresh private key."""
    return ec.generate_private_key(ec.SECP256R1())


def pem(private: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS#8."""
    plain = serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def authority(private: ec.EllipticCurvePrivateKey, lifetime: timedelta = timedelta(days=3650)) -> bytes:
    """The certificate of a CA named kubernetes."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


ALL = ("*", "bootstrap-signer-controller", "token-cleaner-controller")


def options(controllers: Sequence[str] = ALL) -> Options:
    """All controllers cost half a second of CPU, and some of each request: who looks at the work of a few names them."""
    private = key()
    certificate = authority(private)
    return Options(
        controllers=controllers,
        root_ca=certificate,
        service_account_private_key=pem(key()),
        cluster_signing_cert=certificate,
        cluster_signing_key=pem(private),
        allocate_node_cidrs=True,
        cluster_cidr="10.244.0.0/16",
        service_cluster_ip_range="10.96.0.0/12",
    )
