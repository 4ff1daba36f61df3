"""A control plane in static pods of its own kubelet: from nothing, what its kubelet does for it, to another release, and back to nothing."""

from __future__ import annotations

import re
from pathlib import Path

from pybernetes import __version__
from tests.hosts import Host, lan

from .conftest import ADDRESSES, DOCKER
from .test_cluster import IMAGES, KUBECTL, PYBERNETES, configured, must, traces, until

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
MANIFESTS = "cat /etc/kubernetes/manifests/*.yaml"
RUN = "docker ps --format '{{.Names}}' | grep -E 'k8s_(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)_' | sort"
NEXT = "9.9.9"  # a release that differs by its name
# The same files in the same places with the same times: who is given the image of one host does not pack it once more.
INSTALLED = f"cd /opt/pybernetes/src/pybernetes && sed -i 's/{__version__}/{NEXT}/' __init__.py && touch -d @1700000000 __init__.py"
NEXT_PYBERNETES = f"PYTHONPATH=/opt/pybernetes/src {PYBERNETES}"
PACKING_SECONDS = 240.0  # for what may pack two images, on a machine with other work
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
        all_of_it_goes_back(master)
        must(second, f"mkdir -p {IMAGES}; cp {tmp_path}/images/* {IMAGES}")
        must(second, f"{PYBERNETES} {joining} --static-pods --run-with=systemd 2>&1")
        until(second, f"{READY} | grep -c ' 1/1 *Running '", "^8$")
        assert "etcd-master2" in must(second, READY) and "etcd.service" not in must(second, "ls /etc/systemd/system")
        until(second, f"{KUBECTL} -n kube-system get pods -l k8s-app=kube-dns --no-headers | grep -c '1/1'", "^2$")
        to_the_next_release(master, second)
        for host in (second, master):
            must(host, f"{PYBERNETES} reset --force 2>&1")
            left = set(traces(host).splitlines()) ^ set(before[host.name].splitlines())
            assert not left, (host.name, left, must(host, "docker ps --all; docker images --all"))


def begun(master: Host) -> str:
    """From nothing; the arguments for a further master."""
    must(master, f"cat >/root/cluster.yaml <<'END'\n{CONFIGURATION}END")
    command = f"{PYBERNETES} init --config=/root/cluster.yaml --static-pods --upload-certs --run-with=systemd 2>&1"
    code, said = master(command, PACKING_SECONDS)
    assert code == 0, said
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


def all_of_it_goes_back(master: Host) -> None:
    """A scheduler that does not take its flags: the controller manager, which had become well, goes back as well. What is not changed runs on."""
    assert "Every file of master1 is as this pybernetes would write it" in must(master, f"{PYBERNETES} upgrade plan")
    manifests, running = must(master, MANIFESTS), must(master, RUN).split()
    flags = '{extraArgs: [{name: %s, value: "2"}]}'
    configured(
        master,
        f"s/^controllerManager: {{}}/controllerManager: {flags % 'v'}/; s/^scheduler: {{}}/scheduler: {flags % 'no-such-flag'}/",
    )
    plan = must(master, f"{PYBERNETES} upgrade apply --dry-run")
    assert "anew, one after the other: kube-controller-manager, kube-scheduler, kubelet" in plan, plan
    code, said = master(f"{PYBERNETES} upgrade apply --yes --timeout=8s --skip-phases=backup 2>&1", PACKING_SECONDS)
    assert code == 1 and "kube-apiserver is as it is to be: it runs on" in said, said
    assert "rolled back: kube-controller-manager, kube-scheduler run with the files before" in said, said
    assert must(master, MANIFESTS) == manifests
    until(master, f"{READY} | grep -c ' 1/1 *Running '", "^4$")
    again = must(master, RUN).split()
    assert [pod.split("_")[1] for pod in again] == list(PODS)
    assert again[:2] == running[:2], "etcd and the API server were not touched"
    assert [pod.split("_")[4] for pod in again] == [pod.split("_")[4] for pod in running], "the same manifests"
    configured(master, f"s/^scheduler: .*/scheduler: {flags % 'v'}/")


def to_the_next_release(*masters: Host) -> None:
    """One master, then the other: each pod of the new image, by the manifest that its kubelet has read."""
    for number, host in enumerate(masters):
        must(host, INSTALLED)
        command = "apply --yes" if not number else "node"
        if number:
            must(host, f"cp {masters[0].folder.parent}/next/* {IMAGES}")
        code, said = host(f"{NEXT_PYBERNETES} upgrade {command} --skip-phases=backup 2>&1", PACKING_SECONDS)
        assert code == 0, said
        if not number:
            must(host, f"cp -r {IMAGES} {host.folder.parent}/next")
        assert re.findall(r"Writing \S+manifests/(\S+)\.yaml; starting", said) == list(PODS), said
        images = must(
            host,
            "docker ps --format '{{.Image}} {{.Names}}' | grep -E 'k8s_(etcd|kube-[acs])' | cut -d' ' -f1 | sort -u",
        )
        assert images == must(
            host, f"docker image inspect --format '{{{{.Id}}}}' pybernetes-control-plane:{NEXT} | cut -c8-19"
        )
        until(host, f"{READY} | grep -c ' 1/1 *Running '", "^8$")
    assert "--v=2" in must(masters[1], "cat /etc/kubernetes/manifests/kube-scheduler.yaml")
