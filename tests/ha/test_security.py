"""Who may read what on the hosts of a cluster, and who may do what in it. Numbers are items of the CIS Kubernetes benchmark."""

from __future__ import annotations

import re

import pytest

from .cluster import KUBECTL, MASTERS, WORKERS, Cluster, must

KUBERNETES = "/etc/kubernetes"
PKI = f"{KUBERNETES}/pki"
CONFIGS = {"admin": "admin.conf", "controller-manager": "controller-manager.conf", "scheduler": "scheduler.conf"}


@pytest.mark.parametrize(
    ("item", "find", "mode"),
    [
        ("1.1.11", "/var/lib/etcd -maxdepth 0", 0o700),
        ("1.1.13-18", f"{KUBERNETES} -maxdepth 1 -name '*.conf'", 0o600),
        ("1.1.20", f"{PKI} -name '*.crt'", 0o644),
        ("1.1.21", f"{PKI} -name '*.key'", 0o600),
        ("4.1.5", f"{KUBERNETES}/kubelet.conf", 0o600),
        ("4.1.9", "/var/lib/kubelet/config.yaml", 0o600),
        ("4.1.9, its keys", "/var/lib/kubelet/pki -name '*.pem' -type f", 0o600),
        ("4.1.3", "/var/lib/kube-proxy -type f", 0o644),
        ("units hold no secret, and are read by all", "/etc/systemd/system -name 'kube*.service'", 0o644),
    ],
)
def test_files_are_their_owners(cluster: Cluster, item: str, find: str, mode: int) -> None:
    """Root's (1.1.2 to 1.1.19), and no more open than this."""
    told = must(cluster.hosts[MASTERS[1]], f"find {find} -printf '%m %u:%g %p\\n'")
    lines = [line.split() for line in told.splitlines()]
    assert lines, item
    open_files = [line for line in lines if int(line[0], 8) & ~mode or line[1] != "root:root"]
    assert not open_files, item


@pytest.mark.parametrize(
    ("item", "program", "pattern"),
    [
        ("1.2.6-8", "kube-apiserver", r"--authorization-mode=Node,RBAC "),
        ("1.2.4", "kube-apiserver", r"--kubelet-client-certificate=/\S+ --kubelet-client-key=/\S+ "),
        ("1.2.14", "kube-apiserver", r"--enable-admission-plugins=NodeRestriction "),
        ("1.2.22", "kube-apiserver", r"--service-account-key-file=/"),
        ("1.2.23, 26", "kube-apiserver", r"--etcd-cafile=/\S+ --etcd-certfile=/\S+ --etcd-keyfile=/\S+ --etcd-servers=https://"),
        ("1.2.24", "kube-apiserver", r"--tls-cert-file=/\S+ --tls-private-key-file=/"),
        ("1.2.25", "kube-apiserver", r"--client-ca-file=/"),
        ("1.3.3", "kube-controller-manager", r"--use-service-account-credentials=true"),
        ("1.3.4", "kube-controller-manager", r"--service-account-private-key-file=/"),
        ("1.3.5", "kube-controller-manager", r"--root-ca-file=/"),
        ("1.3.7", "kube-controller-manager", r"--bind-address=127\.0\.0\.1 "),
        ("1.4.2", "kube-scheduler", r"--bind-address=127\.0\.0\.1 "),
        ("2.1", "etcd", r"--cert-file=/\S+ .*--key-file=/"),
        ("2.2", "etcd", r"--client-cert-auth=true "),
        ("2.4", "etcd", r"--peer-cert-file=/\S+ .*--peer-key-file=/"),
        ("2.5", "etcd", r"--peer-client-cert-auth=true "),
        ("2.7", "etcd", rf"--trusted-ca-file={PKI}/etcd/ca.crt"),
    ],
)  # fmt: skip
def test_what_programs_are_started_with(cluster: Cluster, item: str, program: str, pattern: str) -> None:
    assert re.search(pattern, command_line(cluster, program)), item


@pytest.mark.parametrize(
    ("item", "program", "flag"),
    [
        ("1.2.2", "kube-apiserver", "--token-auth-file"),
        ("1.2.10", "kube-apiserver", "AlwaysAdmit"),
        ("1.2.12, 13", "kube-apiserver", "--disable-admission-plugins"),
        ("2.3", "etcd", "--auto-tls"),
        ("2.6", "etcd", "--peer-auto-tls"),
    ],
)
def test_what_programs_are_not_started_with(cluster: Cluster, item: str, program: str, flag: str) -> None:
    assert flag not in command_line(cluster, program), item


