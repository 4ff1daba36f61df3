"""Worlds in which plans are carried out, with pods that fail, vanish and become ready as they please: what holds at every step.

Each room's plan is asked again and again, as a controller would; a hypothesis chooses what befalls the pods in between.
"""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pybernetes.api.pods import is_active
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import batch_v1 as batch
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import CONTROLLER_REVISION_HASH_LABEL
from pybernetes.controllers.daemon import plan as daemon
from pybernetes.controllers.job import util
from pybernetes.controllers.job.backoff import Backoff
from pybernetes.controllers.job.plan import Round
from pybernetes.controllers.replicaset import plan as replicaset
from pybernetes.controllers.statefulset import plan as statefulset

from .objects import NOW, ago, meta, pod, replica_set, selector, template

ROUNDS = 40
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 2**32 - 1)


def befall(dice: random.Random, pods: dict[str, core.Pod], calm: bool) -> None:
    """What happens to pods between two looks; in a calm world all become ready and what goes is gone."""
    for name, one in list(pods.items()):
        if one.metadata.deletion_timestamp is not None:
            if calm or dice.random() < 0.5:
                del pods[name]
        elif calm or dice.random() < 0.6:
            pods[name] = pod(
                name,
                ready=100,
                node=one.spec.node_name,
                labels=one.metadata.labels,
                annotations=one.metadata.annotations,
            )
            pods[name].spec.volumes, pods[name].metadata.finalizers = one.spec.volumes, one.metadata.finalizers
        elif dice.random() < 0.2:
            one.status.phase = dice.choice(["Failed", "Succeeded"])


def leave(pods: dict[str, core.Pod], name: str) -> None:
    """A deletion takes its time."""
    pods[name].metadata.deletion_timestamp = NOW


