"""The kubelet's own certificates: a self-signed one for its port, and a client certificate by TLS bootstrap.

Upstream: pkg/kubelet/certificate, cmd/kubelet/app/server.go, k8s.io/kubelet/config (certificateutil.GenerateSelfSignedCertKey).
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pybernetes.api.errors import StatusError
from pybernetes.api.types import certificates_v1
from pybernetes.client.types import Client

logger = logging.getLogger(__name__)

SELF_SIGNED_LIFETIME = timedelta(days=365)
SKEW = timedelta(hours=1)
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
CLIENT_USAGES = ("key encipherment", "digital signature", "client auth")
WAIT_SECONDS = 900.0  # for somebody to approve, as upstream waits
POLL_SECONDS = 0.5


def write_private(path: Path, data: bytes) -> None:
    """A file for root alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)


def _new_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _key_pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization as s

    pem: bytes = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    return pem


def serving_files(directory: Path, name: str, addresses: Sequence[str], now: datetime) -> tuple[str, str]:
    """kubelet.crt and kubelet.key in the directory, made anew where they are missing or have ended."""
    from cryptography import x509

    certificate, key = directory / "kubelet.crt", directory / "kubelet.key"
    if certificate.exists() and key.exists():
        present = x509.load_pem_x509_certificate(certificate.read_bytes())
        if present.not_valid_after_utc > now + SKEW:
            return str(certificate), str(key)
    private = _new_key()
    write_private(key, _key_pem(private))
    write_private(certificate, _self_signed(private, name, addresses, now))
    return str(certificate), str(key)


def _self_signed(key: Any, name: str, addresses: Sequence[str], now: datetime) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}@{int(now.timestamp())}")])
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + SELF_SIGNED_LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def signing_request(key: Any, node: str) -> bytes:
    """PEM of the request for system:node:NODE."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID

    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"),
        ]
    )
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


async def client_certificate(client: Client, node: str) -> tuple[bytes, bytes]:
    """Asks for a client certificate and waits until it is issued: certificate and key, PEM. ConnectionError where it is refused."""
    key = _new_key()
    request = certificates_v1.CertificateSigningRequest()
    request.metadata.generate_name = "csr-"
    request.spec.request = signing_request(key, node)
    request.spec.signer_name = CLIENT_SIGNER
    request.spec.usages = list(CLIENT_USAGES)
    made = await client.create(request)
    logger.info("waiting for certificate signing request %s to be approved", made.metadata.name)
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                present = await client.get(certificates_v1.CertificateSigningRequest, made.metadata.name)
            except StatusError as error:
                raise ConnectionError(f"certificate signing request {made.metadata.name}: {error}") from error
            if any(c.type in ("Denied", "Failed") for c in present.status.conditions):
                raise ConnectionError(f"certificate signing request {made.metadata.name} was denied")
            if present.status.certificate:
                return present.status.certificate, _key_pem(key)
            await asyncio.sleep(POLL_SECONDS)


def kubeconfig(server: str, ca: bytes | None, pair: Path) -> str:
    """A kubeconfig whose certificate and key are one file, so that both change at once."""
    authority = f"    certificate-authority-data: {base64.b64encode(ca).decode()}\n" if ca else ""
    return f"""apiVersion: v1
kind: Config
clusters:
- name: default-cluster
  cluster:
    server: {server}
{authority}contexts:
- name: default-context
  context:
    cluster: default-cluster
    user: default-auth
current-context: default-context
users:
- name: default-auth
  user:
    client-certificate: {pair}
    client-key: {pair}
"""


def renew_at(certificate: bytes) -> datetime:
    """When four fifths of its life are over; upstream takes a random point between seven and nine tenths."""
    from cryptography import x509

    found = x509.load_pem_x509_certificate(certificate)
    begins, ends = found.not_valid_before_utc, found.not_valid_after_utc
    return begins + (ends - begins) * 0.8


def utc_now() -> datetime:
    return datetime.now(UTC)