def command_line(cluster: Cluster, program: str) -> str:
    """Of the program on a master, with a space behind each argument."""
    script = f"tr '\\0' ' ' </proc/$(pgrep -of '{program} --a')/cmdline"
    return must(cluster.hosts[MASTERS[1]], script)


@pytest.mark.parametrize(
    ("item", "url", "codes"),
    [
        ("1.2.1: kubeadm's too lets in whoever comes, for discovery; they may see nothing", "6443/api/v1/pods", "403"),
        ("1.2.15", "6443/debug/pprof/", "403 404"),
        ("1.3.2", "10257/debug/pprof/", "401 403 404"),
        ("1.4.1", "10259/debug/pprof/", "401 403 404"),
        ("2.2", "2379/version", "000"),  # no certificate, no connection
        ("4.2.1, 2", "10250/pods", "401"),
        ("4.2.4", "10255/pods", "000"),
    ],
)
def test_who_comes_without_credentials_is_refused(cluster: Cluster, item: str, url: str, codes: str) -> None:
    host = cluster.hosts[MASTERS[1]]
    answers = {
        host(f"curl -sk -o /dev/null -w '%{{http_code}}' https://{place}:{url}")[1]
        for place in ("127.0.0.1", host.address)
    }
    assert answers <= {*codes.split(), "000"} and (codes == "000" or answers != {"000"}), item


@pytest.mark.parametrize(
    ("who", "may", "what"),
    [
        ("admin", True, "delete nodes"),
        ("controller-manager", True, "create serviceaccounts --subresource=token -n kube-system"),
        ("controller-manager", False, "delete nodes"),
        ("controller-manager", False, "create clusterrolebindings"),
        ("scheduler", True, "create pods --subresource=binding -n default"),
        ("scheduler", False, "get secrets -n kube-system"),
        ("scheduler", False, "create pods -n default"),
        ("scheduler", False, "update nodes"),
        ("kubelet", True, "update nodes/worker1 --subresource=status"),
        ("kubelet", False, "list secrets -A"),
        ("kubelet", False, "get secrets/kubeadm-certs -n kube-system"),
        ("kubelet", False, "create clusterrolebindings"),
        ("kubelet", False, "create pods --subresource=binding -n default"),
        ("default", False, "get secrets -n default"),
        ("default", False, "list nodes"),
    ],
)  # fmt: skip
def test_what_a_credential_may_do(cluster: Cluster, who: str, may: bool, what: str) -> None:
    """Each part's own, and a pod's (5.1)."""
    first, host = cluster.masters[0], cluster.hosts[WORKERS[0]]
    if who == "kubelet":
        text = must(host, f"cat {KUBERNETES}/kubelet.conf")
        assert "client-certificate: /var/lib/kubelet/pki/" in text
        output = host(f"KUBECONFIG={KUBERNETES}/kubelet.conf kubectl auth can-i {what} 2>/dev/null")[1]
    elif who == "default":
        output = first(f"{KUBECTL} auth can-i {what} --as=system:serviceaccount:default:default 2>/dev/null")[1]
    else:
        output = first(f"KUBECONFIG={KUBERNETES}/{CONFIGS[who]} kubectl auth can-i {what} 2>/dev/null")[1]
    assert output.split()[:1] == ["yes" if may else "no"]


def test_a_node_may_not_change_another_one(cluster: Cluster) -> None:
    """1.2.14: what the Node authorizer cannot tell, NodeRestriction does."""
    _, output = cluster.hosts[WORKERS[0]](
        f"KUBECONFIG={KUBERNETES}/kubelet.conf kubectl label node {WORKERS[1]} a=b 2>&1"
    )
    assert f'node "{WORKERS[0]}" is not allowed to modify node "{WORKERS[1]}"' in output


def test_no_secret_is_in_logs_or_process_lists(cluster: Cluster) -> None:
    """Tokens of join, keys of certificates, tokens of ServiceAccounts."""
    token, key = re.findall(r"--token \S{6}\.(\S{16})|--certificate-key (\S{64})", cluster.joining_master)
    secrets = [token[0], key[1]]
    for host in (*cluster.masters, *cluster.workers):
        told = must(host, "cat /var/log/units/*.log /var/log/pybernetes/* 2>/dev/null; ps -eo args; true")
        assert not [secret for secret in secrets if secret in told], host.name
        assert "PRIVATE KEY" not in told and not re.search(r"eyJhbGciOi\S{40}", told), host.name
