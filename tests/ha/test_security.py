"""Who may read what on the hosts of a cluster, and who may do what in it. Numbers are items of the CIS Kubernetes benchmark 1.10."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from itertools import chain

import pytest

from .benchmark import REASONS, all_items, items
from .cluster import AUDIT_LOG, ETCDCTL, KUBECTL, MASTERS, WORKERS, Cluster, must

KUBERNETES = "/etc/kubernetes"
PKI = f"{KUBERNETES}/pki"
CONFIGS = {"admin": "admin.conf", "controller-manager": "controller-manager.conf", "scheduler": "scheduler.conf"}


FILES: Sequence[tuple[str, str, int]] = [
    ("1.1.11", "/var/lib/etcd -maxdepth 0", 0o700),
    ("1.1.13-18", f"{KUBERNETES} -maxdepth 1 -name '*.conf'", 0o600),
    ("1.1.20: they are public, and kubeadm's are as these", f"{PKI} -name '*.crt'", 0o644),
    ("1.1.21", f"{PKI} -name '*.key'", 0o600),
    ("1.1.19", f"{PKI} -type d", 0o755),
    ("4.1.5, 6", f"{KUBERNETES}/kubelet.conf", 0o600),
    ("4.1.9, 10", "/var/lib/kubelet/config.yaml", 0o600),
    ("4.1.9: its keys", "/var/lib/kubelet/pki -name '*.pem' -type f", 0o600),
    ("4.1.3, 4", "/var/lib/kube-proxy -type f", 0o600),
    ("4.1.7, 8: as 1.1.20", f"{PKI}/ca.crt", 0o644),
    ("4.1.1, 2: units hold no secret, and are read by all", "/etc/systemd/system -type f -name 'kube*.service'", 0o644),
    ("1.2.28: the key of what is encrypted", f"{KUBERNETES}/encryption.yaml", 0o600),
    ("1.2.16", AUDIT_LOG, 0o600),
]  # fmt: skip
OWNERS = {"/var/lib/etcd": ["root:root", "etcd:etcd"]}  # 1.1.12: Debian's package may have made it
STARTED_WITH: Sequence[tuple[str, str, str]] = [
    ("1.2.6-8", "kube-apiserver", r"--authorization-mode=Node,RBAC "),
    ("1.2.4", "kube-apiserver", r"--kubelet-client-certificate=/\S+ --kubelet-client-key=/\S+ "),
    ("1.2.14", "kube-apiserver", r"--enable-admission-plugins=NodeRestriction "),
    ("1.2.15", "kube-apiserver", r"--profiling=false "),
    ("1.2.16", "kube-apiserver", r"--audit-log-path=/"),
    ("1.2.17-19", "kube-apiserver", r"--audit-log-maxage=30 --audit-log-maxbackup=10 --audit-log-maxsize=100 "),
    ("1.2.22", "kube-apiserver", r"--service-account-key-file=/"),
    ("1.2.23, 26", "kube-apiserver", r"--etcd-cafile=/\S+ --etcd-certfile=/\S+ .*--etcd-keyfile=/\S+ --etcd-servers=https://"),
    ("1.2.24", "kube-apiserver", r"--tls-cert-file=/\S+ --tls-private-key-file=/"),
    ("1.2.25", "kube-apiserver", r"--client-ca-file=/"),
    ("1.2.27", "kube-apiserver", r"--encryption-provider-config=/"),
    ("1.3.2", "kube-controller-manager", r"--profiling=false "),
    ("1.3.3", "kube-controller-manager", r"--use-service-account-credentials=true"),
    ("1.3.4", "kube-controller-manager", r"--service-account-private-key-file=/"),
    ("1.3.5", "kube-controller-manager", r"--root-ca-file=/"),
    ("1.3.7", "kube-controller-manager", r"--bind-address=127\.0\.0\.1 "),
    ("1.4.1", "kube-scheduler", r"--profiling=false "),
    ("1.4.2", "kube-scheduler", r"--bind-address=127\.0\.0\.1 "),
    ("2.1", "etcd", r"--cert-file=/\S+ .*--key-file=/"),
    ("2.2", "etcd", r"--client-cert-auth=true "),
    ("2.4", "etcd", r"--peer-cert-file=/\S+ .*--peer-key-file=/"),
    ("2.5", "etcd", r"--peer-client-cert-auth=true "),
    ("2.7", "etcd", rf"--trusted-ca-file={PKI}/etcd/ca.crt"),
]  # fmt: skip
NOT_STARTED_WITH: Sequence[tuple[str, str, str]] = [
    ("1.2.2", "kube-apiserver", "--token-auth-file"),
    ("1.2.10", "kube-apiserver", "AlwaysAdmit"),
    ("1.2.12, 13", "kube-apiserver", "--disable-admission-plugins"),
    ("1.2.21", "kube-apiserver", "--service-account-lookup"),
    ("2.3", "etcd", "--auto-tls"),
    ("2.6", "etcd", "--peer-auto-tls"),
]
REFUSED: Sequence[tuple[str, str, str]] = [
    ("1.2.1: kubeadm's too lets in whoever comes, for discovery; they may see nothing", "6443/api/v1/pods", "403"),
    ("1.2.15", "6443/debug/pprof/", "403 404"),
    ("1.3.2", "10257/debug/pprof/", "401 403 404"),
    ("1.4.1", "10259/debug/pprof/", "401 403 404"),
    ("2.2", "2379/version", "000"),  # no certificate, no connection
    ("4.2.1, 2", "10250/pods", "401"),
    ("4.2.4", "10255/pods", "000"),
]
KUBELET_SETTINGS: Sequence[tuple[str, str]] = [
    ("4.2.1", "anonymous:\n    enabled: false"),
    ("4.2.2", "mode: Webhook"),
    ("4.2.3", f"clientCAFile: {PKI}/ca.crt"),
    ("4.2.10", "rotateCertificates: true"),
]
CIPHERS: Sequence[tuple[str, int]] = [("1.2.29", 6443), ("4.2.12", 10250)]
ANYBODY_MAY_NOT: Sequence[tuple[str, str]] = [
    ("5.1.2", "get secrets -A"),
    ("5.1.4", "create pods -A"),
    ("5.1.8", "impersonate users"),
    ("5.1.8", "escalate clusterroles"),
    ("5.1.8", "bind clusterroles"),
    ("5.1.9", "create persistentvolumes"),
    ("5.1.10", "get nodes --subresource=proxy"),
    ("5.1.11", "update certificatesigningrequests --subresource=approval"),
    ("5.1.12", "create validatingwebhookconfigurations"),
    ("5.1.12", "create mutatingwebhookconfigurations"),
    ("5.1.13", "create serviceaccounts --subresource=token -A"),
]
# Of a pod that a restricted namespace takes; each makes it one that is refused, in the words that say why.
PODS: Sequence[tuple[str, str, str]] = [
    ("5.2.2", '{"spec": {"containers": [{"name": "a", "securityContext": {"privileged": true, "allowPrivilegeEscalation": true}}]}}', "privileged"),
    ("5.2.3", '{"spec": {"hostPID": true}}', "host namespaces (hostPID=true)"),
    ("5.2.4", '{"spec": {"hostIPC": true}}', "host namespaces (hostIPC=true)"),
    ("5.2.5", '{"spec": {"hostNetwork": true}}', "host namespaces (hostNetwork=true)"),
    ("5.2.6", '{"spec": {"containers": [{"name": "a", "securityContext": {"allowPrivilegeEscalation": true}}]}}', "allowPrivilegeEscalation"),
    ("5.2.7", '{"spec": {"securityContext": {"runAsNonRoot": false}}}', "runAsNonRoot != true"),
    ("5.2.8, 9", '{"spec": {"containers": [{"name": "a", "securityContext": {"capabilities": {"add": ["NET_RAW"]}}}]}}', "unrestricted capabilities"),
    ("5.2.10", '{"spec": {"containers": [{"name": "a", "securityContext": {"capabilities": {"drop": []}}}]}}', "unrestricted capabilities"),
    ("5.2.11", '{"spec": {"hostNetwork": true, "securityContext": {"windowsOptions": {"hostProcess": true}}}}', "hostProcess"),
    ("5.2.12", '{"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}}', "restricted volume types"),
    ("5.2.13", '{"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80, "hostPort": 80}]}]}}', "hostPort"),
]  # fmt: skip
OTHERS = ("1.2.28", "3.2.1, 2", "4.3.1", "5.1.1", "5.1.7", "5.2.1", "5.3.1")  # by tests without a table


def test_every_item_is_judged_or_has_its_reason() -> None:
    tables = (FILES, STARTED_WITH, NOT_STARTED_WITH, REFUSED, KUBELET_SETTINGS, CIPHERS, ANYBODY_MAY_NOT, PODS)
    judged = {item for row in chain(*tables) for item in items(str(row[0]))} | {
        i for text in OTHERS for i in items(text)
    }
    excused = {item for text in REASONS for item in items(text)}
    assert not judged & excused
    assert judged | excused == all_items()


@pytest.mark.parametrize(("item", "find", "mode"), FILES)
def test_files_are_their_owners(cluster: Cluster, item: str, find: str, mode: int) -> None:
    """Root's (1.1.2 to 1.1.19), and no more open than this."""
    told = must(cluster.hosts[MASTERS[1]], f"find {find} -printf '%m %u:%g %p\\n'")
    lines = [line.split() for line in told.splitlines()]
    assert lines, item
    open_files = [
        line for line in lines if int(line[0], 8) & ~mode or line[1] not in OWNERS.get(line[2], ["root:root"])
    ]
    assert not open_files, item


