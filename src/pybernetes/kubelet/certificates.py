"""The kubelet's own certificates: a self-signed one for its port, and a client certificate by TLS bootstrap.

Upstream: pkg/kubelet/certificate, cmd/kubelet/app/server.go, k8s.io/kubelet/config (certificateutil.GenerateSelfSignedCertKey).
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pybernetes.api.errors import StatusError
from pybernetes.api.types import certificates_v1
from pybernetes.api.wellknown import KUBE_API_SERVER_CLIENT_KUBELET_SIGNER, NODE_USER_PREFIX, NODES_GROUP
from pybernetes.client.types import Client
from pybernetes.pki.files import Pair, write_pair

logger = logging.getLogger(__name__)

CLIENT_USAGES = ("key encipherment", "digital signature", "client auth")
WAIT_SECONDS = 900.0  # for somebody to approve, as upstream waits
POLL_SECONDS = 0.5


def serving_files(directory: Path, name: str, addresses: Sequence[str], now: datetime) -> tuple[Path, Path]:
    """kubelet.crt and kubelet.key in the directory, made anew where they are missing or have ended."""
    from pybernetes.pki.certificates import SELF_SIGNED_SKEW, ends_at, self_signed

    certificate, key = directory / "kubelet.crt", directory / "kubelet.key"
    if not (certificate.exists() and key.exists() and ends_at(certificate.read_bytes()) > now + SELF_SIGNED_SKEW):
        write_pair(certificate, key, self_signed(name, [name], addresses, now))
    return certificate, key


async def client_certificate(client: Client, node: str) -> Pair:
    """Asks for a client certificate and waits until it is issued. ConnectionError where it is refused."""
    from pybernetes.pki import keys, requests
    from pybernetes.pki.certificates import Subject

    key = keys.generate()
    request = certificates_v1.CertificateSigningRequest()
    request.metadata.generate_name = "csr-"
    request.spec.request = requests.request(key, Subject(f"{NODE_USER_PREFIX}{node}", [NODES_GROUP]))
    request.spec.signer_name = KUBE_API_SERVER_CLIENT_KUBELET_SIGNER
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
                return Pair(present.status.certificate, keys.private_pem(key))
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
