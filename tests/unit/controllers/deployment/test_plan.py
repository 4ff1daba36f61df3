"""Deployments: one sync as a list of actions."""

from __future__ import annotations

import msgspec
import pytest

from pybernetes.api.conditions import condition
from pybernetes.api.types import apps_v1 as apps
from pybernetes.controllers.deployment import util
from pybernetes.controllers.deployment.plan import (
    CreateReplicaSet,
    DeleteReplicaSet,
    UpdateReplicaSet,
    UpdateStatus,
    plan,
)

from ..objects import NOW, ago, meta, replica_set, selector, template


def deployment(replicas: int = 3, image: str = "i", surge=1, unavailable=0, **spec) -> apps.Deployment:
    rolling = apps.RollingUpdateDeployment(max_surge=surge, max_unavailable=unavailable)
    strategy = apps.DeploymentStrategy(type="RollingUpdate", rolling_update=rolling)
    return apps.Deployment(
        metadata=meta("web", generation=1),
        spec=apps.DeploymentSpec(
            replicas=replicas,
            selector=selector(),
            template=template(image),
            **{"strategy": strategy, "progress_deadline_seconds": 600, **spec},
        ),
    )


def annotated(rs: apps.ReplicaSet, desired: int, most: int, revision: int = 1) -> apps.ReplicaSet:
    util.annotate_sizes(rs, desired, most)
    rs.metadata.annotations[util.REVISION] = str(revision)
    return rs


def updates(actions) -> dict[str, int]:
    return {a.rs.metadata.name: a.rs.spec.replicas for a in actions if isinstance(a, UpdateReplicaSet)}


def status_in(actions) -> apps.DeploymentStatus:
    return next(a.deployment.status for a in actions if isinstance(a, UpdateStatus))


def test_the_first_replica_set() -> None:
    actions = plan(deployment(), [], {}, NOW)
    created = actions[0]
    assert isinstance(created, CreateReplicaSet)
    rs = created.rs
    assert rs.spec.replicas == 3
    assert rs.metadata.annotations == {util.DESIRED: "3", util.MAX: "4", util.REVISION: "1"}
    hashed = rs.metadata.labels[util.HASH_LABEL]
    assert rs.metadata.name == f"web-{hashed}"
    assert rs.spec.selector is not None and rs.spec.selector.match_labels[util.HASH_LABEL] == hashed
    assert rs.spec.template.metadata.labels[util.HASH_LABEL] == hashed
    progressing = condition(status_in(actions).conditions, "Progressing")
    assert progressing is not None and progressing.reason == "NewReplicaSetCreated"


def test_a_new_template_surges() -> None:
    old = annotated(replica_set("old", 3), 3, 4)
    actions = plan(deployment(image="j"), [old], {}, NOW)
    created = next(a for a in actions if isinstance(a, CreateReplicaSet))
    assert created.rs.spec.replicas == 1
    assert created.rs.metadata.annotations[util.REVISION] == "2"
    assert updates(actions) == {}


def test_old_pods_go_when_new_ones_are_available() -> None:
    old, new = annotated(replica_set("old", 3), 3, 4), annotated(replica_set("new", 1, "j"), 3, 4, 2)
    actions = plan(deployment(image="j"), [old, new], {}, NOW)
    assert updates(actions) == {"old": 2}
    event = next(a.event for a in actions if isinstance(a, UpdateReplicaSet))
    assert event == "Scaled down replica set old from 3 to 2"


def test_old_pods_stay_while_new_ones_are_not() -> None:
    old = annotated(replica_set("old", 3), 3, 4)
    new = annotated(replica_set("new", 1, "j", ready_replicas=0, available_replicas=0), 3, 4, 2)
    assert updates(plan(deployment(image="j"), [old, new], {}, NOW)) == {}


def test_unhealthy_old_pods_go_first() -> None:
    sick = annotated(replica_set("sick", 2, "x", ready_replicas=0, available_replicas=0), 5, 6)
    well = annotated(replica_set("well", 3, "y"), 5, 6, 2)
    new = annotated(replica_set("new", 1, "j"), 5, 6, 3)
    d = deployment(5, image="j", unavailable=2)
    assert updates(plan(d, [sick, well, new], {}, NOW)) == {"sick": 0, "well": 2}


