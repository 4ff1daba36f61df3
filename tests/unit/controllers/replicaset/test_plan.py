"""Replica sets: how many, which go first, what the status says."""

import pytest

from pybernetes.api.types import apps_v1 as apps
from pybernetes.controllers.replicaset.plan import BURST_REPLICAS, Create, Delete, plan, pods_to_delete, status_of

from ..objects import NOW, ago, pod, replica_set


@pytest.mark.parametrize(
    ("wanted", "present", "expected"),
    [
        (3, 3, None),
        (3, 1, Create(2)),
        (0, 0, None),
        (2000, 0, Create(BURST_REPLICAS)),
    ],
)
def test_missing_pods_are_made(wanted: int, present: int, expected: Create | None) -> None:
    pods = [pod(f"p{number}") for number in range(present)]
    assert plan(replica_set("web", wanted), pods, pods, NOW) == expected


def test_surplus_pods_go() -> None:
    pods = [pod("a", ready=10, node="n"), pod("b", phase="Pending")]
    found = plan(replica_set("web", 1), pods, pods, NOW)
    assert isinstance(found, Delete)
    assert [p.metadata.name for p in found.pods] == ["b"]


ORDER = [
    (pod("unassigned", "Pending"), pod("assigned", "Pending", node="n")),
    (pod("pending", "Pending", node="n"), pod("running", node="n")),
    (pod("unready", node="n"), pod("ready", ready=1, node="n")),
    (
        pod("cheap", ready=1, node="n", annotations={"controller.kubernetes.io/pod-deletion-cost": "-1"}),
        pod("dear", ready=1, node="n"),
    ),
    (pod("young", ready=5, node="n"), pod("old", ready=5000, node="n")),
    (pod("new", node="n", creation_timestamp=ago(3)), pod("aged", node="n", creation_timestamp=ago(9000))),
]


@pytest.mark.parametrize(("first", "second"), ORDER, ids=lambda p: str(p.metadata.name))
def test_the_least_valuable_goes_first(first, second) -> None:
    for pods in ([first, second], [second, first]):
        assert pods_to_delete(pods, pods, 1, NOW) == [first]


def test_a_crowded_node_gives_first() -> None:
    pods = [pod("a", ready=10, node="n1"), pod("b", ready=10, node="n2"), pod("c", ready=10, node="n2")]
    assert pods_to_delete(pods, pods, 1, NOW)[0].spec.node_name == "n2"


def test_status_counts() -> None:
    rs = replica_set("web", 3)
    rs.spec.min_ready_seconds = 60
    rs.metadata.generation = 7
    pods = [pod("a", ready=100), pod("b", ready=5), pod("c", labels={"app": "web", "x": "y"})]
    status = status_of(rs, pods, 1, None, NOW)
    assert (status.replicas, status.ready_replicas, status.available_replicas) == (3, 2, 1)
    assert (status.terminating_replicas, status.observed_generation) == (1, 7)


def test_failure_comes_and_goes() -> None:
    rs = replica_set("web", 3)
    failed = status_of(rs, [], 0, ("FailedCreate", "no"), NOW)
    assert [(c.type, c.status, c.reason, c.message) for c in failed.conditions] == [
        ("ReplicaFailure", "True", "FailedCreate", "no")
    ]
    rs.status = failed
    assert status_of(rs, [], 0, None, NOW).conditions == []
    assert isinstance(failed.conditions[0], apps.ReplicaSetCondition)
