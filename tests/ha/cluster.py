"""A cluster of hosts that are namespaces, made by one command on each, run by (what stands in for) systemd."""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.hosts import Host

PROGRAMS = (
    "ip",
    "iptables",
    "conntrack",
    "dockerd",
    "etcd",
    "etcdctl",
    "nginx",
    "keepalived",
    "curl",
    "sshd",
    "faketime",
)
MASTERS, WORKERS, SPARE = ("master1", "master2", "master3"), ("worker1", "worker2"), "spare"
ADDRESSES = {
    **{name: f"10.20.0.{11 + number}" for number, name in enumerate(MASTERS)},
    **{name: f"10.20.0.{21 + number}" for number, name in enumerate(WORKERS)},
    SPARE: "10.20.0.31",  # in no cluster, and without Docker
}
VIRTUAL, PORT = "10.20.0.10", 8443
ENDPOINT = f"{VIRTUAL}:{PORT}"
PYBERNETES = "/opt/pybernetes/.venv/bin/python -m pybernetes"
KUBECTL = "KUBECONFIG=/etc/kubernetes/admin.conf kubectl"
_ETCD = "/etc/kubernetes/pki/etcd"
ETCDCTL = f"ETCDCTL_API=3 etcdctl --cacert={_ETCD}/ca.crt --cert={_ETCD}/healthcheck-client.crt --key={_ETCD}/healthcheck-client.key"
IMAGES = "/var/lib/pybernetes/images"
WEB = Path(__file__).parent / "web.yaml"
CONTROL_PLANE = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "nginx",
    "keepalived",
    "balancer",
)
NODE = ("kubelet", "kube-proxy", "flanneld")
GRACE_SECONDS = 24  # of a silent node, here: a renewal each ten seconds, and a master that goes before one; the default is of tests/unit/controllers
AUDIT_LOG = "/var/log/kubernetes/audit.log"
_HARDENING = {
    "audit-log-path": AUDIT_LOG,
    "audit-log-maxage": "30",
    "audit-log-maxbackup": "10",
    "audit-log-maxsize": "100",
    "audit-policy-file": "/etc/kubernetes/audit.yaml",
    "encryption-provider-config": "/etc/kubernetes/encryption.yaml",
    "profiling": "false",
}
_FLAGS = ", ".join(f"{{name: {name}, value: {value!r}}}" for name, value in _HARDENING.items())
_UNPROFILED = "{name: profiling, value: 'false'}"
AUDIT = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, verbs: [get, list, watch]}
- {level: None, resources: [{group: coordination.k8s.io, resources: [leases]}]}
- {level: None, namespaces: [load]}
- {level: Metadata}
"""
_KEY = base64.b64encode(bytes(range(32))).decode()
ENCRYPTION = f"""\
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- {{resources: [secrets], providers: [{{aesgcm: {{keys: [{{name: key1, secret: {_KEY}}}]}}}}, {{identity: {{}}}}]}}
"""
# etcd keeps its whole history, for who judges what clients were told. How full the machine's disk is moves no pods.
CONFIGURATION = f"""\
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
controlPlaneEndpoint: {ENDPOINT}
encryptionAlgorithm: ECDSA-P256
apiServer: {{extraArgs: [{{name: etcd-compaction-interval, value: 0s}}, {_FLAGS}]}}
controllerManager: {{extraArgs: [{{name: node-monitor-grace-period, value: {GRACE_SECONDS}s}}, {_UNPROFILED}]}}
scheduler: {{extraArgs: [{_UNPROFILED}]}}
---
apiVersion: pybernetes.io/v1alpha1
kind: ClusterLayout
balancer: {{kind: nginx, routerID: 51}}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
evictionHard: {{imagefs.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%}}
"""
DOCKER = """
mkdir -p /etc/docker
echo '{"bridge": "none", "iptables": false, "ip6tables": false, "exec-opts": ["native.cgroupdriver=cgroupfs"]}' >/etc/docker/daemon.json
setsid dockerd >/var/log/dockerd.log 2>&1 </dev/null &
for _ in $(seq 300); do docker version >/dev/null 2>&1 && exit; sleep 0.1; done
cat /var/log/dockerd.log
exit 1
"""
HARDENED = f"""
mkdir -p /etc/kubernetes
umask 077
cat >/etc/kubernetes/audit.yaml <<'END'
{AUDIT}END
cat >/etc/kubernetes/encryption.yaml <<'END'
{ENCRYPTION}END
"""
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.2


def slack() -> float:
    """How much more time what is no matter of seconds may have, where the machine has other work: 1 on a quiet one."""
    return max(1.0, min(os.getloadavg()[0] / (os.cpu_count() or 1), 4.0))


def must(host: Host, script: str, seconds: float = 90.0) -> str:
    """The output of a script that has to succeed."""
    code, output = host(script, seconds)
    assert code == 0, f"{host.name}: {script}\n{output}{logs(host)}"
    return output


def until(host: Host, script: str, shows: str, seconds: float = WAIT_SECONDS) -> str:
    """The output, as soon as the pattern is in it."""
    end = time.monotonic() + seconds
    while True:
        output = host(script)[1]
        if re.search(shows, output):
            return output
        assert time.monotonic() < end, f"{host.name}: {script}\nwant {shows}, last:\n{output}{logs(host)}"
        time.sleep(POLL_SECONDS)


def logs(host: Host) -> str:
    """The last lines of each daemon on it."""
    return host("tail -n 12 /var/log/units/*.log 2>/dev/null")[1]


@dataclass
class Cluster:
    """What `build` has made. `joining` are the arguments that `init` printed for workers, `took` seconds by step."""

    hosts: Mapping[str, Host]
    joining: str = ""
    joining_master: str = ""
    took: dict[str, float] = field(default_factory=dict)

    @property
    def masters(self) -> Sequence[Host]:
        return [self.hosts[name] for name in MASTERS]

    @property
    def workers(self) -> Sequence[Host]:
        return [self.hosts[name] for name in WORKERS]

    def holder(self) -> Host:
        """Who has the virtual address. AssertionError where it is nobody, or more than one for seconds."""
        end = time.monotonic() + WAIT_SECONDS
        while True:
            holders = [host for host in self.masters if f" {VIRTUAL}/" in host("ip -o -4 address show dev eth0")[1]]
            if len(holders) == 1:
                return holders[0]
            assert time.monotonic() < end, [host.name for host in holders]
            time.sleep(POLL_SECONDS)

    def etcd_leader(self) -> Host:
        """Where the member is that leads."""
        status = must(self.hosts["master1"], f"{ETCDCTL} endpoint status --cluster -w simple")
        [leader] = [line.split(", ") for line in status.splitlines() if line.split(", ")[4] == "true"]
        return next(host for host in self.masters if host.address in leader[0])

    def settle(self) -> None:
        """Returns when every part of the control plane is well again, and one host has the address."""
        for host in self.masters:
            until(host, f"curl -sk -m 2 https://{host.address}:6443/readyz", "^ok")
            until(host, "curl -s -m 2 http://127.0.0.1:2381/health", '"true"')
            until(host, f"curl -sk -m 2 https://127.0.0.1:{PORT}/livez", "^ok")
            # And the balancers lead to all of them again.
            until(host, "grep -c '^        server ' /etc/pybernetes/balancer/nginx.conf", "^3$")
        self.holder()


def build(hosts: Mapping[str, Host]) -> Cluster:
    """From nothing: Docker on all that get pods, init, join."""
    cluster = Cluster(hosts)
    members = [hosts[name] for name in (*MASTERS, *WORKERS)]
    with ThreadPoolExecutor(len(members)) as threads:
        list(threads.map(lambda host: must(host, DOCKER), members))
        for host in cluster.masters:
            must(host, HARDENED)
        began = time.monotonic()
        _init(cluster)
        for host in members[1:]:  # what they all would pack, each on its own
            must(host, f"mkdir -p {IMAGES} && cp {host.folder.parent}/images/* {IMAGES}")
        for host in cluster.masters[1:]:
            _join(cluster, host, cluster.joining_master)
        list(threads.map(lambda host: _join(cluster, host, cluster.joining), cluster.workers))
    until(cluster.masters[-1], f"{KUBECTL} get nodes --no-headers | grep -c ' Ready '", "^5$")
    cluster.took["all"] = time.monotonic() - began
    return cluster


def _init(cluster: Cluster) -> None:
    first, began = cluster.masters[0], time.monotonic()
    must(first, f"cat >/root/cluster.yaml <<'END'\n{CONFIGURATION}END")
    command = f"{PYBERNETES} init --config=/root/cluster.yaml --upload-certs --run-with=systemd"
    printed = must(first, f"set -o pipefail; {command} 2>&1 | tee /root/init.log")
    lines = [line.strip() for line in printed.splitlines() if line.startswith("  pybernetes join ")]
    cluster.joining_master, cluster.joining = (line.removeprefix("pybernetes ") for line in (lines[0], lines[-1]))
    until(first, f"curl -sk https://{ENDPOINT}/livez", "^ok")
    cluster.took["init"] = time.monotonic() - began
    must(first, f"cp -r {IMAGES} {first.folder.parent}/images")


def _join(cluster: Cluster, host: Host, arguments: str) -> None:
    began = time.monotonic()
    must(host, f"{PYBERNETES} {arguments} --run-with=systemd 2>&1")
    cluster.took[f"join {host.name}"] = time.monotonic() - began


def serve(cluster: Cluster) -> None:
    """The Service that is called throughout, answered by pods on two hosts, whichever there are."""
    first = cluster.masters[0]
    must(first, f"{KUBECTL} apply -f - <<'END'\n{WEB.read_text()}END")
    must(first, f"{KUBECTL} rollout status deployment/hello --timeout=60s")
    until(first, "for _ in $(seq 8); do curl -s -m 2 http://10.20.0.21:30080/; done | sort -u", r"on \S+\n.*on \S+")
