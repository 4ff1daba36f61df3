"""Which daemons become static pods, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from pybernetes.cli import upgrade
from pybernetes.cluster.assembly import hoststate, joinphases, staticpods
from pybernetes.cluster.assembly.hoststate import HostState
from pybernetes.cluster.assembly.runner import RunError
from pybernetes.cluster.assembly.staticpods import StaticPods
from pybernetes.component.command import Failure
from pybernetes.deploy.daemons import controlplane, node
from pybernetes.deploy.daemons.model import Cluster, Daemon, Host

from ...deploy.configurations import RECORDED, configuration
from .test_renewal import FakeRunner

HOST = Host("master1", "10.0.0.11")
ADDED = """
apiServer:
  extraEnvs: [{name: A, value: b}]
  extraVolumes: [{name: audit, hostPath: /etc/audit, mountPath: /audit, readOnly: true, pathType: Directory}]
"""


class Others(FakeRunner):
    """Of whom daemons are asked for."""

    def put(self, daemons: Sequence[Daemon]) -> None:
        self.did += [f"put {one.name}" for one in daemons]


def cluster(more: str = "") -> Cluster:
    """With an apiServer of the configuration."""
    return Cluster(configuration(f"{RECORDED}{more}"), (HOST,))


def test_the_control_plane_is_the_kubelets_and_the_rest_another_runners(tmp_path: Path) -> None:
    folder, others = tmp_path / "manifests", Others(tmp_path)
    packed: list[str] = []

    def image() -> str:
        packed.append("once")
        return "pybernetes-control-plane:1"

    runner = StaticPods(others, cluster, HOST, image, folder)
    kubelet, server = node.kubelet(cluster(), HOST), controlplane.api_server(cluster(), HOST)
    runner.put([kubelet])
    assert not packed and runner.described_in(kubelet) == others.described_in(kubelet)
    runner.put([server])
    runner.put([server, kubelet, controlplane.scheduler(cluster(), HOST)])
    assert packed == ["once"]
    assert sorted(path.name for path in folder.iterdir()) == ["kube-apiserver.yaml", "kube-scheduler.yaml"]
    assert tuple(runner.told("kube-apiserver")) == server.arguments and runner.told("etcd") == ()
    assert not [one for one in runner.differences([server]) if one.daemon == "kube-apiserver"]
    pod = yaml.safe_load((folder / "kube-apiserver.yaml").read_text())
    assert pod["spec"]["containers"][0]["image"] == "pybernetes-control-plane:1"
    changed = controlplane.api_server(cluster("apiServer: {extraArgs: [{name: v, value: '4'}]}"), HOST)
    assert [one.daemon for one in runner.differences([changed])] == ["kube-apiserver"]
    for work in (lambda: runner.again(["kubelet", "etcd"]), lambda: runner.restart("etcd")):
        with pytest.raises(RunError, match=r"etcd.*static pod"):
            work()
    runner.stop(["kube-apiserver", "kubelet"])
    assert [path.name for path in folder.iterdir()] == ["kube-scheduler.yaml"]
    assert others.did == ["put kubelet", "put kubelet", "stop kubelet"]


def test_what_a_configuration_adds_is_in_the_pod(tmp_path: Path) -> None:
    one = cluster(ADDED)
    StaticPods(Others(tmp_path), lambda: one, HOST, lambda: "image", tmp_path).put([controlplane.api_server(one, HOST)])
    pod = yaml.safe_load((tmp_path / "kube-apiserver.yaml").read_text())
    container = pod["spec"]["containers"][0]
    assert container["env"] == [{"name": "A", "value": "b"}]
    assert container["volumeMounts"][-1] == {"name": "audit", "mountPath": "/audit", "readOnly": True}
    assert pod["spec"]["volumes"][-1] == {"name": "audit", "hostPath": {"path": "/etc/audit", "type": "Directory"}}


def test_their_logs_are_dockers() -> None:
    assert staticpods.LOGS.format("etcd") == "docker logs $(docker ps -aqf name=k8s_etcd_ | head -n 1)"


def test_who_joins_has_a_kubelet_before_what_it_starts() -> None:
    names = [phase.name for phase in joinphases.in_order(True)]
    assert sorted(names) == sorted(phase.name for phase in joinphases.PHASES)
    assert (
        names.index("control-plane-prepare/kubeconfig") < names.index("balancer-on-node") < names.index("kubelet-start")
    )
    assert names.index("kubelet-start") < names.index("etcd-join") < names.index("control-plane-prepare/control-plane")


def test_it_is_said_that_nothing_upgrades_them(monkeypatch: pytest.MonkeyPatch) -> None:
    state = HostState(command="init", run_with="systemd", node_name="a", address="10.0.0.1", complete=True)
    state.static_pods = True
    monkeypatch.setattr(hoststate, "load", lambda: state)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(Failure, match="static pods, which are not upgraded"):
        upgrade._work({}, True)  # type: ignore[arg-type]
