"""A day in the life of a cluster, in seconds: API server, controllers, scheduler and hollow nodes on one virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import types
from pybernetes.api.times import format_micro_time
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import authentication_v1 as authentication
from pybernetes.api.types import batch_v1 as batch
from pybernetes.api.types import coordination_v1 as coordination
from pybernetes.api.types import core_v1 as core
from pybernetes.apiserver.generic.expiry import SWEEP_SECONDS
from pybernetes.client.leaderelection import LeaderElector, Options
from pybernetes.client.rest import RESTClient
from pybernetes.testing.cluster import TestCluster

HOUR = 3600.0
CONTROLLERS = (
    "cronjob",
    "job",
    "deployment",
    "replicaset",
    "nodelifecycle",
    "taint-eviction-controller",
    "podgc",
    "serviceaccount",
)


class Day:
    """A running cluster and its clock."""

    def __init__(self, cluster: TestCluster, clock: VirtualClock, client: RESTClient) -> None:
        self.cluster, self.clock, self.client = cluster, clock, client

    async def make(self, kind: type[Any], **body: Any) -> Any:
        return await self.client.create(types.from_json(body, kind))

    async def passes(self, seconds: float) -> None:
        await self.clock.advance(seconds)


def played(folder: Path, scenario: Callable[[Day], Awaitable[None]]) -> None:
    async def main() -> None:
        clock = VirtualClock(epoch=datetime.now(UTC).replace(minute=30, second=0, microsecond=0))
        cluster = TestCluster(folder, hollow_nodes=2, controllers=CONTROLLERS, scheduler=True, clock=clock)
        await cluster.start()
        try:
            await clock.advance(5)
            await scenario(Day(cluster, clock, cluster.client("admin")))
        finally:
            await cluster.stop()

    asyncio.run(main())


def template(app: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }


async def ready(day: Day) -> dict[str, str]:
    nodes = (await day.client.list(core.Node)).items
    return {n.metadata.name: c.status for n in nodes for c in n.status.conditions if c.type == "Ready"}


async def token(day: Day, seconds: int) -> authentication.TokenReview:
    """To ask whether a service account's token holds."""
    spec = authentication.TokenRequestSpec(expiration_seconds=seconds)
    made = await day.client.create_subresource(
        core.ServiceAccount,
        "default",
        "default",
        "token",
        authentication.TokenRequest(spec=spec),
        authentication.TokenRequest,
    )
    return authentication.TokenReview(spec=authentication.TokenReviewSpec(token=made.status.token))


async def hold(day: Day, name: str, seconds: int) -> None:
    """A lease as somebody's election would have it, who then is not heard of any more."""
    now = format_micro_time(day.clock.now())
    spec = {"holderIdentity": "gone", "leaseDurationSeconds": seconds, "renewTime": now, "acquireTime": now}
    await day.make(coordination.Lease, metadata={"name": name, "namespace": "default"}, spec=spec)


async def forever() -> None:
    await asyncio.Event().wait()


def test_a_day_in_the_life_of_a_cluster(tmp_path: Path) -> None:
    """A cron job each hour, a token that ends, a lease that ends, a node that dies, events that are forgotten."""

    async def scenario(day: Day) -> None:
        cron = {
            "schedule": "0 * * * *",
            "concurrencyPolicy": "Replace",
            "jobTemplate": {"spec": {"template": template("job", restartPolicy="Never")}},
        }
        await day.make(batch.CronJob, metadata={"name": "hourly", "namespace": "default"}, spec=cron)
        web = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template("web")}
        await day.make(apps.Deployment, metadata={"name": "web", "namespace": "default"}, spec=web)
        review = await token(day, 600)
        await hold(day, "election", 15)
        began = day.clock.now()
        elector = LeaderElector(day.client, Options("election", "me", "default"), day.clock)
        leading = asyncio.ensure_future(elector.run(forever))

        await day.passes(10)
        assert not elector.is_leader, "the lease of another holds"
        assert await where(day) == {"hollow-0", "hollow-1"}
        assert await ready(day) == {"hollow-0": "True", "hollow-1": "True"}
        renewed = (await day.client.get(coordination.Lease, "hollow-0", "kube-node-lease")).spec.renew_time
        await day.passes(50)
        assert elector.is_leader
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)
        await day.passes(530)
        assert (await day.client.create(review)).status.authenticated
        await day.passes(80)  # a minute of it for clocks that differ
        assert not (await day.client.create(review)).status.authenticated
        later = (await day.client.get(coordination.Lease, "hollow-0", "kube-node-lease")).spec.renew_time
        assert renewed is not None and later is not None and later > renewed
        assert [e.reason for e in (await day.client.list(core.Event, "default")).items].count("Scheduled") >= 2

        await day.cluster.kill_node("hollow-1")
        await day.passes(60)
        assert await ready(day) == {"hollow-0": "True", "hollow-1": "Unknown"}
        assert await where(day) == {"hollow-0", "hollow-1"}, "pods wait five minutes for their node"
        await day.passes(5 * 60)
        assert await where(day) == {"hollow-0"}

        names = set[str]()
        while (day.clock.now() - began).total_seconds() < 24 * HOUR:
            await day.passes(HOUR)
            names |= {job.metadata.name for job in (await day.client.list(batch.Job, "default")).items}
        assert len(names) == 24, names
        kept = (await day.client.list(core.Event, "default")).items
        assert kept and not [e.reason for e in kept if age(day, e) > HOUR + 2 * SWEEP_SECONDS], (
            "forgotten after an hour"
        )

    played(tmp_path, scenario)


def age(day: Day, event: core.Event) -> float:
    """Seconds since the event was last seen."""
    moment = event.last_timestamp or event.metadata.creation_timestamp
    assert moment is not None
    return (day.clock.now() - moment).total_seconds()


async def where(day: Day) -> set[str]:
    """The nodes of the deployment's pods that are to stay."""
    pods = (await day.client.list(core.Pod, "default", label_selector="app=web")).items
    return {pod.spec.node_name for pod in pods if pod.metadata.deletion_timestamp is None}
