"""Which daemons become static pods, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from pybernetes.cluster.assembly import joinphases, staticpods
from pybernetes.cluster.assembly.renewal import kept
from pybernetes.cluster.assembly.runner import RunError
from pybernetes.cluster.assembly.staticpods import Container, StaticPods
from pybernetes.cluster.image import CONTROL_PLANE
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


def pods(
    folder: Path, newest: Callable[[str], Container] = lambda name: Container(), give: Callable[[], None] = lambda: None
) -> StaticPods:
    """Manifests in `folder`/manifests, beside which others are."""
    return StaticPods(Others(folder), cluster, HOST, give, newest, folder / "manifests")


def test_the_control_plane_is_the_kubelets_and_the_rest_another_runners(tmp_path: Path) -> None:
    folder, others = tmp_path / "manifests", Others(tmp_path)
    packed: list[str] = []
    runner = StaticPods(others, cluster, HOST, lambda: packed.append("once"), lambda name: Container(), folder)
    kubelet, server = node.kubelet(cluster(), HOST), controlplane.api_server(cluster(), HOST)
    runner.put([kubelet])
    assert runner.differences([server]), "a plan packs nothing"
    assert not packed and runner.described_in(kubelet) == others.described_in(kubelet)
    runner.put([server])
    runner.put([server, kubelet, controlplane.scheduler(cluster(), HOST)])
    assert packed == ["once"]
    assert sorted(path.name for path in folder.iterdir()) == ["kube-apiserver.yaml", "kube-scheduler.yaml"]
    assert tuple(runner.told("kube-apiserver")) == server.arguments and runner.told("etcd") == ()
    assert not [one for one in runner.differences([server]) if one.daemon == "kube-apiserver"]
    pod = yaml.safe_load((folder / "kube-apiserver.yaml").read_text())
    assert pod["spec"]["containers"][0]["image"] == CONTROL_PLANE.full_name
    changed = controlplane.api_server(cluster("apiServer: {extraArgs: [{name: v, value: '4'}]}"), HOST)
    assert [one.daemon for one in runner.differences([changed])] == ["kube-apiserver"]
    assert runner.pinned("etcd") and not runner.pinned("kubelet")
    with pytest.raises(RunError, match=r"etcd.*static pod"):
        runner.restart("etcd")
    runner.stop(["kube-apiserver", "kubelet"])
    assert [path.name for path in folder.iterdir()] == ["kube-scheduler.yaml"]
    assert others.did == ["put kubelet", "put kubelet", "stop kubelet"]


def test_what_a_configuration_adds_is_in_the_pod(tmp_path: Path) -> None:
    one = cluster(ADDED)
    runner = StaticPods(Others(tmp_path), lambda: one, HOST, lambda: None, lambda name: Container(), tmp_path)
    runner.put([controlplane.api_server(one, HOST)])
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


OLD, NEW = Container("old", True), Container("new", True)


@pytest.mark.parametrize(
    ("back", "seen"),
    [
        # What runs, as it is looked at: before the manifest is written, then until the kubelet has taken it up.
        (False, [OLD, OLD, Container("old"), Container(), NEW]),
        (False, [OLD, Container("new")]),  # it has ended at once: whether it is well is asked by others
        (False, [Container(), Container(), NEW]),
        (True, [OLD, NEW, Container("new"), Container("old"), OLD]),
        (True, [OLD, OLD]),  # the kubelet has never seen the other one
        (True, [Container(), NEW]),  # what ran before is not known
    ],
)
def test_a_pod_is_there_when_the_kubelet_has_begun_it(
    back: bool, seen: list[Container], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the hash of its manifest, of the new one or of the one that was put back: every look counts, and no more are taken."""
    monkeypatch.setattr(staticpods, "POLL_SECONDS", 0.0)
    looks = iter(seen)
    runner = pods(tmp_path, lambda name: next(looks))
    server = controlplane.api_server(cluster(), HOST)
    runner.put([server])
    before = kept(runner.described_in(server))
    runner.describe([controlplane.api_server(cluster("apiServer: {extraArgs: [{name: v, value: '4'}]}"), HOST)])
    if back:
        before.put_back()
    runner.again(["kube-apiserver"])
    assert not list(looks)


def test_a_kubelet_that_does_nothing_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staticpods, "UPGRADE_SECONDS", -1.0)
    runner = pods(tmp_path)
    runner.put([controlplane.api_server(cluster(), HOST)])
    with pytest.raises(RunError, match=r"the kubelet has not begun the pod of .*/kube-apiserver\.yaml"):
        runner.again(["kube-apiserver"])


def test_the_others_are_anothers_business(tmp_path: Path) -> None:
    runner = pods(tmp_path, lambda name: OLD)
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/etcd.yaml").write_text("{}")
    (tmp_path / "kubelet").write_text("as described")
    runner.again(["etcd", "kubelet"])
    assert isinstance(runner._others, Others) and runner._others.did == ["kubelet as described"]