@pytest.mark.parametrize(("item", "program", "pattern"), STARTED_WITH)
def test_what_programs_are_started_with(cluster: Cluster, item: str, program: str, pattern: str) -> None:
    assert re.search(pattern, command_line(cluster, program)), item


@pytest.mark.parametrize(("item", "program", "flag"), NOT_STARTED_WITH)
def test_what_programs_are_not_started_with(cluster: Cluster, item: str, program: str, flag: str) -> None:
    assert flag not in command_line(cluster, program), item


def command_line(cluster: Cluster, program: str) -> str:
    """Of the program on a master, with a space behind each argument."""
    script = f"tr '\\0' ' ' </proc/$(pgrep -of '{program} --a')/cmdline"
    return must(cluster.hosts[MASTERS[1]], script)


@pytest.mark.parametrize(("item", "url", "codes"), REFUSED)
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


@pytest.mark.parametrize(("item", "setting"), KUBELET_SETTINGS)
def test_what_a_kubelet_is_configured_with(cluster: Cluster, item: str, setting: str) -> None:
    assert f"{setting}\n" in must(cluster.workers[0], "cat /var/lib/kubelet/config.yaml"), item


@pytest.mark.parametrize(("item", "port"), CIPHERS)
def test_old_versions_of_tls_are_refused(cluster: Cluster, item: str, port: int) -> None:
    host = cluster.masters[0]
    ask = (
        f"curl -sk -o /dev/null -w '%{{http_code}}' --ciphers DEFAULT@SECLEVEL=0 https://{host.address}:{port}/healthz"
    )
    assert host(f"{ask} --tls-max 1.2")[1] != "000"
    assert host(f"{ask} --tlsv1.0 --tls-max 1.1")[1] == "000", item
    assert host(f"{ask} --tls-max 1.2 --ciphers RC4:3DES:NULL:EXPORT:LOW")[1] == "000", item