@FEW
@given(st.integers(0, 12), st.integers(0, 20), SEEDS)
def test_a_replica_set_has_what_it_asks_for_and_deletes_no_more_than_is_too_much(
    replicas: int, present: int, seed: int
) -> None:
    dice, rs = random.Random(seed), replica_set("r", replicas)
    pods = {f"p{n}": pod(f"p{n}", ready=dice.choice([None, 5, 500]), node=dice.choice("ab")) for n in range(present)}
    for turn in range(ROUNDS):
        befall(dice, pods, calm=turn > ROUNDS // 2)
        active = [one for one in pods.values() if is_active(one)]
        match replicaset.plan(rs, active, active, NOW):
            case replicaset.Create(count):
                assert len(active) + count == replicas
                for number in range(count):
                    pods[f"t{turn}-{number}"] = pod(f"t{turn}-{number}", phase="Pending", node=dice.choice("ab"))
            case replicaset.Delete(chosen):
                names = [one.metadata.name for one in chosen]
                assert len(active) - len(names) == replicas and len(set(names)) == len(names)
                ready = {one.metadata.name for one in active if one.status.conditions[0].status == "True"}
                # No ready pod goes while one that is not ready stays.
                assert set(names) & ready == set() or {one.metadata.name for one in active} - ready <= set(names)
                for name in names:
                    leave(pods, name)
            case None:
                assert len(active) == replicas
    assert len([one for one in pods.values() if is_active(one)]) == replicas


def stateful(replicas: int, policy: str, start: int) -> apps.StatefulSet:
    rolling = apps.RollingUpdateStatefulSetStrategy(partition=0)
    return apps.StatefulSet(
        metadata=meta("web"),
        spec=apps.StatefulSetSpec(
            replicas=replicas,
            selector=selector(),
            template=template(),
            pod_management_policy=policy,
            ordinals=apps.StatefulSetOrdinals(start=start) if start else None,
            update_strategy=apps.StatefulSetUpdateStrategy(type="RollingUpdate", rolling_update=rolling),
        ),
    )


@FEW
@given(st.integers(0, 6), st.sampled_from(["OrderedReady", "Parallel"]), st.integers(0, 2), st.booleans(), SEEDS)
def test_a_stateful_set_keeps_its_order_and_never_has_a_name_twice(
    replicas: int, policy: str, start: int, updating: bool, seed: int
) -> None:
    dice, ss = random.Random(seed), stateful(replicas, policy, start)
    current = statefulset.Revision("r1", template("i"))
    update = statefulset.Revision("r2", template("j")) if updating else current
    pods: dict[str, core.Pod] = {}
    for number in range(dice.randrange(8)):
        one = statefulset.new_pod(ss, template(), "r1", number)
        pods[one.metadata.name] = pod(one.metadata.name, ready=10, labels=one.metadata.labels)
    for turn in range(ROUNDS * 2):
        befall(dice, pods, calm=turn > ROUNDS)
        plan = statefulset.Sync(ss, list(pods.values()), current, update, NOW).run()
        created = [action.pod for action in plan.actions if isinstance(action, statefulset.CreatePod)]
        deleted = [action.pod.metadata.name for action in plan.actions if isinstance(action, statefulset.DeletePod)]
        if policy == "OrderedReady":
            assert len(created) + len(deleted) <= 1
            for one in created:  # all before it are there, ready and staying
                before = [pods.get(f"web-{n}") for n in range(start, statefulset.ordinal(one))]
                assert all(other is not None and statefulset.is_healthy(other) for other in before)
        assert len(set(deleted)) == len(deleted)
        for one in created:
            assert one.metadata.name not in pods and statefulset.ordinal(one) in statefulset.ordinals(ss)
            pods[one.metadata.name] = pod(one.metadata.name, phase="Pending", labels=one.metadata.labels)
        for name in deleted:
            assert pods[name].metadata.deletion_timestamp is None
            leave(pods, name)
    assert sorted(pods) == sorted(f"web-{n}" for n in statefulset.ordinals(ss))
    assert {one.metadata.labels[CONTROLLER_REVISION_HASH_LABEL] for one in pods.values()} <= {update.name}


@FEW
@given(st.integers(1, 6), st.integers(0, 3), st.integers(0, 3), SEEDS)
def test_a_daemon_set_covers_its_nodes_and_keeps_to_its_limits(
    count: int, surge: int, unavailable: int, seed: int
) -> None:
    """While it rolls, and nobody but it takes pods away: no more nodes without a pod that serves than maxUnavailable says."""
    dice = random.Random(seed)
    rolling = apps.RollingUpdateDaemonSet(max_surge=surge, max_unavailable=0 if surge else unavailable)
    ds = apps.DaemonSet(
        metadata=meta("d", generation=1, annotations={daemon.GENERATION: "1"}),
        spec=apps.DaemonSetSpec(
            selector=selector(),
            template=template(),
            update_strategy=apps.DaemonSetUpdateStrategy(type="RollingUpdate", rolling_update=rolling),
        ),
    )
    names = [f"n{number}" for number in range(count)]
    verdicts = dict.fromkeys(names, (True, True)) | {"off": (False, False)}
    labels = {CONTROLLER_REVISION_HASH_LABEL: "old"}
    pods = {f"p-{n}": pod(f"p-{n}", ready=100, node=n, labels=dict(labels)) for n in [*names, "off"]}
    limit = max(1, unavailable) if not surge else 0
    for turn in range(ROUNDS * 2):
        for name, one in list(pods.items()):
            if one.metadata.deletion_timestamp is not None and (turn > ROUNDS or dice.random() < 0.5):
                del pods[name]
            elif one.metadata.deletion_timestamp is None and (turn > ROUNDS or dice.random() < 0.5):
                pods[name] = pod(name, ready=100, node=one.spec.node_name, labels=one.metadata.labels)
        step = daemon.manage(ds, verdicts, daemon.by_node(list(pods.values())), "new", NOW)
        if not step.create and not step.delete:
            step = daemon.roll(ds, verdicts, daemon.by_node(list(pods.values())), "new", NOW)
        assert len(set(step.create)) == len(step.create) and set(step.create) <= set(names)
        for one in step.delete:
            assert pods[one.metadata.name].metadata.deletion_timestamp is None
            leave(pods, one.metadata.name)
        for node in step.create:
            made = pod(f"t{turn}-{node}", phase="Pending", node=node, labels={CONTROLLER_REVISION_HASH_LABEL: "new"})
            pods[made.metadata.name] = made
        serving = {
            one.spec.node_name
            for one in pods.values()
            if one.metadata.deletion_timestamp is None and one.status.conditions[0].status == "True"
        }
        assert len(set(names) - serving) <= limit
    assert sorted(one.spec.node_name for one in pods.values()) == names
    assert {one.metadata.labels[CONTROLLER_REVISION_HASH_LABEL] for one in pods.values()} == {"new"}


@FEW
@given(st.integers(1, 8), st.integers(1, 5), st.booleans(), SEEDS)
def test_a_job_runs_no_more_than_it_may_and_no_index_twice(
    completions: int, parallelism: int, indexed: bool, seed: int
) -> None:
    dice = random.Random(seed)
    spec = batch.JobSpec(
        completions=completions,
        parallelism=parallelism,
        backoff_limit=2**31 - 1,
        completion_mode="Indexed" if indexed else "NonIndexed",
        template=template(restart_policy="Never"),
    )
    job = batch.Job(metadata=meta("w"), spec=spec)
    pods: dict[str, core.Pod] = {}
    for turn in range(ROUNDS):
        for one in pods.values():
            chance = 1.0 if turn > ROUNDS // 2 else dice.random()
            if one.status.phase in ("Pending", "Running"):
                one.status.phase = "Succeeded" if chance > 0.7 else "Failed" if chance < 0.2 else "Running"
                ended = core.ContainerStateTerminated(exit_code=0, finished_at=ago(10000))
                one.status.container_statuses = [
                    core.ContainerStatus(name="c", state=core.ContainerState(terminated=ended))
                ]
        # All are counted anew, as if no status had been written: what is decided follows from the pods alone.
        current = Round(job, list(pods.values()), (), Backoff(), NOW)
        changes = current.decide(True)
        active = [one for one in pods.values() if is_active(one)]
        succeeded = sum(one.status.phase == "Succeeded" for one in pods.values())
        assert len(active) + changes.create <= parallelism
        if not indexed:
            assert len(active) + changes.create <= max(0, completions - succeeded) or not changes.create
        indexes = list(changes.indexes) if indexed else [None] * changes.create
        assert len(indexes) == changes.create
        taken = {util.index_of(one) for one in active} | {
            util.index_of(one) for one in pods.values() if one.status.phase == "Succeeded"
        }
        for number, index in enumerate(indexes):
            if index is not None:
                assert index not in taken and 0 <= index < completions
            notes = {} if index is None else {util.INDEX: str(index)}
            name = f"t{turn}-{number}"
            pods[name] = pod(name, "Pending", annotations=notes, finalizers=[util.TRACKING_FINALIZER])
        for one in changes.delete:
            del pods[one.metadata.name]
    assert sum(one.status.phase == "Succeeded" for one in pods.values()) == completions
