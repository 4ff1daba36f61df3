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
from pybernetes.client.memory import MemoryClient, MemoryInformers, Request
from pybernetes.component.metrics import Registry
from pybernetes.scheduler.app import Scheduler
from pybernetes.scheduler.framework.clusterevents import Event
from pybernetes.scheduler.framework.interface import Plugin, Wait
from pybernetes.scheduler.model.pods import PodInfo
from pybernetes.scheduler.plugins import PLUGINS
from pybernetes.scheduler.profiles.config import Options, ProfileOptions

from .make import NOW, node, pod, typed


class Cluster:
    """What a test sees."""

    def __init__(self, options: Options | None = None) -> None:
        self.clock, self.registry = VirtualClock(epoch=NOW), Registry()
        self.client = MemoryClient(clock=self.clock)
        informers = MemoryInformers(self.client)
        self.scheduler = Scheduler(
            self.client,
            informers,
            options or Options(),
            self.registry,
            self.clock,
            lambda n: 0,
            "host",
        )
        self.bindings: list[tuple[str, str]] = []  # (pod, node) in their order
        informers.informer(core.Pod).add_handler(self._on_pod)

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        if old is not None and new is not None and old.spec.node_name != new.spec.node_name:
            self.bindings.append((new.metadata.name, new.spec.node_name))

    async def show(self, *objects: Any) -> None:
        """Objects come; the scheduler works until it waits."""
        self.client.put(*objects)
        await self.clock.settle()

    async def drop(self, *objects: Any) -> None:
        """They go; the scheduler works until it waits."""
        self.client.drop(*objects)
        await self.clock.settle()

    def events(self) -> list[core.Event]:
        """Those that were made."""
        return [request.body for request in self.client.asked("create") if request.kind is core.Event]

    def told(self, reason: str) -> list[str]:
        """The messages of the events of a reason."""
        return [event.message for event in self.events() if event.reason == reason]

    def done(self) -> list[Request]:
        """What was asked for besides events."""
        return [request for request in self.client.requests if request.kind is not core.Event]

    def patches(self, name: str) -> list[Any]:
        """What was patched onto a pod's status."""
        return [r.body["status"] for r in self.done() if (r.verb, r.name, r.subresource) == ("patch", name, "status")]

    def conditions(self, name: str) -> list[tuple[str, str]]:
        """(status, reason) of what was patched onto a pod."""
        return [(c["status"], c["reason"]) for patch in self.patches(name) for c in patch.get("conditions", ())]


@asynccontextmanager
async def running(options: Options | None = None) -> AsyncIterator[Cluster]:
    cluster = Cluster(options)
    work = asyncio.ensure_future(cluster.scheduler.run())
    try:
        await cluster.clock.settle()
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
        assert cluster.bindings == [("p", "a")]
        (event,) = cluster.events()
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
        assert cluster.done() == []


@scenario
async def test_several_profiles() -> None:
    options = Options(
        (ProfileOptions(), ProfileOptions("second", {"filter": {"disabled": [{"name": "TaintToleration"}]}}))
    )
    async with running(options) as cluster:
        await cluster.show(node("a", taints=["x=y:NoSchedule"]), pod("p"), pod("q", schedulerName="second"))
        assert cluster.bindings == [("q", "a")]
        assert {event.reporting_component for event in cluster.events()} == {"default-scheduler", "second"}


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
        assert cluster.bindings == [("p", "c")]


@scenario
async def test_what_was_still_to_be_said_of_a_pod_is_not_said_after_its_binding() -> None:
    async with running() as cluster:
        cluster.client.put(node("a", "1"), pod("p", {"cpu": "2"}))
        await asyncio.sleep(0)  # one turn: it is refused, its status waits to be sent
        cluster.client.put(node("b", "4"))
        await cluster.clock.settle()
        assert cluster.bindings == [("p", "b")]
        assert cluster.done()[-1].subresource == "binding"


@scenario
async def test_a_refused_binding_gives_the_room_back_and_is_tried_again() -> None:
    async with running() as cluster:
        cluster.client.fail(errors.conflict("", "pods/binding", "p", "not now"), "create", core.Pod)
        await cluster.show(node("a", "1"), pod("p", {"cpu": "1"}))
        assert cluster.bindings == []
        assert cluster.scheduler.table.pod_total() == 0
        assert cluster.conditions("p") == [("False", "SchedulerError")]
        assert cluster.told("FailedScheduling")[0].startswith('running Bind plugin "DefaultBinder": ')
        await cluster.clock.advance(0.9)
        assert cluster.bindings == []
        await cluster.clock.advance(0.2)
        assert cluster.bindings == [("p", "a")]