@pytest.mark.parametrize(
    ("replicas", "sizes", "expected"),
    [
        (20, (6, 4), {"new": 13, "old": 9}),
        (5, (8, 4), {"new": 5, "old": 2}),
    ],
)
def test_a_change_of_size_is_shared(replicas: int, sizes: tuple[int, int], expected: dict[str, int]) -> None:
    old = annotated(replica_set("old", sizes[1]), 10, 12)
    new = annotated(replica_set("new", sizes[0], "j"), 10, 12, 2)
    found = updates(plan(deployment(replicas, image="j", surge=2), [old, new], {}, NOW))
    assert sum(found.values()) == replicas + 2
    assert found["new"] > found["old"]


def test_recreate_waits_for_the_old_pods() -> None:
    d = deployment(image="j", strategy=apps.DeploymentStrategy(type="Recreate"))
    old = annotated(replica_set("old", 3), 3, 3)
    assert updates(plan(d, [old], {}, NOW)) == {"old": 0}
    leaving = annotated(replica_set("old", 0), 3, 3)
    leaving.status.replicas = 1
    assert not any(isinstance(a, CreateReplicaSet) for a in plan(d, [leaving], {}, NOW))
    gone = annotated(replica_set("old", 0), 3, 3)
    assert any(isinstance(a, CreateReplicaSet) for a in plan(d, [gone], {}, NOW))


def test_paused_makes_nothing_new() -> None:
    actions = plan(deployment(image="j", paused=True), [annotated(replica_set("old", 3), 3, 4)], {}, NOW)
    assert [type(a) for a in actions] == [UpdateStatus]
    progressing = condition(status_in(actions).conditions, "Progressing")
    assert progressing is not None and progressing.reason == "DeploymentPaused"


def test_rollback_keeps_the_history() -> None:
    back = annotated(replica_set("back", 0), 3, 4, 1)
    old = annotated(replica_set("old", 3, "j"), 3, 4, 2)
    actions = plan(deployment(), [back, old], {}, NOW)
    rs = next(a.rs for a in actions if isinstance(a, UpdateReplicaSet) and a.rs.metadata.name == "back")
    assert rs.metadata.annotations[util.REVISION] == "3"
    assert rs.metadata.annotations[util.HISTORY] == "1"


def test_the_history_is_limited() -> None:
    new = annotated(replica_set("new", 3, "j"), 3, 4, 9)
    old = [annotated(replica_set(f"old{n}", 0, f"x{n}"), 3, 4, n) for n in (1, 2, 3)]
    d = deployment(image="j", revision_history_limit=1)
    d.status = apps.DeploymentStatus(
        replicas=3, updated_replicas=3, available_replicas=3, ready_replicas=3, observed_generation=1
    )
    deleted = [a.rs.metadata.name for a in plan(d, [*old, new], {}, NOW) if isinstance(a, DeleteReplicaSet)]
    assert deleted == ["old1", "old2"]


def test_no_progress_for_too_long() -> None:
    new = annotated(replica_set("new", 3, ready_replicas=0, available_replicas=0), 3, 4)
    d = deployment()
    d.status = util.status_of(d, [new], new, NOW)
    stuck = util.new_condition("Progressing", "True", "ReplicaSetUpdated", "", ago(601))
    util.set_condition(d.status, stuck)
    progressing = condition(status_in(plan(d, [new], {}, NOW)).conditions, "Progressing")
    assert progressing is not None
    assert (progressing.status, progressing.reason) == ("False", "ProgressDeadlineExceeded")
    assert progressing.message == 'ReplicaSet "new" has timed out progressing.'


def test_nothing_to_do_is_nothing() -> None:
    new = annotated(replica_set("new", 3), 3, 4)
    d = deployment()
    actions = plan(d, [new], {}, NOW)
    settled = next(a.deployment for a in actions if isinstance(a, UpdateStatus))
    assert plan(settled, [new], {}, NOW) == []
    assert settled.metadata.annotations[util.REVISION] == "1"


def test_labels_that_only_carry_the_hash_are_the_same_template() -> None:
    hashed = template()
    hashed.metadata.labels[util.HASH_LABEL] = "x"
    assert util.same_template(hashed, template())
    assert not util.same_template(template("j"), template())
    assert msgspec.structs.asdict(template()) is not None


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "expected"),
    [("25%", "25%", 10, (3, 2)), (0, 0, 5, (0, 1)), ("1%", "1%", 10, (1, 0)), ("0%", "10%", 5, (0, 1))],
)
def test_fenceposts(surge, unavailable, replicas: int, expected: tuple[int, int]) -> None:
    assert util.fenceposts(surge, unavailable, replicas) == expected
