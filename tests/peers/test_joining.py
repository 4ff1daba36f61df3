"""Upstream's kubeadm of 1.20, with its kubelet, has a host join a cluster of ours, and ours one that it has made, on hosts that are namespaces."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import Host, lan, unable

from ..join.conftest import DOCKER, PROGRAMS
from .parts import FOLDER, why_not

WHY_NOT = why_not("kubeadm", "kubelet", "kube-apiserver", "kube-controller-manager") or unable(PROGRAMS)
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "all of it is there")

MASTER, WORKER = "10.20.0.11", "10.20.0.21"
PYBERNETES = "/opt/pybernetes/.venv/bin/python -m pybernetes"
KUBEADM = f"PATH={FOLDER}:$PATH kubeadm"
KUBECTL = "KUBECONFIG=/etc/kubernetes/admin.conf kubectl"
KUBELET = "{.status.nodeInfo.kubeletVersion} {.status.conditions[?(@.type=='Ready')].status}"
SECONDS = 90.0
OURS = f"""\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: {MASTER}}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
controlPlaneEndpoint: {MASTER}:6443
encryptionAlgorithm: ECDSA-P256
apiServer: {{extraArgs: [{{name: runtime-config, value: api/legacy=true}}]}}
---
apiVersion: pybernetes.io/v1alpha1
kind: ClusterLayout
kubeadmConfig: v1beta2
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
evictionHard: {{imagefs.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%}}
"""
THEIRS = f"""\
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: {MASTER}}}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
controlPlaneEndpoint: {MASTER}:6443
networking: {{podSubnet: 10.244.0.0/16}}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
evictionHard: {{imagefs.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%}}
"""
# What its static pods would run, with the flags that it gives them: no registry is at hand.
CONTROL_PLANE = f"""\
pki=/etc/kubernetes/pki manager=/etc/kubernetes/controller-manager.conf
setsid etcd --data-dir=/var/lib/etcd >/var/log/etcd.log 2>&1 &
setsid {FOLDER}/kube-apiserver --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range=10.96.0.0/12 --allow-privileged \
 --advertise-address={MASTER} --secure-port=6443 --tls-cert-file=$pki/apiserver.crt --tls-private-key-file=$pki/apiserver.key \
 --client-ca-file=$pki/ca.crt --enable-bootstrap-token-auth=true --service-account-issuer=https://kubernetes.default.svc.cluster.local \
 --service-account-key-file=$pki/sa.pub --service-account-signing-key-file=$pki/sa.key --authorization-mode=Node,RBAC \
 --enable-admission-plugins=NodeRestriction >/var/log/kube-apiserver.log 2>&1 &
for _ in $(seq 300); do [ "$({KUBECTL} get --raw=/readyz 2>/dev/null)" = ok ] && break; sleep 0.2; done
setsid {FOLDER}/kube-controller-manager --kubeconfig=$manager --authentication-kubeconfig=$manager --authorization-kubeconfig=$manager \
 --client-ca-file=$pki/ca.crt --allocate-node-cidrs=true --cluster-cidr=10.244.0.0/16 --cluster-signing-cert-file=$pki/ca.crt \
 --cluster-signing-key-file=$pki/ca.key --controllers=*,bootstrapsigner,tokencleaner --use-service-account-credentials=true \
 --root-ca-file=$pki/ca.crt --service-account-private-key-file=$pki/sa.key --leader-elect=false --port=0 \
 --flex-volume-plugin-dir=/tmp/flex >/var/log/kcm.log 2>&1 &
"""
NODE = "apiVersion: v1\nkind: Node\nmetadata: {name: master1, labels: {kubernetes.io/hostname: master1}}\n"
# As Debian's kubelet would be run, but for what a namespace on a machine with cgroup v2 has not.
UNIT = f"""\
[Service]
ExecStart={FOLDER}/kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf \
 --config=/var/lib/kubelet/config.yaml --cgroups-per-qos=false --enforce-node-allocatable= --make-iptables-util-chains=false \
 --fail-swap-on=false --network-plugin=
Restart=always
"""


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """A master and a worker, each with a Docker of its own."""
    with lan(tmp_path, {"master1": MASTER, "worker1": WORKER}) as made:
        for host in made.values():
            must(host, DOCKER)
        yield made["master1"], made["worker1"]


def must(host: Host, script: str) -> str:
    """The output of a script that has to succeed."""
    code, said = host(script, SECONDS)
    assert code == 0, f"{host.name}: {script}\n{said}"
    return said


def until(host: Host, script: str, shows: str, log: tuple[Host, str]) -> None:
    """Returns when the pattern is in the output; else AssertionError with the end of a log."""
    end = time.monotonic() + SECONDS
    while not re.search(shows, said := host(script)[1]):
        assert time.monotonic() < end, f"{script}: {said}\n{log[0](f'tail -n 30 {log[1]}')[1]}"
        time.sleep(0.3)


def test_their_worker_joins_a_cluster_of_ours(hosts: tuple[Host, Host]) -> None:
    """Where the cluster was told to remember itself in their words."""
    master, worker = hosts
    must(master, f"cat >/root/cluster.yaml <<'END'\n{OURS}END")
    must(master, f"{PYBERNETES} init --config=/root/cluster.yaml --skip-phases=addon --run-with=systemd 2>&1")
    command = must(master, f"{PYBERNETES} token create --print-join-command").strip()
    must(worker, f"cat >/etc/systemd/system/kubelet.service <<'END'\n{UNIT}END")
    said = must(worker, f"{KUBEADM} {command.removeprefix('pybernetes ')} --ignore-preflight-errors=all --v=2 2>&1")
    assert "This node has joined the cluster" in said, said
    until(
        master,
        f'{KUBECTL} get node worker1 -o jsonpath="{KUBELET}"',
        r"^v1\.20\.2 True$",
        (worker, "/var/log/units/kubelet.log"),
    )


def test_our_worker_joins_a_cluster_of_theirs(hosts: tuple[Host, Host]) -> None:
    """Its approver of 1.20 knows requests for kubelets by exactly three usages: "key encipherment" is one of them, whatever the key is."""
    master, worker = hosts
    must(master, f"cat >/root/cluster.yaml <<'END'\n{THEIRS}END")
    for phase in ("certs", "kubeconfig"):
        must(master, f"{KUBEADM} init phase {phase} all --config=/root/cluster.yaml 2>&1")
    must(master, CONTROL_PLANE)
    must(master, f"{KUBECTL} create -f - <<'END'\n{NODE}END")  # kubeadm writes its annotations
    must(master, f"{KUBEADM} init phase upload-config all --config=/root/cluster.yaml 2>&1")
    must(master, f"{KUBEADM} init phase bootstrap-token 2>&1")
    command = must(master, f"{KUBEADM} token create --print-join-command 2>/dev/null").strip()
    until(
        master, f"{KUBECTL} -nkube-public get cm cluster-info -o yaml", "jws-kubeconfig-", (master, "/var/log/kcm.log")
    )
    said = must(worker, f"{PYBERNETES} {command.removeprefix('kubeadm ')} --ignore-preflight-errors=all 2>&1")
    assert "This node has joined the cluster" in said, said
    until(
        master,
        f'{KUBECTL} get node worker1 -o jsonpath="{KUBELET}"',
        r"^v1\.37\.\S+ True$",
        (worker, "/var/log/pybernetes/kubelet.log"),
    )
