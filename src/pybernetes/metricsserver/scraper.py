"""Asks all kubelets what their node uses, again and again (upstream: pkg/scraper, pkg/server)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from pybernetes.aio.clock import Clock
from pybernetes.api.pods import is_finished
from pybernetes.api.types import core_v1 as core
from pybernetes.client.http import HTTPClient
from pybernetes.client.kubeconfig import Config
from pybernetes.client.sliminformer import Kept, SlimInformers
from pybernetes.client.types import Client, present
from pybernetes.component.metrics import Registry

from .kubelets import NoAddress, NodeFacts, Resolver, node_facts
from .points import NANOS, Batch, Key, Malformed, decode
from .storage import PodFacts, Storage, admitted, merged

_log = logging.getLogger(__name__)

PATH = "/metrics/resource"
AT_ONCE = 32  # kubelets; with MAX_BYTES this bounds what their answers take
MAX_BYTES = 4 << 20  # of an answer: 250 pods of 10 containers are 1 MB
LARGE = 64 << 10  # bytes: what is longer is read in a thread
SPREAD_SECONDS = (0.008, 4.0)  # for each node, at most for all: upstream's, so that not all answers come together
LATE = 1.1  # of the resolution: a scrape that begins later means that this process hangs


@dataclass(frozen=True, slots=True)
class Kubelets:
    """How they are asked. `config` says who asks, and by which authority their certificates are judged."""

    resolver: Resolver
    config: Config
    scheme: str = "https"
    timeout: float = 10.0


class ScrapeFailed(Exception):
    """Of one kubelet; one line."""


class Scraper:
    """`run` until cancelled; `storage`, `nodes` and `pods` are what `api` answers of."""

    def __init__(
        self,
        kubelets: Kubelets,
        client: Client,
        resolution: float,
        clock: Clock,
        registry: Registry,
        chooser: random.Random,
        selects: Callable[[NodeFacts], bool] = lambda _: True,
    ) -> None:
        self._kubelets, self._resolution, self._clock, self._random = kubelets, resolution, clock, chooser
        self._selects = selects
        self.storage = Storage(int(resolution * NANOS))
        self.nodes: dict[str, NodeFacts] = {}
        self.pods: dict[Key, PodFacts] = {}
        self._informers = SlimInformers(client, clock)
        self._informers.watch(core.Node, node_facts, self._on_node)
        self._informers.watch(core.Pod, pod_facts, self._on_pod)
        self.synced = False
        self._clients: dict[tuple[str, int], HTTPClient] = {}
        self._context: ssl.SSLContext | None = None
        self._last_tick: float | None = None
        self._last_ok = True
        self._seconds = registry.histogram(
            "metrics_server_kubelet_request_duration_seconds",
            "Duration of requests to Kubelet API in seconds",
            ("node",),
        )
        self._requests = registry.counter(
            "metrics_server_kubelet_request_total", "Number of requests sent to Kubelet API", ("success",)
        )
        self._last_request = registry.gauge(
            "metrics_server_kubelet_last_request_time_seconds",
            "Time of last request performed to Kubelet API since unix epoch in seconds",
            ("node",),
        )
        self._ticks = registry.histogram(
            "metrics_server_manager_tick_duration_seconds",
            "The total time spent collecting and storing metrics in seconds.",
        )
        registry.gauge(
            "metrics_server_storage_points",
            "Number of metrics points stored.",
            ("type",),
            function=lambda: {
                ("node",): len(self.storage.nodes_before),
                ("container",): self.storage.container_points,
            },
        )

    # What the cluster has.

    def _on_node(self, old: Kept[NodeFacts] | None, new: Kept[NodeFacts] | None) -> None:
        name = present(old, new).metadata.name
        if new is not None and self._selects(new.value):
            self.nodes[name] = new.value
        else:
            self.nodes.pop(name, None)
            for samples in (self._seconds.sums, self._seconds.counts, self._last_request.samples):
                samples.pop((name,), None)  # nodes come and go, and the metrics must not keep them all

    def _on_pod(self, old: Kept[PodFacts | None] | None, new: Kept[PodFacts | None] | None) -> None:
        meta = present(old, new).metadata
        if new is not None and new.value is not None:
            self.pods[meta.namespace, meta.name] = new.value
        else:
            self.pods.pop((meta.namespace, meta.name), None)

    # Checks of health; "" where all is well.

    def collection_problem(self) -> str:
        """livez."""
        late = self._clock.monotonic() - self._last_tick if self._last_tick is not None else 0.0
        if late > LATE * self._resolution:
            return f"time since last tick ({late:.1f} s) was greater than expected metrics resolution"
        return ""

    def storage_problem(self) -> str:
        """readyz."""
        if not self._last_ok:
            return "no node could be scraped in the last tick"
        return "" if self.storage.ready else "no metrics to serve: at least 2 scrapes are needed"

    def informer_problem(self) -> str:
        """readyz."""
        return "" if self.synced else "nodes and pods have not been listed yet"

    # Scrapes.

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._informers.run())
            group.create_task(self._scrape_forever())

    async def _scrape_forever(self) -> None:
        try:
            await self._informers.wait_synced()
            self.synced = True
            while True:
                began = self._last_tick = self._clock.monotonic()
                await self.scrape()
                took = self._clock.monotonic() - began
                self._ticks.observe(took)
                await self._clock.sleep(max(0.0, self._resolution - took))
        finally:
            for client in self._clients.values():
                await client.close()

    async def scrape(self) -> None:
        """Once, all nodes; those that do not answer are left out. Takes no longer than the resolution."""
        nodes = dict(self.nodes)
        self._forget(nodes)
        slots = asyncio.Semaphore(AT_ONCE)
        spread = min(SPREAD_SECONDS[0] * len(nodes), SPREAD_SECONDS[1], self._resolution / 4)
        tasks = [asyncio.ensure_future(self._one(name, node, slots, spread)) for name, node in nodes.items()]
        try:
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(self._resolution * 0.9):
                    await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        late = [name for name, task in zip(nodes, tasks, strict=True) if task.cancelled()]
        if late:
            _log.warning("%d nodes had not answered within the resolution, such as %s", len(late), min(late))
        batches = [task.result() for task in tasks if not task.cancelled()]
        batch = merged(one for one in batches if one is not None)
        self._last_ok = bool(batch.nodes) or not nodes
        self.storage.store(batch)

    async def _one(self, name: str, node: NodeFacts, slots: asyncio.Semaphore, spread: float) -> Batch | None:
        await self._clock.sleep(self._random.random() * spread)
        async with slots:
            began = self._clock.monotonic()
            try:
                batch = await self._collect(name, node)
            except (NoAddress, ScrapeFailed, Malformed, OSError, TimeoutError) as error:
                self._requests.inc("false")
                level = logging.WARNING if node.ready else logging.DEBUG  # of one that is not ready nothing is expected
                _log.log(level, "node %s cannot be scraped: %s", name, str(error) or type(error).__name__)
                return None
            finally:
                self._seconds.observe(self._clock.monotonic() - began, name)
                self._last_request.set(self._clock.now().timestamp() // 1, name)
            self._requests.inc("true")
        kept, foreign = admitted(batch, name, self.pods)
        if foreign:
            _log.warning("node %s tells of %d pods of other nodes, such as %s/%s", name, len(foreign), *min(foreign))
        return kept

    async def _collect(self, name: str, node: NodeFacts) -> Batch:
        """NoAddress, ScrapeFailed, Malformed, OSError, TimeoutError."""
        place = self._kubelets.resolver.place(name, node)
        async with self._clock.timeout(self._kubelets.timeout):
            text = await self._fetch(place)
        now = int(self._clock.now().timestamp() * NANOS)
        if len(text) < LARGE:
            return decode(text, name, now)
        return await asyncio.to_thread(decode, text, name, now)

    async def _fetch(self, place: tuple[str, int]) -> str:
        config = self._kubelets.config
        credentials = await config.authorization(self._clock.now())
        headers = [("Authorization", credentials)] if credentials else []
        headers.append(("Accept", "text/plain"))
        async with self._client(place).stream("GET", PATH, headers) as answer:
            if answer.status != 200:
                raise ScrapeFailed(f'request failed, status: "{answer.status}"')
            pieces, length = [], 0
            while piece := await answer.piece():
                pieces.append(piece)
                length += len(piece)
                if length > MAX_BYTES:
                    raise ScrapeFailed(f"the answer is longer than {MAX_BYTES} bytes")
        return b"".join(pieces).decode(errors="replace")

    def _client(self, place: tuple[str, int]) -> HTTPClient:
        client = self._clients.get(place)
        if client is None:
            host = f"[{place[0]}]" if ":" in place[0] else place[0]
            if self._context is None and self._kubelets.scheme == "https":
                self._context = self._kubelets.config.ssl_context()
            client = self._clients[place] = HTTPClient(f"{self._kubelets.scheme}://{host}:{place[1]}", self._context)
        return client

    def _forget(self, nodes: dict[str, NodeFacts]) -> None:
        """Connections to nodes that are gone end."""
        places = set()
        for name, node in nodes.items():
            with contextlib.suppress(NoAddress):
                places.add(self._kubelets.resolver.place(name, node))
        for place in [place for place in self._clients if place not in places]:
            self._clients.pop(place).drop_idle()


def pod_facts(pod: core.Pod) -> PodFacts | None:
    """None for one that no kubelet runs."""
    if not pod.spec.node_name or is_finished(pod):
        return None
    spec = pod.spec
    names = {container.name for container in (*spec.containers, *spec.init_containers)}
    names |= {container.name for container in spec.ephemeral_containers}
    return PodFacts(spec.node_name, pod.status.phase == "Running", frozenset(names), pod.metadata.labels)
