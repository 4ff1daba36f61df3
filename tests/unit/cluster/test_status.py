from datetime import UTC, datetime, timedelta

import pytest

from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.cluster.state import PartState
from pybernetes.cluster.status import add_on_line, certificate_line, node_line, part_line
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
    assert add_on_line(("kube-system", "coredns"), None).text.startswith("is missing")
    assert add_on_line(("kube-system", "coredns"), deployment).text == "0 of 2 available"
    deployment.status.available_replicas = 2
    assert add_on_line(("kube-system", "coredns"), deployment).ok


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
