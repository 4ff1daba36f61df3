"""The scheduler against a cluster in memory, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import storage_v1 as storage
from pybernetes.component.metrics import Registry
from pybernetes.scheduler.app import Scheduler
from pybernetes.scheduler.clusterevents import Event
from pybernetes.scheduler.config import Options, ProfileOptions
from pybernetes.scheduler.interface import Plugin, Wait
from pybernetes.scheduler.plugins import PLUGINS
from pybernetes.scheduler.pods import PodInfo

from .fakes import FakeClient, FakeInformers
from .make import NOW, node, pod, typed

TURNS = 200


class Cluster:
    """What a test sees."""

    def __init__(self, options: Options | None = None) -> None:
        self.informers, self.clock, self.registry = FakeInformers(), VirtualClock(epoch=NOW), Registry()
        self.client = FakeClient(self.informers)
        self.scheduler = Scheduler(
            self.client,  # type: ignore[arg-type]  # only the verbs that are used
            self.informers,
            options or Options(),
            self.registry,
            self.clock,
            lambda n: 0,
            "host",
        )

    async def settle(self) -> None:
        """Lets the scheduler work until it waits."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def show(self, *objects: Any) -> None:
        """Objects come; the scheduler works."""
        for obj in objects:
            self.informers.show(obj)
        await self.settle()

    def told(self, reason: str) -> list[str]:
        """The messages of the events of a reason."""
        return [event.message for event in self.client.events if event.reason == reason]

    def bindings(self) -> list[tuple[str, Any]]:
        """(pod, node) in their order."""
        return [(name, target) for verb, name, target in self.client.done if verb == "binding"]

    def conditions(self, name: str) -> list[tuple[str, str]]:
        """(status, reason) of what was patched onto a pod."""
        patches = [p["status"] for verb, n, p in self.client.done if verb == "patch" and n == name]
        return [(c["status"], c["reason"]) for p in patches for c in p.get("conditions", ())]


