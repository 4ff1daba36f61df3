"""Plays tests/golden/control against an API server with the controllers and the scheduler of this project, all in process.

python -m tests.api.control control/replicaset control/deployment
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from pybernetes.apiserver.server import APIServer
from pybernetes.apiserver.server import Options as ServerOptions
from pybernetes.client.http import HTTPClient
from pybernetes.client.informer import InformerFactory
from pybernetes.client.inprocess import URL, InProcessClient
from pybernetes.client.kubeconfig import Config
from pybernetes.client.rest import RESTClient
from pybernetes.controllers.manager import run
from pybernetes.controllers.options import Options
from pybernetes.scheduler.app import run as schedule
from pybernetes.store.sqlite import SQLiteStore

from . import controloptions
from .golden import Outcome, cases, line, outcome, totals
from .golden import options as as_usual

AT_ONCE = 24  # cases
SPEED = 15.0  # of the clock in the second cluster
# What waits for minutes, back-offs and grace periods is played in a second cluster whose time flies.
SLOW = (
    "control/cronjob/",
    "control/hpa/lowers-to-maximum",
    "control/job/deleted-running-pod-replaced",
    "control/job/failed-pod-retried",
    "control/nodelifecycle/stops-posting",
    "control/podgc/pod-on-missing-node",
)
# What tells of all nodes that there are is played in a cluster of its own, a few of them at a time.
ALONE = tuple(
    f"control/scheduler/{name}"
    for name in (
        "affinity-unmet",
        "anti-affinity-host",
        "anti-affinity-symmetric",
        "claim-unbound",
        "extended-resource",
        "host-network-ports",
        "host-port-any-address",
        "host-port-conflict",
        "insufficient-several",
        "pod-affinity-other-namespace",
        "pod-affinity-unmet",
        "pod-count",
        "preemption-lowest-victim",
        "preemption-never",
        "preemption-nominates",
        "spread-hard-unmet",
        "spread-max-skew",
        "spread-missing-label",
        "taint-no-execute",
        "taint-no-schedule",
    )
)
# Whose work such a case sees: nodes and their taints, volumes of claims, accounts. All the others would cost it as much as all its requests.
BESIDE_SCHEDULER = (
    "nodelifecycle",
    "taint-eviction-controller",
    "nodeipam",
    "serviceaccount",
    "persistentvolume-binder",
    "disruption",
    "replicaset",
)
CLUSTERS_AT_ONCE = 3
PATIENCE = 120.0  # seconds that a step may take to come true
RENAMED = {
    "batch/v1beta1": "batch/v1",
    "policy/v1beta1": "policy/v1",
    "autoscaling/v2beta2": "autoscaling/v2",
}  # the same but for the version


class Flying:
    """A clock that is faster than the real one; it starts with it."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._start, self._wall = time.monotonic(), datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds."""
        return self._start + (time.monotonic() - self._start) * self._speed

    async def sleep(self, seconds: float) -> None:
        """On this clock."""
        await asyncio.sleep(max(0.0, seconds) / self._speed)

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        """On this clock."""
        return asyncio.timeout(None if seconds is None else seconds / self._speed)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """On this clock."""
        return asyncio.get_running_loop().call_later(seconds / self._speed, callback)

    def now(self) -> datetime:
        """The time of day."""
        return self._wall + timedelta(seconds=self.monotonic() - self._start)


def inside(server: APIServer, agent: str) -> RESTClient:
    """A client of a part in this process."""
    return RESTClient(Config(URL), agent, http=InProcessClient(lambda: server.listening))


@asynccontextmanager
async def controlled(
    speed: float = 1.0, options: Options | None = None, server_options: Callable[[], ServerOptions] = as_usual
) -> AsyncIterator[HTTPClient]:
    """A client of a fresh API server whose objects are looked after, by controllers whose time runs so fast."""
    clock = Flying(speed)
    store = await SQLiteStore.open(":memory:")
    server = APIServer(store, server_options())
    await server.start()
    client = HTTPClient(f"http://127.0.0.1:{server.port}")
    rest, scheduling = (inside(server, agent) for agent in ("kube-controller-manager", "kube-scheduler"))
    work = asyncio.gather(
        run(rest, InformerFactory(rest), options or controloptions.options(), clock),
        schedule(scheduling, InformerFactory(scheduling)),
    )
    try:
        yield client
    finally:
        work.cancel()
        ended = await asyncio.gather(work, return_exceptions=True)
        await rest.close()
        await scheduling.close()
        await client.close()
        await server.stop(0)
        await store.close()
        for error in ended:
            if isinstance(error, Exception):
                raise error  # what was looked at without controllers says nothing


async def outcomes(names: list[str], patience: float = PATIENCE) -> dict[str, Outcome]:
    """Of each case; cases have namespaces of their own, so that many can wait at once."""
    results: dict[str, Outcome] = {}
    places, clusters = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(CLUSTERS_AT_ONCE)

    async def one(client: HTTPClient, name: str) -> None:
        async with places:
            results[name] = await outcome(client, name, patience, RENAMED)

    async def play(chosen: list[str], speed: float) -> None:
        if chosen:
            async with controlled(speed) as client:
                await asyncio.gather(*(one(client, name) for name in chosen))

    async def isolate(name: str) -> None:
        async with clusters, controlled(options=controloptions.options(BESIDE_SCHEDULER)) as client:
            await one(client, name)

    slow = [name for name in names if name.startswith(SLOW)]
    alone = [name for name in names if name in ALONE]
    rest = [name for name in names if name not in slow and name not in alone]
    await asyncio.gather(play(slow, SPEED), play(rest, 1.0), *map(isolate, alone))
    return results


async def main(folders: list[str]) -> int:
    names = list(cases(*folders))
    found = await outcomes(names)
    for name in names:
        print(line(name, found[name]), flush=True)
        if found[name].inexact:
            print(f"        {found[name].inexact[:300]}")
    print(*totals(found), sep="\n")
    return 0 if not any(result.difference for result in found.values()) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
