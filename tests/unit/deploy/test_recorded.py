"""What the phases make, beside what a real kubeadm made (1.20.2); what upstream has changed since stands in a table."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from pybernetes.client.kubeconfig import load
from pybernetes.deploy import certificates, kubeconfigs, phases
from pybernetes.deploy.configuration import Configuration

from .configurations import configuration

GOLDEN = Path(__file__).parents[2] / "golden/kubeadm"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)

# file -> what today's kubeadm writes, and why.
CHANGED: dict[str, dict[str, Any]] = {
    # 1.29: rights that an object in the API gives, and that can be taken away again
    "apiserver-kubelet-client.crt": {"subject": "CN=kube-apiserver-kubelet-client,O=kubeadm:cluster-admins"},
    "admin.conf": {"certificate": "CN=kubernetes-admin,O=kubeadm:cluster-admins"},
    # 1.29: etcd knows no groups
    "apiserver-etcd-client.crt": {"subject": "CN=kube-apiserver-etcd-client"},
    "etcd/healthcheck-client.crt": {"subject": "CN=kube-etcd-healthcheck-client"},
    # 1.22 (client-go): verifiers that read no common names find an authority by name, too
    "ca.crt": {"sans": ["DNSName:kubernetes"]},
    "front-proxy-ca.crt": {"sans": ["DNSName:front-proxy-ca"]},
    "etcd/ca.crt": {"sans": ["DNSName:etcd-ca"]},
    # 1.33 (ControlPlaneKubeletLocalMode): a kubelet is never newer than its server
    "kubelet.conf": {"server": "https://10.0.0.11:6443"},
}
ADDED = {"super-admin.conf"}  # 1.29


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Configuration, Path]:
    folder = tmp_path_factory.mktemp("kubernetes")
    found = configuration(folder=folder / "pki")
    for certificate in certificates.CERTIFICATES:
        phases.make_certificate(found, certificate, NOW, lambda line: None)
    phases.make_service_account_key(found, lambda line: None)
    for kubeconfig in kubeconfigs.KUBECONFIGS:
        phases.make_kubeconfig(found, kubeconfig, folder, NOW, lambda line: None)
    return found, folder


def recorded(name: str) -> list[dict[str, Any]]:
    document = yaml.safe_load((GOLDEN / name).read_text())
    return document if isinstance(document, list) else document["certificates"] + document["keys"]


def expected(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, **CHANGED.get(entry["file"], {})}


def described(path: Path, file: str) -> dict[str, Any]:
    """In the recording's words."""
    content = path.read_bytes()
    mode = oct(stat.S_IMODE(path.stat().st_mode))[2:]
    if path.suffix != ".crt":
        return {"file": file, "mode": mode, "header": content.splitlines()[0].decode()}
    found = x509.load_pem_x509_certificate(content)
    key = found.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    of = {type(extension.value): extension.value for extension in found.extensions}
    usage = of[x509.KeyUsage]
    names = ("digital_signature", "key_encipherment", "key_cert_sign", "crl_sign", "data_encipherment", "key_agreement")
    others = list(of.get(x509.SubjectAlternativeName, ()))
    return {
        "file": file,
        "mode": mode,
        "subject": found.subject.rfc4514_string(),
        "issuer": found.issuer.rfc4514_string(),
        "days": (found.not_valid_after_utc - NOW).days,
        "key": f"RSA {key.key_size}",
        "sans": [f"{type(other).__name__}:{other.value}" for other in others],
        "usages": [name for name in names if getattr(usage, name)],
        "extended": [oid._name for oid in of.get(x509.ExtendedKeyUsage, ())],
        "ca": of[x509.BasicConstraints].ca,
    }


@pytest.mark.parametrize("entry", recorded("certificates.yaml"), ids=lambda entry: entry["file"])
def test_a_file_of_the_pki(entry: dict[str, Any], made: tuple[Configuration, Path]) -> None:
    assert described(made[1] / "pki" / entry["file"], entry["file"]) == expected(entry)


@pytest.mark.parametrize("entry", recorded("kubeconfigs.yaml"), ids=lambda entry: entry["file"])
def test_a_kubeconfig(entry: dict[str, Any], made: tuple[Configuration, Path]) -> None:
    path = made[1] / entry["file"]
    document = yaml.safe_load(path.read_text())
    context = document["contexts"][0]
    config = load(path)
    assert config.certificate is not None and config.ca_data == (made[1] / "pki/ca.crt").read_bytes()
    assert {
        "file": entry["file"],
        "mode": oct(stat.S_IMODE(path.stat().st_mode))[2:],
        "server": config.server,
        "cluster": context["context"]["cluster"],
        "user": context["context"]["user"],
        "context": document["current-context"],
        "certificate": x509.load_pem_x509_certificate(config.certificate).subject.rfc4514_string(),
    } == expected(entry)


def test_nothing_else_is_made(made: tuple[Configuration, Path]) -> None:
    present = {str(path.relative_to(made[1])) for path in made[1].rglob("*") if path.is_file()}
    known = {f"pki/{entry['file']}" for entry in recorded("certificates.yaml")}
    assert present == known | {entry["file"] for entry in recorded("kubeconfigs.yaml")} | ADDED


def test_no_change_is_idle() -> None:
    every = {entry["file"]: entry for name in ("certificates.yaml", "kubeconfigs.yaml") for entry in recorded(name)}
    assert [
        file for file, change in CHANGED.items() if all(every[file][key] == value for key, value in change.items())
    ] == []
