from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.cluster import parts
from pybernetes.cluster.layout import Layout
from pybernetes.cluster.settings import ClusterConfig, conflicts, problems
from pybernetes.cluster.state import PartState, SupervisorState
from pybernetes.cluster.up import Machine, failing, hollow_because, is_ready, last_line, node_address
from pybernetes.component import flags
from pybernetes.kubelet.options import FLAGS as KUBELET_FLAGS

MASTER = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]
SETTINGS = ClusterConfig(node_name="a", addresses=["192.0.2.2"])


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (Machine(True, (), True), ""),
        (Machine(False, (), True), "not root"),
        (Machine(True, ("docker.io",), False), "no Docker"),
    ],
)
def test_why_pods_run_hollow(machine: Machine, words: str) -> None:
    assert words in hollow_because(machine)
    assert bool(words) is bool(hollow_because(machine))


def test_parts_that_cannot_start_are_named_with_their_last_words(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.logs.mkdir()
    layout.log("b").write_text("one\ntwo\n")
    running = SupervisorState(1, [PartState("a", 7, 5, "exit code 1"), PartState("b", 0, 2, "exit code 2")])
    assert failing(running, layout) == "b ended 2 times (exit code 2): two"
    assert failing(None, layout) == ""
    assert last_line(layout.log("missing")) == "it has no log"


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (SETTINGS, [*MASTER, "kubelet", "kube-proxy", "kube-network-policies", "service-load-balancer"]),
        (
            ClusterConfig(node_name="a", addresses=["192.0.2.2"], network_policies=False, load_balancer=False),
            [*MASTER, "kubelet", "kube-proxy"],
        ),
        (
            ClusterConfig(
                node_name="a", addresses=["192.0.2.2"], network_policies=False, load_balancer=False, ingress=True
            ),
            [*MASTER, "kubelet", "kube-proxy", "nginx-ingress-controller"],
        ),
        (
            ClusterConfig(node_name="a", addresses=["192.0.2.2"], hollow_nodes=1, ingress=True),
            [*MASTER, "kubelet"],
        ),
        (
            ClusterConfig(node_name="a", addresses=["192.0.2.2"], nft=False),
            [*MASTER, "kubelet", "kube-proxy", "service-load-balancer"],
        ),
        (
            ClusterConfig(node_name="a", addresses=["192.0.2.2"], hollow_nodes=2),
            [*MASTER, "kubelet"],
        ),
        (
            ClusterConfig(node_name="a", addresses=["192.0.2.2"], own_docker=True),
            ["dockerd", *MASTER, "kubelet", "kube-proxy", "kube-network-policies", "service-load-balancer"],
        ),
    ],
)
def test_which_parts_run(settings: ClusterConfig, names: list[str]) -> None:
    assert [part.name for part in parts.parts(Layout(Path("/x")), settings)] == names


def test_plugins_connect_pods_where_that_is_asked_for() -> None:
    """The kubelet is told its flags, and takes them; else those of its own network."""

    def told(settings: ClusterConfig) -> list[str]:
        kubelet = parts.kubelet(Layout(Path("/x")), settings)
        flags.parse(kubelet.name, KUBELET_FLAGS, list(kubelet.arguments))
        return [each for each in kubelet.arguments if each.startswith(("--cni", "--network", "--non-masq"))]

    assert told(SETTINGS) == ["--non-masquerade-cidr=10.244.0.0/16"]
    chosen = ClusterConfig(node_name="a", addresses=["192.0.2.2"], network_plugin="cni", cni_bin_dir=["/a", "/b"])
    assert told(chosen) == ["--network-plugin=cni", "--cni-conf-dir=/etc/cni/net.d", "--cni-bin-dir=/a,/b"]
    wrong = ClusterConfig(node_name="a", addresses=["192.0.2.2"], network_plugin="bridge")
    assert problems(wrong) == ["--network-plugin=bridge: it is kubenet or cni"]
    assert conflicts(SETTINGS, {"network_plugin": "cni"}) == [
        "--network-plugin=cni: the cluster was made with kubenet, which cannot change; start over with `pybernetes down --purge`"
    ]


@pytest.mark.parametrize(
    ("before", "present", "address"),
    [
        ([], ["192.0.2.2", "172.17.0.1"], "192.0.2.2"),
        (["172.17.0.1"], ["192.0.2.2", "172.17.0.1"], "172.17.0.1"),
        (["192.0.2.9"], ["192.0.2.2"], "192.0.2.2"),
        ([], ["10.244.0.1", "192.0.2.2"], "192.0.2.2"),
        ([], [], "127.0.0.1"),
    ],
)
def test_the_node_keeps_its_address_while_the_host_has_it(before: list[str], present: list[str], address: str) -> None:
    assert node_address(before, present, "10.244.0.0/16") == address


def test_a_node_is_ready_when_its_kubelet_says_so_now() -> None:
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    node = core.Node()
    assert not is_ready(node, None)
    before = start - timedelta(seconds=1)
    node.status.conditions = [core.NodeCondition(type="Ready", status="True", last_heartbeat_time=before)]
    assert is_ready(node, None)
    assert not is_ready(node, start)
    node.status.conditions[0].last_heartbeat_time = start
    assert is_ready(node, start)
