"""Upstream's kubeadm of 1.20 on our API server, and our `token`, `certs` and `join` on what it has written; a kubelet of upstream's joins."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

import pytest
from cryptography import x509

from ..ports import free_port
from .parts import FOLDER, Cluster, cluster, wait, why_not

WHY_NOT = why_not("kube-controller-manager", "kubeadm", "kubectl")
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "all of it is there")
TOKEN = "abcdef.0123456789abcdef"
PHASES = (("upload-config", "kubeadm"), ("upload-config", "kubelet"), ("bootstrap-token",), ("addon", "all"))


def master(one: Cluster) -> None:
    """kubeadm waits for its node, whose annotations it writes."""
    labels = "{kubernetes.io/hostname: master1}"
    one.kubectl(
        "apply", "-f", "-", stdin=f"apiVersion: v1\nkind: Node\nmetadata: {{name: master1, labels: {labels}}}\n"
    )


def test_its_phases_fill_our_cluster_and_our_commands_read_it(tmp_path: Path) -> None:
    with cluster(tmp_path) as one:
        one.api_server()
        log = one.controller_manager()
        master(one)
        for phase in PHASES:
            one.phase(*phase, f"--kubeconfig={one.admin}")
        one.phase("upload-certs", "--upload-certs", f"--kubeconfig={one.admin}")
        admin = f"--kubeconfig={one.admin}"
        one.upstream("kubeadm", "token", "create", TOKEN, admin)
        theirs = one.ours("token", "create", admin).strip()
        for listed in (one.upstream("kubeadm", "token", "list", admin), one.ours("token", "list", admin)):
            assert {TOKEN, theirs} <= {line.split()[0] for line in listed.splitlines()}
        # Upstream's bootstrap signer signs for tokens of both.
        signed = {f"jws-kubeconfig-{token.partition('.')[0]}" for token in (TOKEN, theirs)}
        wait("signatures", lambda: signed <= set(one.get("-nkube-public", "cm", "cluster-info").get("data", ())))
        systems = one.items("-nkube-system", "deployments,daemonsets")
        assert {item["metadata"]["name"] for item in systems} == {"coredns", "kube-proxy"}
        one.upstream("kubeadm", "token", "delete", theirs, admin)
        assert theirs not in one.ours("token", "list", admin)
        assert "Failed to list" not in log.read_text()


def ends(text: str) -> dict[str, list[str]]:
    """Columns of `certs check-expiration`, by certificate; what is not there is left out."""
    rows = (re.split(r"  +", line.strip()) for line in text.splitlines())
    return {row[0]: row[1:2] for row in rows if len(row) > 2 and "EXPIRES" not in row and "MISSING" not in row[0]}


def test_both_see_the_same_ends_of_certificates(tmp_path: Path) -> None:
    with cluster(tmp_path) as one:
        theirs = ends(one.upstream("kubeadm", "certs", "check-expiration", f"--config={one.configuration}"))
        ours = ends(one.ours("certs", "check-expiration", f"--cert-dir={one.pki}"))
        assert len(ours) == 10
        assert ours == theirs


# Who a certificate says its bearer is: what kubeadm itself has changed since 1.20 (in 1.29 and 1.31: fewer are system:masters).
SINCE = {
    "apiserver-kubelet-client.crt": "O=kubeadm:cluster-admins,CN=kube-apiserver-kubelet-client",
    "apiserver-etcd-client.crt": "CN=kube-apiserver-etcd-client",
    "etcd/healthcheck-client.crt": "CN=kube-etcd-healthcheck-client",
    "admin.conf": "O=kubeadm:cluster-admins,CN=kubernetes-admin",
}


def described(certificate: bytes) -> tuple[str, str, list[str], list[str]]:
    """Subject, issuer, names and purposes."""
    parsed = x509.load_pem_x509_certificate(certificate)
    names, purposes = list[str](), list[str]()
    for extension in parsed.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names = sorted(str(name.value) for name in extension.value)
        if isinstance(extension.value, x509.ExtendedKeyUsage):
            purposes = sorted(usage.dotted_string for usage in extension.value)
    subject = ",".join(a.rfc4514_string() for a in parsed.subject)
    return subject, parsed.issuer.rfc4514_string(), names, purposes


def written(pki: Path, configs: Path) -> dict[str, tuple[str, str, list[str], list[str]]]:
    """All leaf certificates, those in kubeconfigs as well."""
    found = {
        str(path.relative_to(pki)): described(path.read_bytes())
        for path in pki.rglob("*.crt")
        if not path.stem.endswith("ca")
    }
    for path in configs.glob("*.conf"):
        data = re.search(r"client-certificate-data: (\S+)", path.read_text())
        assert data
        found[path.name] = described(base64.b64decode(data[1]))
    return found


def test_both_write_the_same_files(tmp_path: Path) -> None:
    with cluster(tmp_path) as one:
        pki, configs = tmp_path / "ours" / "pki", tmp_path / "ours" / "kubeconfigs"
        flags = (
            *(f"--cert-dir={pki}", f"--control-plane-endpoint={one.address}:{one.port}"),
            *("--node-name=master1", f"--apiserver-advertise-address={one.address}"),
        )
        one.ours("init", "phase", "certs", "all", *flags, "--service-cidr=10.96.0.0/16")
        one.ours(
            *("init", "phase", "kubeconfig", "all", *flags),
            *(f"--apiserver-bind-port={one.port}", f"--kubeconfig-dir={configs}"),
        )
        theirs, ours = written(one.pki, one.configs), written(pki, configs)
        del ours["super-admin.conf"]  # since 1.29
        assert ours == {name: (SINCE.get(name, facts[0]), *facts[1:]) for name, facts in theirs.items()}
        modes = {
            path.relative_to(folder): path.stat().st_mode
            for folder in (one.pki, pki)
            for path in folder.rglob("*.*")
            if path.suffix != ".srl"
        }
        assert {path.relative_to(pki): path.stat().st_mode for path in pki.rglob("*.*")} == modes


KUBELET = """apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {{x509: {{clientCAFile: {pki}/ca.crt}}, anonymous: {{enabled: false}}}}
rotateCertificates: true
makeIPTablesUtilChains: false
failSwapOn: false
cgroupsPerQOS: false
enforceNodeAllocatable: []
port: {port}
healthzPort: 0
"""
BOOTSTRAP = """apiVersion: v1
kind: Config
clusters: [{{name: k, cluster: {{server: "https://{address}:{port}", certificate-authority: {pki}/ca.crt}}}}]
users: [{{name: u, user: {{token: {token}}}}}]
contexts: [{{name: c, context: {{cluster: k, user: u}}}}]
current-context: c
"""


def bootstrap(one: Cluster) -> Path:
    file = one.folder / "bootstrap.conf"
    file.write_text(BOOTSTRAP.format(address=one.address, port=one.port, pki=one.pki, token=TOKEN))
    return file


@pytest.mark.skipif(
    not ((FOLDER / "kubelet").exists() and shutil.which("dockerd")), reason="upstream's kubelet, and Docker for it"
)
def test_its_kubelet_gets_a_certificate_and_registers(tmp_path: Path) -> None:
    with cluster(tmp_path) as one:
        one.api_server()
        one.controller_manager()
        one.phase("bootstrap-token", f"--kubeconfig={one.admin}")
        one.upstream("kubeadm", "token", "create", TOKEN, f"--kubeconfig={one.admin}")
        (tmp_path / "config.yaml").write_text(KUBELET.format(pki=one.pki, port=free_port()))
        tool = Path(__file__).parents[2] / "tools" / "with-docker.sh"
        flags = (
            *(f"--bootstrap-kubeconfig={bootstrap(one)}", f"--kubeconfig={tmp_path}/kubelet.conf"),
            *(f"--config={tmp_path}/config.yaml", f"--cert-dir={tmp_path}/kubelet", f"--root-dir={tmp_path}/root"),
            *("--hostname-override=worker1", "--network-plugin="),
        )
        log = one.start(
            "kubelet",
            [str(tool), "sh", "-c", '"$@" --docker-endpoint=$DOCKER_HOST', "-", str(FOLDER / "kubelet"), *flags],
        )
        node = wait("the node", lambda: ready(one.get("node", "worker1")))
        assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.20.2"
        lease = one.get("-nkube-node-lease", "lease", "worker1")
        assert lease["spec"]["holderIdentity"] == "worker1"
        (request,) = one.items("csr")
        assert request["spec"]["username"] == "system:bootstrap:abcdef"
        wait("the range of its pods", lambda: one.get("node", "worker1")["spec"].get("podCIDR"))
        # Until its certificate is there it asks as nobody.
        refused = [line for line in log.read_text().splitlines() if "is forbidden" in line]
        assert [line for line in refused if "system:anonymous" not in line] == []


def ready(node: dict[str, object]) -> dict[str, object]:
    """The node, if it is."""
    conditions = node.get("status", {}).get("conditions", ())  # type: ignore[attr-defined]
    return node if any((c["type"], c["status"]) == ("Ready", "True") for c in conditions) else {}
