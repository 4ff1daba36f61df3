"""Daemon pods: which node gets one, which one goes, how they are rolled over."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import CONTROLLER_REVISION_HASH_LABEL
from pybernetes.controllers.daemon import plan

from ..objects import LABELS, NOW, meta, pod, selector, template

NEW, OLD = "new", "old"


def daemons(surge: Any = 0, unavailable: Any = 1, **spec: Any) -> apps.DaemonSet:
    rolling = apps.RollingUpdateDaemonSet(max_surge=surge, max_unavailable=unavailable)
    return apps.DaemonSet(
        metadata=meta("d", generation=2, annotations={plan.GENERATION: "2"}),
        spec=apps.DaemonSetSpec(
            selector=selector(),
            template=template(**spec),
            update_strategy=apps.DaemonSetUpdateStrategy(type="RollingUpdate", rolling_update=rolling),
        ),
    )


def daemon(name: str, node: str, revision: str = NEW, ready: float | None = 100, **fields: Any) -> core.Pod:
    return pod(name, node=node, ready=ready, labels={**LABELS, CONTROLLER_REVISION_HASH_LABEL: revision}, **fields)


def node(name: str = "n", *taints: core.Taint, **labels: str) -> core.Node:
    return core.Node(metadata=meta(name, labels=labels), spec=core.NodeSpec(taints=list(taints)))


def taint(effect: str, key: str = "k") -> core.Taint:
    return core.Taint(key=key, effect=effect)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (node(), (True, True)),
        (node("n", taint("NoSchedule")), (False, True)),
        (node("n", taint("NoExecute")), (False, False)),
        (node("n", taint("PreferNoSchedule")), (True, True)),
        (node("n", taint("NoExecute", "node.kubernetes.io/not-ready")), (True, True)),
        (node("n", taint("NoSchedule", "node.kubernetes.io/unschedulable")), (True, True)),
        (node("n", taint("NoSchedule", "node.kubernetes.io/network-unavailable")), (False, True)),
    ],
)
def test_taints(where: core.Node, expected: tuple[bool, bool]) -> None:
    assert plan.runs_on(daemons())(where) == expected


def test_selected_nodes_only() -> None:
    check = plan.runs_on(daemons(node_selector={"disk": "ssd"}))
    assert check(node(disk="ssd")) == (True, True)
    assert check(node()) == (False, False)
    assert plan.runs_on(daemons(node_name="other"))(node()) == (False, False)
    network = plan.runs_on(daemons(host_network=True))
    assert network(node("n", taint("NoSchedule", "node.kubernetes.io/network-unavailable"))) == (True, True)


def test_pods_are_pinned_to_their_node() -> None:
    made = plan.for_node(plan.template_of(daemons(), NEW), "n1")
    assert made.metadata.labels == {**LABELS, CONTROLLER_REVISION_HASH_LABEL: NEW, plan.GENERATION_LABEL: "2"}
    assert len(made.spec.tolerations) == 6
    assert plan.target_node(core.Pod(spec=made.spec)) == "n1"


RUNS = {"n": (True, True)}


@pytest.mark.parametrize(
    ("verdicts", "pods", "created", "deleted"),
    [
        (RUNS, [], ["n"], []),
        (RUNS, [daemon("a", "n")], [], []),
        (RUNS, [daemon("a", "n"), daemon("b", "n", creation_timestamp=NOW)], [], ["b"]),
        (RUNS, [daemon("a", "n", phase="Succeeded")], [], ["a"]),
        ({"n": (False, True)}, [daemon("a", "n")], [], []),
        ({"n": (False, False)}, [daemon("a", "n"), daemon("b", "n", deleted=True)], [], ["a"]),
        ({"n": (False, False)}, [], [], []),
    ],
)
def test_manage(verdicts: plan.Verdicts, pods: list[core.Pod], created: list[str], deleted: list[str]) -> None:
    step = plan.manage(daemons(), verdicts, plan.by_node(pods), NEW, NOW)
    assert (step.create, [p.metadata.name for p in step.delete]) == (created, deleted)


def test_failed_pods_are_left_to_the_back_off() -> None:
    step = plan.manage(daemons(), RUNS, plan.by_node([daemon("a", "n", phase="Failed")]), NEW, NOW)
    assert [(where, p.metadata.name) for where, p in step.failed] == [("n", "a")]
    assert plan.failed_event(*step.failed[0])[2] == "Found failed daemon pod ns/a on node n, will try to kill it"


def test_pods_for_nodes_that_are_gone() -> None:
    waiting = core.Pod(metadata=meta("w"), spec=plan.for_node(plan.template_of(daemons(), NEW), "gone").spec)
    step = plan.manage(daemons(), {}, plan.by_node([waiting, daemon("bound", "gone")]), NEW, NOW)
    assert [p.metadata.name for p in step.delete] == ["w"]


NODES = {f"n{number}": (True, True) for number in range(4)}


def spread(*revisions: str, ready: float | None = 100) -> dict[str, list[core.Pod]]:
    return plan.by_node([daemon(f"p{n}", f"n{n}", revision, ready) for n, revision in enumerate(revisions)])


@pytest.mark.parametrize(
    ("unavailable", "pods", "count"),
    [
        (1, spread(OLD, OLD, OLD, OLD), 1),
        ("50%", spread(OLD, OLD, OLD, OLD), 2),
        (1, spread(NEW, OLD, OLD, OLD), 1),
        (1, spread(NEW, NEW, NEW, NEW), 0),
        (1, spread(OLD, OLD, OLD), 0),  # a node without a pod is the one that may be down
        (1, spread(OLD, OLD, OLD, OLD, ready=None), 4),  # they serve nobody
    ],
)
def test_rolling(unavailable: Any, pods: dict[str, list[core.Pod]], count: int) -> None:
    step = plan.roll(daemons(unavailable=unavailable), NODES, pods, NEW, NOW)
    assert len(step.delete) == count and step.create == []


def test_surging() -> None:
    ds = daemons(surge=1, unavailable=0)
    step = plan.roll(ds, NODES, spread(OLD, OLD, OLD, OLD), NEW, NOW)
    assert (step.create, step.delete) == (["n0"], [])
    starting = spread(OLD, OLD, OLD, OLD)
    starting["n0"].append(daemon("q", "n0", ready=None))
    assert plan.roll(ds, NODES, starting, NEW, NOW) == plan.Step()
    done = spread(OLD, OLD, OLD, OLD)
    done["n0"].append(daemon("q", "n0"))
    step = plan.roll(ds, NODES, done, NEW, NOW)
    assert [p.metadata.name for p in step.delete] == ["p0"] and step.create == ["n1"]


def test_status() -> None:
    verdicts = {**NODES, "m": (False, True)}
    pods = plan.by_node([daemon("a", "n0"), daemon("b", "n1", OLD), daemon("c", "n2", ready=None), daemon("x", "m")])
    status = plan.status_of(daemons(), verdicts, pods, NEW, NOW, observed=True)
    assert (status.desired_number_scheduled, status.current_number_scheduled) == (4, 3)
    assert (status.number_ready, status.number_available, status.number_unavailable) == (2, 2, 2)
    assert (status.updated_number_scheduled, status.number_misscheduled) == (2, 1)
    assert status.observed_generation == 2
    assert plan.status_of(daemons(), verdicts, pods, NEW, NOW, observed=False).observed_generation == 0
