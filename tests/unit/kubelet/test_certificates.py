"""The kubelet's own certificates."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from pybernetes.api.types import certificates_v1
from pybernetes.client.kubeconfig import load
from pybernetes.kubelet import certificates
from pybernetes.pki.contexts import ServerContext

NOW = datetime.now(UTC)


def test_the_serving_certificate_is_made_once(tmp_path: Path) -> None:
    files = certificates.serving_files(tmp_path, "n", ["192.0.2.1"], NOW)
    first = files[0].read_bytes()
    assert certificates.serving_files(tmp_path, "n", ["192.0.2.1"], NOW) == files
    assert files[0].read_bytes() == first
    ServerContext(*files)
    names = x509.load_pem_x509_certificate(first).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n"]
    certificates.serving_files(tmp_path, "n", [], NOW + timedelta(days=365))
    assert files[0].read_bytes() != first
    assert files[1].stat().st_mode & 0o777 == 0o600


class Signer:
    """An API that signs every request, or denies it."""

    def __init__(self, denies: bool = False) -> None:
        self._denies = denies
        self.request = certificates_v1.CertificateSigningRequest()

    async def create(self, request: Any) -> Any:
        self.request = request
        request.metadata.name = "csr-1"
        return request

    async def get(self, kind: type, name: str) -> Any:
        if self._denies:
            denied = certificates_v1.CertificateSigningRequestCondition(type="Denied", status="True")
            self.request.status.conditions = [denied]
        else:
            self.request.status.certificate = b"signed"
        return self.request


def test_bootstrap_asks_for_the_nodes_certificate() -> None:
    signer = Signer()
    pair = asyncio.run(certificates.client_certificate(signer, "n1"))  # type: ignore[arg-type]  # two verbs
    assert pair.certificate == b"signed" and b"PRIVATE KEY" in pair.key
    request = x509.load_pem_x509_csr(signer.request.spec.request)
    assert request.subject.rfc4514_string() == "CN=system:node:n1,O=system:nodes"
    assert signer.request.spec.signer_name == "kubernetes.io/kube-apiserver-client-kubelet"
    with pytest.raises(ConnectionError, match="was denied"):
        asyncio.run(certificates.client_certificate(Signer(denies=True), "n1"))  # type: ignore[arg-type]  # two verbs


def test_the_kubeconfig_points_at_one_file(tmp_path: Path) -> None:
    (tmp_path / "pair.pem").write_bytes(b"both")
    path = tmp_path / "kubeconfig"
    path.write_text(certificates.kubeconfig("https://h:6443", b"ca", tmp_path / "pair.pem"))
    config = load(path)
    assert (config.server, config.ca_data, config.certificate, config.key) == (
        "https://h:6443",
        b"ca",
        b"both",
        b"both",
    )