@pytest.mark.parametrize(("item", "what"), ANYBODY_MAY_NOT)
def test_what_it_is_not_enough_to_be_somebody_for(cluster: Cluster, item: str, what: str) -> None:
    """Rights of system:authenticated."""
    asked = f"{KUBECTL} auth can-i {what} --as=somebody --as-group=system:authenticated 2>/dev/null"
    assert cluster.masters[0](asked)[1].split()[:1] == ["no"], item


def test_who_may_do_everything(cluster: Cluster) -> None:
    """5.1.1: nobody but administrators; 5.1.7: whose group is one that can be taken away."""
    first = cluster.masters[0]
    template = """{range .items[?(@.roleRef.name=="cluster-admin")]}{.metadata.name}{"\\n"}{end}"""
    bindings = set(must(first, f"{KUBECTL} get clusterrolebindings -o jsonpath='{template}'").split())
    assert bindings - {"load"} == {"cluster-admin", "kubeadm:cluster-admins"}
    told = must(first, f"{KUBECTL} auth whoami -o jsonpath='{{.status.userInfo.groups}}'")
    assert "kubeadm:cluster-admins" in told and "system:masters" not in told


def test_a_restricted_namespace_takes_a_pod_that_asks_for_nothing(cluster: Cluster) -> None:
    """5.2.1, and that the next test refuses for its reason alone."""
    assert '"kind": "Pod"' in must(cluster.masters[0], pod_in_restricted("{}"))


