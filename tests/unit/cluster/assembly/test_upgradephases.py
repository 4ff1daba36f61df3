"""What a host is to run after an upgrade, by what the cluster says and what it runs already."""

from __future__ import annotations

from pathlib import Path

from pybernetes.cluster.assembly.clusterconfig import Fetched
from pybernetes.cluster.assembly.hoststate import HostState
from pybernetes.cluster.assembly.runner import Supervised
from pybernetes.cluster.assembly.upgradephases import Upgrade
from pybernetes.deploy import layout, types
from pybernetes.deploy.configuration import Configuration, defaulted
from pybernetes.deploy.daemons import balancer, etcd, node
from pybernetes.deploy.daemons.model import BALANCER, ETCD, MASTER, Daemon, Host

MASTERS = tuple(Host(f"m{n}", f"10.0.0.1{n}", (ETCD, MASTER, BALANCER), "eth0") for n in (1, 2, 3))
RUNS = ["etcd", "kube-apiserver", "nginx", "keepalived", "balancer", "kubelet", "kube-proxy"]
KUBELET = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 7\n"


def upgraded(tmp_path: Path, foreign: bool = False) -> dict[str, Daemon]:
    """Of the first master of three, which began alone and with kube-proxy but without flannel."""
    described = layout.ClusterLayout(balancer=layout.BalancerLayout(kind="nginx"))
    given = types.ClusterConfiguration(control_plane_endpoint="10.0.0.10:8443", kubernetes_version="v1.36.0")
    configuration = defaulted(Configuration(types.InitConfiguration(), given), "m1", "10.0.0.11")
    names = list(RUNS)
    state = HostState(command="init", run_with="supervisor", node_name="m1", address="10.0.0.11", daemons=names)
    runner = Supervised(tmp_path / "programs.json", tmp_path)
    work = Upgrade(configuration, described, MASTERS[0], runner, state, lambda line: None)
    alone = work.cluster()
    runner.describe([etcd.etcd(alone, MASTERS[0], MASTERS[:1])])
    proxy = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
    work.__dict__["said"] = Fetched(configuration, described, KUBELET, proxy, foreign)
    work.learn()
    work.__dict__["whole"] = work.cluster(MASTERS)
    return {daemon.name: daemon for daemon in work.daemons()}


def test_what_a_master_runs_then(tmp_path: Path) -> None:
    daemons = upgraded(tmp_path)
    assert set(daemons) == {*RUNS, node.POLICIES}, "flannel was left out at the beginning, and stays out"
    servers = "https://10.0.0.11:2379,https://10.0.0.12:2379,https://10.0.0.13:2379"
    assert f"--etcd-servers={servers}" in daemons["kube-apiserver"].arguments
    assert "--initial-cluster=m1=https://10.0.0.11:2380" in daemons["etcd"].arguments
    assert daemons["nginx"].files == daemons["keepalived"].files == ()
    (file,) = daemons["kubelet"].files
    assert file.path == node.KUBELET_CONFIG and "maxPods: 7" in file.text and "rotateCertificates: true" in file.text
    assert [file.path for file in daemons["kube-proxy"].files] == [node.PROXY_CONFIG]
    assert balancer.WATCHER in daemons


def test_a_cluster_of_kubeadms_gets_no_parts_of_ours(tmp_path: Path) -> None:
    assert set(upgraded(tmp_path, foreign=True)) == set(RUNS)