@scenario
async def test_a_pod_that_is_gone_when_it_is_to_be_bound() -> None:
    async with running() as cluster:
        cluster.client.fail(errors.not_found("", "pods", "p"), "create", core.Pod)
        await cluster.show(node("a"), pod("p"))
        assert cluster.events() == []
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
        (marked,) = [request.body for request in cluster.client.asked("update")]
        assert marked.metadata.annotations == {"volume.kubernetes.io/selected-node": "a"}
        assert cluster.bindings == [("q", "a")]
        marked.metadata.annotations["pv.kubernetes.io/bind-completed"] = "yes"
        marked.spec.volume_name = "made"
        await cluster.show(marked)
        assert cluster.bindings == [("q", "a"), ("p", "a")]


@scenario
async def test_gated_pods_wait_for_their_gates() -> None:
    async with running() as cluster:
        gated = pod("p", schedulingGates=[{"name": "g"}])
        await cluster.show(node("a"), gated)
        assert cluster.done() == []  # the API server has told of the gates
        await cluster.show(pod("p"))
        assert cluster.bindings == [("p", "a")]


@scenario
async def test_preemption() -> None:
    async with running() as cluster:
        victim = pod("v", {"cpu": "3"}, node="a", priority=1)
        await cluster.show(node("a"), victim, pod("p", {"cpu": "2"}, priority=9))
        verbs = [(request.verb, request.name) for request in cluster.done()]
        assert ("delete", "v") in verbs and verbs.index(("patch", "v")) < verbs.index(("delete", "v"))
        assert cluster.conditions("v") == [("True", "PreemptionByScheduler")]
        assert cluster.told("Preempted") == ["Preempted by pod default/p on node a"]
        assert [patch.get("nominatedNodeName") for patch in cluster.patches("p")] == ["a"]
        # Its room is kept for it: a lesser pod does not get it when the victim goes.
        await cluster.show(pod("q", {"cpu": "3"}))
        await cluster.drop(victim)
        assert cluster.bindings == [("p", "a")]


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
        cluster.client.drop(pod("p"))
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
        assert cluster.bindings == []
        await cluster.show(typed(core.Namespace, metadata={"name": "other", "labels": {"team": "x"}}))
        assert cluster.bindings == [("p", "a")]


@scenario
async def test_a_node_that_goes_and_comes_back_keeps_its_pods() -> None:
    async with running() as cluster:
        await cluster.show(node("a", "1"), pod("old", {"cpu": "1"}, node="a"))
        cluster.client.drop(node("a"))
        await cluster.show(pod("p", {"cpu": "1"}))
        assert cluster.told("FailedScheduling") == ["no nodes available to schedule pods"]
        await cluster.show(node("a", "1"))
        assert cluster.bindings == []
        await cluster.drop(pod("old", node="a"))
        assert cluster.bindings == [("p", "a")]


@scenario
async def test_repeated_refusals_become_a_series() -> None:
    async with running() as cluster:
        await cluster.show(node("a", "1"), pod("p", {"cpu": "2"}))
        first = cluster.events()[0].metadata.name
        await cluster.show(node("a", "1", labels={"x": "y"}, example="1"))
        await cluster.show(pod("p", {"cpu": "2"}, nodeSelector={}, labels={"new": "label"}))
        patches = [request for request in cluster.client.asked("patch") if request.kind is core.Event]
        assert [(patch.name, patch.body["series"]["count"]) for patch in patches] == [(first, 2)]


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
        assert cluster.bindings == [("alone", "a")]
        await cluster.show(pod("z", labels={"gang": "3"}))
        assert sorted(cluster.bindings) == [("alone", "a"), ("x", "a"), ("y", "a"), ("z", "a")]
        assert not list(cluster.scheduler.waiting)


@scenario
async def test_a_pod_that_waits_too_long_gives_its_room_back() -> None:
    async with running(GANG) as cluster:
        await cluster.show(node("a", cpu="1"), pod("x", {"cpu": "1"}, labels={"gang": "2"}))
        await cluster.clock.advance(11)
        assert cluster.told("FailedScheduling") == [
            'pod "x" rejected while waiting on permit: rejected due to timeout after waiting 10s at plugin Gang'
        ]
        await cluster.show(pod("other", {"cpu": "1"}))
        assert cluster.bindings == [("other", "a")]


@scenario
async def test_a_plugin_may_refuse_for_good_and_a_pod_may_go_while_it_waits() -> None:
    async with running(GANG) as cluster:
        await cluster.show(node("a", cpu="1"), pod("x", labels={"gang": "0"}))
        assert cluster.told("FailedScheduling") == ["no gang is that small"]
        waiting = pod("y", {"cpu": "1"}, labels={"gang": "2"})
        await cluster.show(waiting)
        await cluster.drop(waiting)
        assert not list(cluster.scheduler.waiting)
        await cluster.show(pod("other", {"cpu": "1"}))
        assert cluster.bindings == [("other", "a")]