@pytest.mark.parametrize(("item", "change", "words"), PODS)
def test_pods_that_a_restricted_namespace_does_not_take(cluster: Cluster, item: str, change: str, words: str) -> None:
    code, output = cluster.masters[0](pod_in_restricted(change))
    assert code == 1 and 'violates PodSecurity "restricted:latest"' in output and words in output, item


def pod_in_restricted(change: str) -> str:
    """A script that asks whether a pod would be taken; with a change (JSON) to one that asks for nothing."""
    may = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"securityContext": security, "containers": [{"name": "a", "image": "a", "securityContext": may}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "restricted"}, "spec": spec}
    label = f"{KUBECTL} label --overwrite namespace restricted pod-security.kubernetes.io/enforce=restricted"
    prepare = f"{{ {KUBECTL} create namespace restricted; {label}; }} >/dev/null 2>&1"
    return f"{prepare}; echo '{json.dumps(merged(pod, json.loads(change)))}' | {KUBECTL} create --dry-run=server -o json -f - 2>&1"


def merged(one: object, other: object) -> object:
    """Maps by their fields, lists of maps by position."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one | {name: merged(one.get(name), value) for name, value in other.items()}
    if isinstance(one, list) and isinstance(other, list) and one and isinstance(one[0], dict):
        return [merged(*both) for both in zip(one, other, strict=True)]
    return other


def test_secrets_are_encrypted_where_they_are_stored(cluster: Cluster) -> None:
    """1.2.28; whoever reads etcd or a snapshot of it has none of them. What was done with it is in the audit log, and not what is in it (3.2)."""
    first = cluster.masters[0]
    must(
        first,
        f"{KUBECTL} delete secret hidden --ignore-not-found; {KUBECTL} create secret generic hidden --from-literal=a=never-in-etcd",
    )
    stored = must(
        first, f"{ETCDCTL} get /registry/secrets/default/hidden --print-value-only | head -c 4096 | base64 -w0"
    )
    assert base64.b64decode(stored).startswith(b"k8s:enc:aesgcm:v1:key1:") and b"never-in-etcd" not in base64.b64decode(
        stored
    )
    lines = [
        line for host in cluster.masters for line in must(host, f"cat {AUDIT_LOG}").splitlines() if '"hidden"' in line
    ]
    [event] = [one for one in map(json.loads, lines) if one["verb"] == "create"][-1:]
    assert (event["level"], event["user"]["username"], event["responseStatus"]["code"]) == (
        "Metadata",
        "kubernetes-admin",
        201,
    )
    assert "requestObject" not in event and "never-in-etcd" not in "".join(lines)


def test_metrics_of_kube_proxy_are_for_its_host_alone(cluster: Cluster) -> None:
    """4.3.1."""
    worker, code = cluster.workers[0], "curl -s -m 2 -o /dev/null -w '%{http_code}'"
    assert worker(f"{code} http://127.0.0.1:10249/metrics")[1] == "200"
    assert worker(f"{code} http://{worker.address}:10249/metrics")[1] == "000"


def test_network_policies_hold(cluster: Cluster) -> None:
    """5.3.1: what they do to packets is judged in tests/netns; here, that they are in force on every host."""
    for host in (*cluster.masters, *cluster.workers):
        assert host("systemctl is-active kube-network-policies")[1].strip() == "active", host.name
