"""Controllers on a machine whose wall clock is put forward or back by an hour while they work.

The kind: what is to happen after a time happens after that time, and what is to happen at a time of day happens then, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.aio.workqueue import WorkQueue
from pybernetes.api.types import batch_v1 as batch
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.events import EventBroadcaster
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.controllers.cronjob.controller import CronJobController
from pybernetes.controllers.framework import WALL_CLOCK_CHECK_SECONDS, Context, Controller
from pybernetes.controllers.job.backoff import Backoff, remaining
from pybernetes.controllers.tainteviction.controller import TaintEvictionController
from pybernetes.controllers.ttlafterfinished.controller import TTLAfterFinishedController

START = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
HOUR = 3600


class World:
    """One controller at work on a clock of the test's."""

    def __init__(self, kind: type[Controller], *objects: meta.ObjectMeta | object) -> None:
        self.clock = VirtualClock(epoch=START)
        self.client = MemoryClient(*objects, clock=self.clock)  # type: ignore[arg-type]
        events = EventBroadcaster(self.client, self.clock)
        self.informers = MemoryInformers(self.client)
        self.controller = kind(Context(self.client, self.informers, events, self.clock))


def played(world: Callable[[], World], scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        there = world()
        work = asyncio.ensure_future(there.informers.run())
        controller = asyncio.ensure_future(there.controller.run())
        try:
            await there.clock.advance(1)
            await scenario(there)
        finally:
            for task in (controller, work):
                task.cancel()
            await asyncio.gather(controller, work, return_exceptions=True)

    asyncio.run(main())


# --- times of day


def hourly() -> World:
    template = batch.JobTemplateSpec(spec=batch.JobSpec(template=core.PodTemplateSpec()))
    spec = batch.CronJobSpec(schedule="0 * * * *", job_template=template, concurrency_policy="Allow")
    cron = batch.CronJob(
        metadata=meta.ObjectMeta(name="c", namespace="ns", uid="u", creation_timestamp=START), spec=spec
    )
    return World(CronJobController, cron)


def jobs(world: World) -> list[str]:
    return sorted(job.metadata.name for job in world.client.all(batch.Job))


def test_a_cron_job_is_started_soon_after_the_clock_was_put_past_its_time() -> None:
    async def scenario(world: World) -> None:
        await world.clock.advance(10)
        assert jobs(world) == []
        world.clock.step(HOUR)
        await world.clock.advance(WALL_CLOCK_CHECK_SECONDS)
        assert len(jobs(world)) == 1

    played(hourly, scenario)


def test_a_cron_job_is_started_once_when_the_hour_comes_twice() -> None:
    async def scenario(world: World) -> None:
        await world.clock.advance(HOUR)
        first = jobs(world)
        assert len(first) == 1
        world.clock.step(-HOUR)
        await world.clock.advance(HOUR)
        assert jobs(world) == first
        await world.clock.advance(HOUR)
        assert len(jobs(world)) == 2

    played(hourly, scenario)


def test_a_finished_job_goes_at_its_time_of_day() -> None:
    """Forward: soon. Back: not before the wall clock says so, since completionTime is of the wall clock."""

    def world() -> World:
        ended = batch.JobCondition(type="Complete", status="True", last_transition_time=START)
        job = batch.Job(
            metadata=meta.ObjectMeta(name="j", namespace="ns"),
            spec=batch.JobSpec(template=core.PodTemplateSpec(), ttl_seconds_after_finished=1800),
            status=batch.JobStatus(conditions=[ended]),
        )
        return World(TTLAfterFinishedController, job)

    async def forward(world: World) -> None:
        world.clock.step(HOUR)
        await world.clock.advance(WALL_CLOCK_CHECK_SECONDS)
        assert jobs(world) == []

    async def back(world: World) -> None:
        world.clock.step(-HOUR)
        await world.clock.advance(1800)
        assert jobs(world) == ["j"]
        await world.clock.advance(HOUR + WALL_CLOCK_CHECK_SECONDS)
        assert jobs(world) == []

    played(world, forward)
    played(world, back)


# --- spans of time


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_pod_stays_on_a_tainted_node_as_long_as_it_tolerates_it(step: int) -> None:
    def world() -> World:
        taint = core.Taint(key="k", effect="NoExecute")
        node = core.Node(metadata=meta.ObjectMeta(name="n"), spec=core.NodeSpec(taints=[taint]))
        toleration = core.Toleration(key="k", operator="Exists", toleration_seconds=300)
        spec = core.PodSpec(node_name="n", tolerations=[toleration])
        return World(
            TaintEvictionController, node, core.Pod(metadata=meta.ObjectMeta(name="p", namespace="ns"), spec=spec)
        )

    async def scenario(world: World) -> None:
        await world.clock.advance(100)
        world.clock.step(step)
        await world.clock.advance(190)
        (pod,) = world.client.all(core.Pod)
        assert pod.metadata.deletion_timestamp is None
        await world.clock.advance(20)
        assert all(pod.metadata.deletion_timestamp is not None for pod in world.client.all(core.Pod))

    played(world, scenario)


@pytest.mark.parametrize("failures", [1, 4, 50])
def test_the_back_off_of_a_job_never_waits_longer_than_it_is(failures: int) -> None:
    """Whatever the kubelet's clock said of the failure, and however far ours was put back since."""
    full = remaining(failures, START, START)
    assert 0 < full <= 600
    for seconds in (0, 1, full, HOUR, 24 * HOUR):
        assert 0 <= remaining(failures, START, START - timedelta(seconds=seconds)) <= full
    assert remaining(failures, START, START - timedelta(seconds=HOUR)) == 0
    assert Backoff(failures, START).remaining(START + timedelta(seconds=HOUR)) == 0


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_delays_and_back_offs_of_a_queue_are_as_long_as_they_were(step: int) -> None:
    async def main() -> None:
        clock = VirtualClock()
        queue: WorkQueue[str] = WorkQueue(clock)
        queue.add_after("later", 30)
        for _ in range(8):
            queue.add_rate_limited("failing")
        clock.step(step)
        await clock.advance(29)
        assert await queue.get() == "failing" and len(queue) == 0
        await clock.advance(2)
        assert await queue.get() == "later"

    asyncio.run(main())
