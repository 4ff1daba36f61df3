from datetime import UTC, datetime, timedelta

import pytest

from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.cluster.settings import ClusterConfig
from pybernetes.cluster.state import PartState
from pybernetes.cluster.status import add_on_line, add_ons, certificate_line, node_line, part_line
from pybernetes.deploy.lines import Line, table

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("part", "problem", "line"),
    [
        (PartState("a", 7, 0, ""), "", Line("part", "a", True, "pid 7")),
        (PartState("a", 7, 0, ""), None, Line("part", "a", True, "pid 7")),
        (
            PartState("a", 7, 2, "signal SIGKILL"),
            "",
            Line("part", "a", True, "pid 7, 2 restarts, last: signal SIGKILL"),
        ),
        (PartState("a", 7, 0, ""), "x answers 500", Line("part", "a", False, "pid 7: x answers 500")),
        (
            PartState("a", 0, 3, "exit code 1"),
            "",
            Line("part", "a", False, "waits for its restart (exit code 1, 3 restarts)"),
        ),
    ],
)
def test_part(part: PartState, problem: str | None, line: Line) -> None:
    assert part_line(part, problem) == line


def test_node() -> None:
    node = core.Node(metadata=meta.ObjectMeta(name="n"))
    assert node_line(node) == Line("node", "n", False, "NotReady: no status yet")
    node.status.conditions = [core.NodeCondition(type="Ready", status="True")]
    node.spec.unschedulable = True
    assert node_line(node) == Line("node", "n", True, "Ready, cordoned")


def test_add_on() -> None:
    deployment = apps.Deployment(spec=apps.DeploymentSpec(replicas=2))
    assert add_on_line(("kube-system", "coredns"), None, NOW).text.startswith("is missing")
    assert add_on_line(("kube-system", "coredns"), deployment, NOW).text == "0 of 2 available"
    deployment.status.available_replicas = 2
    assert add_on_line(("kube-system", "coredns"), deployment, NOW).ok


def test_an_add_on_that_rolls_out_is_well_until_its_time_is_up() -> None:
    name, replicas = ("kube-system", "metrics-server"), apps.DeploymentSpec(replicas=1)
    for reason, status, ok in (
        ("ReplicaSetUpdated", "True", True),
        ("ProgressDeadlineExceeded", "False", False),
        ("NewReplicaSetAvailable", "True", False),
    ):
        condition = apps.DeploymentCondition(type="Progressing", status=status, reason=reason)
        deployment = apps.Deployment(spec=replicas, status=apps.DeploymentStatus(conditions=[condition]))
        line = add_on_line(name, deployment, NOW)
        assert (line.ok, line.text.startswith("0 of 1 available")) == (ok, True)


def test_an_add_on_whose_node_was_away_has_time_to_start() -> None:
    name, complete = ("kube-system", "metrics-server"), "NewReplicaSetAvailable"
    for seconds, ok in ((10, True), (119, True), (121, False)):
        conditions = [
            apps.DeploymentCondition(type="Progressing", status="True", reason=complete),
            apps.DeploymentCondition(
                type="Available", status="False", last_transition_time=NOW - timedelta(seconds=seconds)
            ),
        ]
        deployment = apps.Deployment(
            spec=apps.DeploymentSpec(replicas=1), status=apps.DeploymentStatus(conditions=conditions)
        )
        text = "0 of 1 available, starts" if ok else "0 of 1 available"
        assert add_on_line(name, deployment, NOW) == Line("add-on", "/".join(name), ok, text)


def test_an_add_on_on_each_node() -> None:
    status = apps.DaemonSetStatus(desired_number_scheduled=2, number_available=1)
    name = ("local-path-storage", "local-path-provisioner")
    assert add_on_line(name, apps.DaemonSet(status=status), NOW) == Line(
        "add-on", "/".join(name), False, "1 of 2 available"
    )
    status.number_available = 2
    assert add_on_line(name, apps.DaemonSet(status=status), NOW).ok


def test_add_ons_are_those_that_were_asked_for() -> None:
    config = ClusterConfig(node_name="n", addresses=[])
    assert [name for _, name in add_ons(config)] == ["coredns", "metrics-server", "local-path-provisioner"]
    config = ClusterConfig(node_name="n", addresses=[], metrics_server=False, local_path=False)
    assert list(add_ons(config)) == [("kube-system", "coredns")]


@pytest.mark.parametrize(
    ("days", "ok", "words"), [(-1, False, "renews it"), (20, True, "next"), (300, True, "300 days")]
)
def test_certificate(days: int, ok: bool, words: str) -> None:
    line = certificate_line("apiserver", NOW + timedelta(days=days), NOW)
    assert line.ok is ok
    assert words in line.text


def test_table_is_aligned() -> None:
    lines = [Line("part", "a", True, "x"), Line("add-on", "long", False, "y")]
    assert table(lines).splitlines() == ["ok   part    a     x", "BAD  add-on  long  y"]