@asynccontextmanager
async def running(options: Options | None = None) -> AsyncIterator[Cluster]:
    cluster = Cluster(options)
    work = asyncio.ensure_future(cluster.scheduler.run())
    try:
        await cluster.settle()
        yield cluster
        assert not work.done(), work
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def scenario(play: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """A test that plays on a loop of its own."""

    def test() -> None:
        asyncio.run(play())  # type: ignore[arg-type]  # it is a coroutine

    test.__name__ = play.__name__
    return test


@scenario
async def test_a_pod_is_bound_and_told_of() -> None:
    async with running() as cluster:
        await cluster.show(node("a"), pod("p"))
        assert cluster.bindings() == [("p", "a")]
        (event,) = cluster.client.events
        assert (event.type, event.reason, event.action) == ("Normal", "Scheduled", "Binding")
        assert event.message == "Successfully assigned default/p to a"
        assert (event.reporting_component, event.reporting_instance) == ("default-scheduler", "default-scheduler-host")
        assert event.involved_object.uid == "default/p"
        text = cluster.registry.text()
        assert 'scheduler_schedule_attempts_total{profile="default-scheduler",result="scheduled"} 1' in text
        assert 'scheduler_pending_pods{queue="active"} 0' in text
        assert 'scheduler_cache_size{type="nodes"} 1' in text


@scenario
async def test_pods_of_other_schedulers_are_left_alone() -> None:
    async with running() as cluster:
        await cluster.show(node("a"), pod("p", schedulerName="other"), pod("q", node="a"))
        assert cluster.client.done == []


@scenario
async def test_several_profiles() -> None:
    options = Options(
        (ProfileOptions(), ProfileOptions("second", {"filter": {"disabled": [{"name": "TaintToleration"}]}}))
    )
    async with running(options) as cluster:
        await cluster.show(node("a", taints=["x=y:NoSchedule"]), pod("p"), pod("q", schedulerName="second"))
        assert cluster.bindings() == [("q", "a")]
        assert {event.reporting_component for event in cluster.client.events} == {"default-scheduler", "second"}


@scenario
async def test_a_pod_without_room_waits_for_a_node() -> None:
    async with running() as cluster:
        await cluster.show(node("a", "1"), pod("p", {"cpu": "2"}))
        assert cluster.conditions("p") == [("False", "Unschedulable")]
        assert cluster.told("FailedScheduling") == [
            "0/1 nodes are available: 1 Insufficient cpu."
            " preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        ]
        await cluster.show(node("b", "1"))  # too small: nobody looks
        assert len(cluster.told("FailedScheduling")) == 1
        await cluster.show(node("c", "4"))
        assert cluster.bindings() == [("p", "c")]


@scenario
async def test_what_was_still_to_be_said_of_a_pod_is_not_said_after_its_binding() -> None:
    async with running() as cluster:
        cluster.informers.show(node("a", "1"))
        cluster.informers.show(pod("p", {"cpu": "2"}))
        await asyncio.sleep(0)  # one turn: it is refused, its status waits to be sent
        cluster.informers.show(node("b", "4"))
        await cluster.settle()
        kinds = [verb for verb, _, _ in cluster.client.done]
        assert cluster.bindings() == [("p", "b")]
        assert kinds[-1] == "binding"


@scenario
async def test_a_refused_binding_gives_the_room_back_and_is_tried_again() -> None:
    async with running() as cluster:
        cluster.client.refuse = [errors.conflict("", "pods/binding", "p", "not now")]
        await cluster.show(node("a", "1"), pod("p", {"cpu": "1"}))
        assert cluster.bindings() == []
        assert cluster.scheduler.table.pod_total() == 0
        assert cluster.conditions("p") == [("False", "SchedulerError")]
        assert cluster.told("FailedScheduling")[0].startswith('running Bind plugin "DefaultBinder": ')
        await cluster.clock.advance(0.9)
        await cluster.settle()
        assert cluster.bindings() == []
        cluster.scheduler._wake.set()  # the virtual clock does not move the loop's timeouts
        await cluster.clock.advance(0.2)
        cluster.scheduler._wake.set()
        await cluster.settle()
        assert cluster.bindings() == [("p", "a")]


@scenario
async def test_a_pod_that_is_gone_when_it_is_to_be_bound() -> None:
    async with running() as cluster:
        cluster.client.refuse = [errors.not_found("", "pods", "p")]
        await cluster.show(node("a"), pod("p"))
        assert cluster.client.events == []
        assert cluster.scheduler.queue.get("default/p") is None


@scenario
async def test_a_claim_that_waits_for_its_consumer() -> None:
    async with running() as cluster:
        unbound = typed(
            core.PersistentVolumeClaim,
            metadata={"name": "c", "namespace": "default"},
            spec={"storageClassName": "fast"},
            status={"phase": "Pending"},
        )
        made = typed(
            storage.StorageClass,
            metadata={"name": "fast"},
            provisioner="csi.example.org",
            volumeBindingMode="WaitForFirstConsumer",
        )
        volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
        await cluster.show(node("a"), unbound, made, pod("p", volumes=volumes), pod("q"))
        # The claim is marked with the node; meanwhile others are not held up.
        (marked,) = [obj for verb, _, obj in cluster.client.done if verb == "update"]
        assert marked.metadata.annotations == {"volume.kubernetes.io/selected-node": "a"}
        assert cluster.bindings() == [("q", "a")]
        marked.metadata.annotations["pv.kubernetes.io/bind-completed"] = "yes"
        marked.spec.volume_name = "made"
        await cluster.show(marked)
        assert cluster.bindings() == [("q", "a"), ("p", "a")]


@scenario
async def test_gated_pods_wait_for_their_gates() -> None:
    async with running() as cluster:
        gated = pod("p", schedulingGates=[{"name": "g"}])
        await cluster.show(node("a"), gated)
        assert cluster.client.done == []  # the API server has told of the gates
        await cluster.show(pod("p"))
        assert cluster.bindings() == [("p", "a")]


@scenario
async def test_preemption() -> None:
    async with running() as cluster:
        victim = pod("v", {"cpu": "3"}, node="a", priority=1)
        await cluster.show(node("a"), victim, pod("p", {"cpu": "2"}, priority=9))
        verbs = [(verb, name) for verb, name, _ in cluster.client.done]
        assert ("delete", "v") in verbs and verbs.index(("patch", "v")) < verbs.index(("delete", "v"))
        assert cluster.conditions("v") == [("True", "PreemptionByScheduler")]
        assert cluster.told("Preempted") == ["Preempted by pod default/p on node a"]
        nominated = [
            p["status"].get("nominatedNodeName") for verb, n, p in cluster.client.done if (verb, n) == ("patch", "p")
        ]
        assert nominated == ["a"]
        # Its room is kept for it: a lesser pod does not get it when the victim goes.
        await cluster.show(pod("q", {"cpu": "3"}))
        cluster.informers.drop(victim)
        await cluster.settle()
        assert cluster.bindings() == [("p", "a")]


@scenario
async def test_news_of_a_pod_that_has_its_node() -> None:
    async with running() as cluster:
        await cluster.show(node("a"), pod("p", {"cpu": "1"}, node="a", labels={"x": "1"}))
        table = cluster.scheduler.table
        before = table.version
        await cluster.show(pod("p", {"cpu": "1"}, node="a", labels={"x": "1"}, status={"phase": "Running"}))
        assert table.version == before  # nothing that counts
        await cluster.show(pod("p", {"cpu": "2"}, node="a"))
        assert table.requested["cpu"][table.rows["a"]] == 2000
        cluster.informers.drop(pod("p"))
        assert table.pod_total() == 0 and table.requested["cpu"][0] == 0


@scenario
async def test_labels_of_a_namespace_may_bring_pods_together() -> None:
    async with running() as cluster:
        term = {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": {"app": "db"}},
            "namespaceSelector": {"matchLabels": {"team": "x"}},
        }
        near = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        await cluster.show(
            node("a"), pod("db", labels={"app": "db"}, namespace="other", node="a"), pod("p", affinity=near)
        )
        assert cluster.bindings() == []
        await cluster.show(typed(core.Namespace, metadata={"name": "other", "labels": {"team": "x"}}))
        assert cluster.bindings() == [("p", "a")]


@scenario
async def test_a_node_that_goes_and_comes_back_keeps_its_pods() -> None:
    async with running() as cluster:
        await cluster.show(node("a", "1"), pod("old", {"cpu": "1"}, node="a"))
        cluster.informers.drop(node("a"))
        await cluster.show(pod("p", {"cpu": "1"}))
        assert cluster.told("FailedScheduling") == ["no nodes available to schedule pods"]
        await cluster.show(node("a", "1"))
        assert cluster.bindings() == []
        cluster.informers.drop(pod("old", node="a"))
        await cluster.settle()
        assert cluster.bindings() == [("p", "a")]


@scenario
async def test_repeated_refusals_become_a_series() -> None:
    async with running() as cluster:
        await cluster.show(node("a", "1"), pod("p", {"cpu": "2"}))
        first = cluster.client.events[0].metadata.name
        patched: list[tuple[str, Any]] = []

        async def patch(kind: Any, name: str, namespace: str, body: Any, **options: Any) -> None:
            patched.append((name, body))

        cluster.client.patch = patch  # type: ignore[method-assign]
        await cluster.show(node("a", "1", labels={"x": "y"}, example="1"))
        await cluster.show(pod("p", {"cpu": "2"}, nodeSelector={}, labels={"new": "label"}))
        assert [(name, body["series"]["count"]) for name, body in patched if "series" in body] == [(first, 2)]


class Gang(Plugin):
    """Pods with the label `gang` are bound when there are as many as `size` says; a text plays a plug-in that refuses."""

    name = "Gang"
    events: ClassVar[dict[Event, None]] = {Event.UNSCHEDULED_POD_UPDATE: None}

    def permit(self, info: PodInfo, node: str) -> Wait | str | None:
        size = int(info.labels.get("gang", "1"))
        if size < 1:
            return "no gang is that small"
        mates = [one for one in self.handle.waiting if one.info.labels.get("gang") == info.labels.get("gang")]
        if len(mates) + 1 < size:
            return Wait(10)
        for mate in mates:
            self.handle.waiting.allow(mate.info.uid, self.name)
        return None


GANG = Options(
    registry=(*PLUGINS, Gang), profiles=(ProfileOptions(plugins={"permit": {"enabled": [{"name": "Gang"}]}}),)
)


@scenario
async def test_permit_holds_pods_back_until_the_last_of_a_gang_has_come() -> None:
    async with running(GANG) as cluster:
        await cluster.show(node("a"), pod("x", labels={"gang": "3"}), pod("alone"), pod("y", labels={"gang": "3"}))
        assert cluster.bindings() == [("alone", "a")]
        await cluster.show(pod("z", labels={"gang": "3"}))
        assert sorted(cluster.bindings()) == [("alone", "a"), ("x", "a"), ("y", "a"), ("z", "a")]
        assert not list(cluster.scheduler.waiting)


@scenario
async def test_a_pod_that_waits_too_long_gives_its_room_back() -> None:
    async with running(GANG) as cluster:
        await cluster.show(node("a", cpu="1"), pod("x", {"cpu": "1"}, labels={"gang": "2"}))
        await cluster.clock.advance(11)
        await cluster.settle()
        assert cluster.told("FailedScheduling") == [
            'pod "x" rejected while waiting on permit: rejected due to timeout after waiting 10s at plugin Gang'
        ]
        await cluster.show(pod("other", {"cpu": "1"}))
        assert cluster.bindings() == [("other", "a")]


@scenario
async def test_a_plugin_may_refuse_for_good_and_a_pod_may_go_while_it_waits() -> None:
    async with running(GANG) as cluster:
        await cluster.show(node("a", cpu="1"), pod("x", labels={"gang": "0"}))
        assert cluster.told("FailedScheduling") == ["no gang is that small"]
        waiting = pod("y", {"cpu": "1"}, labels={"gang": "2"})
        await cluster.show(waiting)
        cluster.informers.drop(waiting)
        await cluster.settle()
        assert not list(cluster.scheduler.waiting)
        await cluster.show(pod("other", {"cpu": "1"}))
        assert cluster.bindings() == [("other", "a")]
