"""Which pods leave, what forbids it, and how it goes on against budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.errors import StatusError
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.memory import MemoryClient
from pybernetes.deploy import drain, removal
from pybernetes.deploy.drain import DrainError, Options
from pybernetes.deploy.drainplan import Consent, plan
from pybernetes.deploy.etcd.health import Answer
from pybernetes.store.etcd.cluster import Member
from pybernetes.store.etcd.maintenance import Status


def pod(
    name: str, owner: str = "ReplicaSet", *, phase: str = "Running", empty_dir: bool = False, mirror: bool = False
) -> core.Pod:
    made = core.Pod(metadata=meta.ObjectMeta(name=name, namespace="n"), spec=core.PodSpec(node_name="a"))
    made.status.phase = phase
    if owner:
        made.metadata.owner_references = [
            meta.OwnerReference(api_version="apps/v1", kind=owner, name="o", uid="u", controller=True)
        ]
    if empty_dir:
        made.spec.volumes = [core.Volume(name="v", empty_dir=core.EmptyDirVolumeSource())]
    if mirror:
        made.metadata.annotations = {"kubernetes.io/config.mirror": "x"}
    return made


ALL = Consent(True, True, True)
NONE = Consent()
SETS = {("n", "o")}


@pytest.mark.parametrize(
    ("one", "sets", "consent", "leaves", "problem"),
    [
        (pod("p"), SETS, NONE, True, ""),
        (pod("p", ""), SETS, NONE, False, "cannot delete Pods that declare no controller (use --force to override): n/p"),
        (pod("p", ""), SETS, ALL, True, ""),
        (pod("p", "", phase="Succeeded"), SETS, NONE, True, ""),
        (pod("p", empty_dir=True), SETS, NONE, False, "cannot delete Pods with local storage (use --delete-emptydir-data to override): n/p"),
        (pod("p", empty_dir=True), SETS, Consent(delete_emptydir_data=True), True, ""),
        (pod("p", empty_dir=True, phase="Failed"), SETS, NONE, True, ""),
        (pod("p", "DaemonSet"), SETS, NONE, False, "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): n/p"),
        (pod("p", "DaemonSet"), SETS, ALL, False, ""),
        (pod("p", "DaemonSet"), (), NONE, False, "cannot delete Pods that declare no controller"),
        (pod("p", "DaemonSet"), (), Consent(force=True), True, ""),
        (pod("p", "DaemonSet", phase="Succeeded"), SETS, NONE, True, ""),
        (pod("p", "Node", mirror=True), SETS, NONE, False, ""),
    ],
)  # fmt: skip
def test_plan(one: core.Pod, sets: set[tuple[str, str]], consent: Consent, leaves: bool, problem: str) -> None:
    found = plan([one], sets, consent)
    assert bool(found.evict) == leaves
    assert "".join(found.problems).startswith(problem) and bool(found.problems) == bool(problem)


def test_one_objection_keeps_a_pod_and_both_are_told() -> None:
    found = plan([pod("b", "", empty_dir=True), pod("a", "", empty_dir=True)], SETS, Consent(force=True))
    assert not found.evict
    assert found.problems == (
        "cannot delete Pods with local storage (use --delete-emptydir-data to override): n/a, n/b",
    )
    assert found.warnings == ("deleting Pods that declare no controller: n/a, n/b",)


class Budgeted(MemoryClient):
    """Refuses so many evictions before it grants one."""

    refusals = 0

    async def create_subresource(self, kind, name, namespace, subresource, body, result):  # type: ignore[no-untyped-def]
        if self.refusals:
            self.refusals -= 1
            raise StatusError({"code": 429, "reason": "TooManyRequests", "message": "Cannot evict pod"})
        answer = await super().create_subresource(kind, name, namespace, subresource, body, result)
        await self.delete(kind, name, namespace, grace_period_seconds=0)  # as the kubelet, at once
        return answer


def run(work: Callable[[Budgeted, VirtualClock, list[str]], object], *pods: core.Pod) -> None:
    async def main() -> None:
        client, clock, told = Budgeted(), VirtualClock(), list[str]()
        await client.create(core.Node(metadata=meta.ObjectMeta(name="a")))
        await client.create(apps.DaemonSet(metadata=meta.ObjectMeta(name="o", namespace="n")))
        for one in pods:
            await client.create(one)
        await work(client, clock, told)  # type: ignore[misc]  # a coroutine

    asyncio.run(asyncio.wait_for(main(), 30))


def test_drained_against_a_budget() -> None:
    async def work(client: Budgeted, clock: VirtualClock, told: list[str]) -> None:
        client.refusals = 3
        task = asyncio.create_task(drain.drain(client, "a", Options(), clock, told.append))
        for _ in range(60):
            await clock.advance(1)
        await task
        assert (await client.get(core.Node, "a")).spec.unschedulable
        assert not (await client.list(core.Pod)).items
        assert told[0] == "node/a cordoned" and told[-2:] == ["pod/p evicted", "node/a drained"]
        assert sum("will retry after 5s" in line for line in told) == 3
        await drain.cordon(client, "a", False, told.append)
        assert not (await client.get(core.Node, "a")).spec.unschedulable and told[-1] == "node/a uncordoned"

    run(work, pod("p"))


def test_time_is_up_and_the_node_stays_cordoned() -> None:
    async def work(client: Budgeted, clock: VirtualClock, told: list[str]) -> None:
        client.refusals = 1000
        task = asyncio.create_task(drain.drain(client, "a", Options(seconds=30), clock, told.append))
        for _ in range(60):
            await clock.advance(1)
        with pytest.raises(DrainError, match=r"after 30 s there are still n/p"):
            await task
        assert (await client.get(core.Node, "a")).spec.unschedulable

    run(work, pod("p"))


def test_nothing_leaves_where_one_may_not() -> None:
    async def work(client: Budgeted, clock: VirtualClock, told: list[str]) -> None:
        with pytest.raises(DrainError, match="--force to override"):
            await drain.drain(client, "a", Options(), clock, told.append)
        assert len((await client.list(core.Pod)).items) == 2

    run(work, pod("p"), pod("q", ""))


MEMBERS = [Member(n, f"m{n}", (f"https://10.0.0.{n}:2380",), (f"c{n}",)) for n in (1, 2, 3)]


def answers(*well: int) -> list[Answer]:
    return [Answer(f"c{n}", Status(member=n), 0.1) if n in well else Answer(f"c{n}", problem="x") for n in (1, 2, 3)]


def test_which_member_is_on_a_node() -> None:
    assert removal.member_of("m2", {"10.0.0.9"}, MEMBERS) is MEMBERS[1]
    assert removal.member_of("node", {"10.0.0.3"}, MEMBERS) is MEMBERS[2]
    assert removal.member_of("node", {"10.0.0.9"}, MEMBERS) is None


@pytest.mark.parametrize(
    ("leaving", "members", "well", "words"),
    [
        (1, MEMBERS, (1, 2, 3), ""),
        (1, MEMBERS, (2, 3), ""),  # the dead one itself
        (1, MEMBERS, (1, 2), "1 are well and 2 are needed"),
        (1, MEMBERS[:2], (1, 2), ""),
        (1, MEMBERS[:1], (1,), "is the last member"),
    ],
)
def test_whether_it_may_leave(leaving: int, members: list[Member], well: tuple[int, ...], words: str) -> None:
    found = removal.problem(members[leaving - 1], members, answers(*well))
    assert words in found and bool(words) == bool(found)
