"""A control plane in static pods of its own kubelet: from nothing, what its kubelet does for it, and back to nothing."""

from __future__ import annotations

from pathlib import Path

from tests.hosts import Host, lan

from .conftest import ADDRESSES, DOCKER
from .test_cluster import IMAGES, KUBECTL, PYBERNETES, must, traces, until

PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
CONFIGURATION = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
encryptionAlgorithm: ECDSA-P256
controlPlaneEndpoint: 10.20.0.11:6443
apiServer:
  extraArgs: [{name: audit-policy-file, value: /audit/policy.yaml}, {name: audit-log-path, value: "-"}]
  extraVolumes: [{name: audit, hostPath: /etc/audit, mountPath: /audit, readOnly: true, pathType: Directory}]
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
evictionHard: {imagefs.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%}
"""
POLICY = "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata, verbs: [create], resources: [{resources: [namespaces]}]}]}"
READY = f"{KUBECTL} -n kube-system get pods -l tier=control-plane --no-headers 2>&1"
RESTARTS = f"{KUBECTL} -n kube-system get pod kube-apiserver-master1 -o jsonpath='{{.status.containerStatuses[0].restartCount}}'"


def test_a_control_plane_in_static_pods(tmp_path: Path) -> None:
    names = ("master1", "master2")
    with lan(tmp_path, {name: ADDRESSES[name] for name in names}) as hosts:
        master, second = (hosts[name] for name in names)
        for host in (master, second):
            must(host, DOCKER)
            must(host, f"mkdir /etc/audit; echo '{POLICY}' >/etc/audit/policy.yaml")
        before = {host: traces(hosts[host]) for host in names}
        joining = begun(master)
        lost_and_begun_again(master)
        away_and_back(master)
        must(second, f"mkdir -p {IMAGES}; cp {tmp_path}/images/* {IMAGES}")
        must(second, f"{PYBERNETES} {joining} --static-pods --run-with=systemd 2>&1")
        until(second, f"{READY} | grep -c ' 1/1 *Running '", "^8$")
        assert "etcd-master2" in must(second, READY) and "etcd.service" not in must(second, "ls /etc/systemd/system")
        until(second, f"{KUBECTL} -n kube-system get pods -l k8s-app=kube-dns --no-headers | grep -c '1/1'", "^2$")
        for host in (second, master):
            must(host, f"{PYBERNETES} reset --force 2>&1")
            left = set(traces(host).splitlines()) ^ set(before[host.name].splitlines())
            assert not left, host.name


def begun(master: Host) -> str:
    """From nothing; the arguments for a further master."""
    must(master, f"cat >/root/cluster.yaml <<'END'\n{CONFIGURATION}END")
    said = must(
        master, f"{PYBERNETES} init --config=/root/cluster.yaml --static-pods --upload-certs --run-with=systemd 2>&1"
    )
    must(master, f"cp -r {IMAGES} {master.folder.parent}/images")
    until(master, f"{READY} | grep -c ' 1/1 *Running '", "^4$")
    told = must(master, f"ls /etc/kubernetes/manifests; ls /etc/systemd/system; {KUBECTL} -n kube-system get pods")
    for name in PODS:
        assert f"{name}.yaml\n" in told and f"{name}.service" not in told and f"{name}-master1" in told
    must(master, f"{KUBECTL} create namespace audited")
    until(master, "docker logs $(docker ps -qf name=k8s_kube-apiserver_)", '"requestURI":"/api/v1/namespaces')
    line, _ = [line.strip() for line in said.splitlines() if line.startswith("  pybernetes join ")]
    return line.removeprefix("pybernetes ")


def lost_and_begun_again(master: Host) -> None:
    """What is killed comes back, and its mirror tells of it."""
    must(master, "docker kill $(docker ps -qf name=k8s_kube-apiserver_)")
    until(master, RESTARTS, "^1$")
    must(master, "systemctl restart kubelet")
    until(master, f"{READY} | grep -c ' 1/1 *Running '", "^4$")
    assert must(master, RESTARTS) == "1", "a kubelet that is started anew goes on with the pods that there are"


def away_and_back(master: Host) -> None:
    """A manifest that is gone takes its pod along."""
    manifest = "/etc/kubernetes/manifests/kube-scheduler.yaml"
    must(master, f"mv {manifest} /root/")
    until(master, READY, r"\A(?!.*kube-scheduler)(?s:.)*\Z")
    until(master, "docker ps --format '{{.Names}}' | grep -c k8s_kube-scheduler_", "^0$")
    must(master, f"mv /root/kube-scheduler.yaml {manifest}")
    until(master, f"{READY} | grep -c ' 1/1 *Running '", "^4$")
