"""Stateful sets: order, revisions, claims."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from pybernetes.api.owners import controller_ref
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import CONTROLLER_REVISION_HASH_LABEL
from pybernetes.controllers.statefulset import plan

from ..objects import LABELS, NOW, meta, pod, selector, template

CURRENT, UPDATE = plan.Revision("r1", template("i")), plan.Revision("r2", template("j"))


def stateful(
    replicas: int = 3, policy: str = "OrderedReady", partition: int | None = 0, **spec: Any
) -> apps.StatefulSet:
    rolling = apps.RollingUpdateStatefulSetStrategy(partition=partition)
    claim = core.PersistentVolumeClaim(metadata=meta("data", labels={"l": "1"}))
    values = {"update_strategy": apps.StatefulSetUpdateStrategy(type="RollingUpdate", rolling_update=rolling), **spec}
    return apps.StatefulSet(
        metadata=meta("web", generation=4),
        spec=apps.StatefulSetSpec(
            replicas=replicas,
            selector=selector(),
            template=template(),
            service_name="svc",
            pod_management_policy=policy,
            volume_claim_templates=[claim],
            **values,
        ),
    )


def member(
    number: int, revision: str = "r1", ready: float | None = 10, phase: str = "Running", **fields: Any
) -> core.Pod:
    made = plan.new_pod(stateful(), template(), revision, number)
    found = pod(made.metadata.name, phase, ready, labels=made.metadata.labels, **fields)
    found.spec.volumes = made.spec.volumes
    return found


def run(ss: apps.StatefulSet, *pods: core.Pod, update: plan.Revision = CURRENT, **checks: Any) -> plan.Plan:
    return plan.Sync(ss, pods, CURRENT, update, NOW, **checks).run()


def steps(found: plan.Plan) -> list[tuple[str, str]]:
    return [(type(action).__name__, action.pod.metadata.name) for action in found.actions]


ORDERED = [
    ((), [("CreatePod", "web-0")]),
    ((member(0, ready=None),), []),
    ((member(0),), [("CreatePod", "web-1")]),
    ((member(0), member(2)), [("CreatePod", "web-1")]),
    ((member(0, phase="Failed"), member(1), member(2)), [("DeletePod", "web-0")]),
    ((member(0, phase="Pending", ready=None),), [("EnsureClaims", "web-0")]),
    ((member(0), member(1, deleted=True), member(2)), []),
    (tuple(member(n) for n in range(5)), [("DeletePod", "web-4")]),
    ((member(0, ready=None), *(member(n) for n in range(1, 5))), []),
    ((*(member(n) for n in range(4)), member(4, ready=None)), [("DeletePod", "web-4")]),
    ((*(member(n) for n in range(3)), member(3, ready=None), member(4)), [("DeletePod", "web-4")]),
    ((*(member(n) for n in range(4)), member(4, deleted=True)), []),
]


@pytest.mark.parametrize(("pods", "expected"), ORDERED)
def test_one_after_the_other(pods: tuple[core.Pod, ...], expected: list[tuple[str, str]]) -> None:
    assert steps(run(stateful(), *pods)) == expected


def test_all_at_once() -> None:
    ss = stateful(policy="Parallel")
    assert steps(run(ss)) == [("CreatePod", f"web-{n}") for n in range(3)]
    assert steps(run(ss, *(member(n, ready=None) for n in range(5)))) == [
        ("DeletePod", "web-4"),
        ("DeletePod", "web-3"),
    ]


def test_a_set_that_is_being_deleted_does_nothing() -> None:
    ss = stateful()
    ss.metadata.deletion_timestamp = NOW
    found = run(ss, member(0))
    assert (found.actions, found.status.replicas) == ([], 1)


def test_min_ready_seconds_hold_back() -> None:
    assert steps(run(stateful(min_ready_seconds=60), member(0, ready=10))) == []
    assert steps(run(stateful(min_ready_seconds=5), member(0, ready=10))) == [("CreatePod", "web-1")]


def test_rolling_goes_from_the_highest() -> None:
    pods = [member(n) for n in range(3)]
    found = run(stateful(), *pods, update=UPDATE)
    assert steps(found) == [("DeletePod", "web-2")]
    assert (found.status.current_replicas, found.status.updated_replicas) == (2, 0)
    half = [member(0), member(1), member(2, "r2", ready=None)]
    assert steps(run(stateful(), *half, update=UPDATE)) == []
    assert steps(run(stateful(partition=2), member(0), member(1), member(2, "r2"), update=UPDATE)) == []
    on_delete = apps.StatefulSetUpdateStrategy(type="OnDelete")
    assert steps(run(stateful(update_strategy=on_delete), *pods, update=UPDATE)) == []


def test_several_may_be_down() -> None:
    rolling = apps.RollingUpdateStatefulSetStrategy(partition=0, max_unavailable=2)
    strategy = apps.StatefulSetUpdateStrategy(type="RollingUpdate", rolling_update=rolling)
    found = run(stateful(update_strategy=strategy), *(member(n) for n in range(3)), update=UPDATE)
    assert steps(found) == [("DeletePod", "web-2"), ("DeletePod", "web-1")]


@pytest.mark.parametrize(
    ("unready", "limit", "min_ready", "deleted"),
    [
        ((), 2, 0, ["web-3", "web-2"]),
        ((0,), 2, 0, ["web-3"]),
        ((0,), 1, 0, []),
        ((0, 1), 2, 0, []),
        ((3,), 1, 0, []),
        ((), "50%", 0, ["web-3", "web-2"]),
        ((), 2, 60, []),
    ],
)
def test_what_is_down_below_the_partition_counts(
    unready: tuple[int, ...], limit: int | str, min_ready: int, deleted: list[str]
) -> None:
    """The kind: a limit for all of the set was kept for a part of it, and pods that are not available yet counted as if they were."""
    rolling = apps.RollingUpdateStatefulSetStrategy(partition=2, max_unavailable=limit)
    strategy = apps.StatefulSetUpdateStrategy(type="RollingUpdate", rolling_update=rolling)
    pods = [member(n, ready=None if n in unready else 10) for n in range(4)]
    ss = stateful(update_strategy=strategy, min_ready_seconds=min_ready)
    ss.spec.pod_management_policy, ss.spec.replicas = "Parallel", 4
    done = run(ss, *pods, update=UPDATE)
    assert [name for kind, name in steps(done) if kind == "DeletePod"] == deleted


@pytest.mark.parametrize(("partition", "image"), [(0, "j"), (3, "i")])
def test_new_pods_are_of_the_revision_of_their_side(partition: int, image: str) -> None:
    found = run(stateful(partition=partition), member(0), member(1), update=UPDATE)
    created = found.actions[-1].pod
    assert created.metadata.name == "web-2" and created.spec.containers[0].image == image
    assert created.metadata.labels[CONTROLLER_REVISION_HASH_LABEL] == ("r2" if image == "j" else "r1")


def test_the_update_is_complete() -> None:
    status = run(stateful(), *(member(n, "r2") for n in range(3)), update=UPDATE).status
    assert (status.current_revision, status.update_revision) == ("r2", "r2")
    assert (status.current_replicas, status.updated_replicas, status.ready_replicas) == (3, 3, 3)
    assert (status.observed_generation, status.collision_count) == (4, 0)


def test_identity() -> None:
    made = plan.new_pod(stateful(), template(), "r1", 1)
    assert (made.metadata.name, made.spec.hostname, made.spec.subdomain) == ("web-1", "web-1", "svc")
    assert made.metadata.labels[plan.POD_NAME_LABEL] == "web-1"
    assert made.metadata.labels[plan.POD_INDEX_LABEL] == "1"
    source = made.spec.volumes[0].persistent_volume_claim
    assert source is not None and source.claim_name == "data-web-1"
    claim = plan.claims_of(stateful(), 1)[0]
    assert (claim.metadata.name, claim.metadata.labels) == ("data-web-1", {"l": "1", **LABELS})
    bare = pod("web-1")
    assert not plan.identity_matches(stateful(), bare) and not plan.storage_matches(stateful(), bare)
    fixed = plan.repaired(stateful(), bare)
    assert plan.identity_matches(stateful(), fixed) and plan.storage_matches(stateful(), fixed)
    assert steps(run(stateful(1), bare_ready())) == [("UpdatePod", "web-0")]


def bare_ready() -> core.Pod:
    return pod("web-0", ready=10, labels={**LABELS, CONTROLLER_REVISION_HASH_LABEL: "r1"})


@pytest.mark.parametrize(
    ("name", "expected"), [("web-0", ("web", 0)), ("a-b-12", ("a-b", 12)), ("web", ("", -1)), ("web-x", ("", -1))]
)
def test_names(name: str, expected: tuple[str, int]) -> None:
    assert plan.parent_and_ordinal(pod(name)) == expected


def test_ordinals_may_start_later() -> None:
    found = run(stateful(2, ordinals=apps.StatefulSetOrdinals(start=5)), member(0))
    assert steps(found) == [("CreatePod", "web-5")]


@pytest.mark.parametrize(
    ("deleted", "scaled", "number", "owner"),
    [
        ("Retain", "Retain", 0, ""),
        ("Delete", "Retain", 0, "web"),
        ("Delete", "Delete", 0, "web"),
        ("Delete", "Delete", 9, "web-9"),
        ("Retain", "Delete", 0, ""),
        ("Retain", "Delete", 9, "web-9"),
    ],
)
def test_owners_of_claims(deleted: str, scaled: str, number: int, owner: str) -> None:
    policy = apps.StatefulSetPersistentVolumeClaimRetentionPolicy(when_deleted=deleted, when_scaled=scaled)
    ss = stateful(persistent_volume_claim_retention_policy=policy)
    claim = core.PersistentVolumeClaim(metadata=meta("data-web-0", owner_references=[controller_ref(ss)]))
    owners = plan.claim_owners(ss, member(number), claim)
    assert [ref.uid for ref in owners] == ([owner] if owner else [])


def test_a_claim_of_an_earlier_pod_blocks() -> None:
    former = member(0)
    former.metadata.uid = "former"
    claim = core.PersistentVolumeClaim(metadata=meta("data-web-0", owner_references=[controller_ref(former)]))
    assert plan.claim_is_stale(member(0), claim)
    assert steps(run(stateful(), stale=lambda pod: True)) == []


def revision(name: str, number: int) -> apps.ControllerRevision:
    return apps.ControllerRevision(metadata=meta(name), revision=number)


def test_revisions() -> None:
    one, two = revision("r1", 1), revision("r2", 2)
    ss = stateful(revision_history_limit=1)
    assert plan.choose_revisions(ss, [], lambda r: False) == (None, 1)
    assert plan.choose_revisions(ss, [one, two], lambda r: r is two) == (two, 2)
    assert plan.choose_revisions(ss, [one, two], lambda r: r is one) == (one, 3)  # back to an old template
    many = [revision(f"r{n}", n) for n in range(1, 6)]
    doomed = plan.surplus_revisions(ss, many, [member(0, "r2")], ["r5"])
    assert [r.metadata.name for r in doomed] == ["r1", "r3"]


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
@pytest.mark.parametrize("start", [0, 2**31 - 1])
def test_replicas_without_number_cost_what_there_is(policy: str, start: int) -> None:
    ss = stateful(2**31 - 1, policy, ordinals=apps.StatefulSetOrdinals(start=start))
    tracemalloc.start()
    try:
        first = run(ss)
        later = run(ss, *(member(start + number) for number in (0, 1, 5)), update=UPDATE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
    created = [start + number for number in range(plan.BURST if policy == "Parallel" else 1)]
    assert steps(first) == [("CreatePod", f"web-{number}") for number in created]
    assert steps(later)[0] == ("CreatePod", f"web-{start + 2}")
    assert {type(action) for action in later.actions} == {plan.CreatePod}  # none is replaced before all are there
    assert (later.status.replicas, later.status.ready_replicas) == (3, 3)
