"""Priority and fairness of one server, put together: what decides, the link that waits, and what keeps it current."""

from __future__ import annotations

from collections.abc import Callable, Container

from pybernetes.aio.clock import Clock
from pybernetes.wire.http import Response

from ..endpoints.health import TEXT
from ..endpoints.metrics import APIServerMetrics
from ..filters.priorityandfairness import PriorityAndFairness, describe
from ..generic.cache import Damaged
from ..generic.cache import Stored as StoredObject
from ..generic.store import GenericStore
from ..query import Query
from ..types import RequestInfo
from . import dump
from .consumer import Consumer
from .controller import FlowControl
from .metrics import FlowControlMetrics
from .work import Stored

GROUP = "flowcontrol.apiserver.k8s.io"
SAMPLE = 16  # objects that are measured, to know how large the others are


class ServerFlowControl:
    """`seats` is --max-requests-inflight and --max-mutating-requests-inflight together: ValueError where that is nothing.

    `served` has the (group, version, resource) that `store` gives the storage of.
    """

    def __init__(
        self,
        seats: int,
        request_timeout: float,
        served: Container[tuple[str, str, str]],
        store: Callable[[str, str, str], GenericStore],
        metrics: APIServerMetrics,
        clock: Clock,
    ) -> None:
        if seats <= 0:
            raise ValueError("priority and fairness needs seats: the limits of requests in flight add up to nothing")
        self._clock, self._served, self._store = clock, served, store
        counted = FlowControlMetrics(metrics.registry)
        self.control = counted.control = FlowControl(seats, self._stored, clock.monotonic(), counted.tell)
        self.link = PriorityAndFairness(self.control, counted, metrics, request_timeout, clock)
        levels, schemas = (store(GROUP, "v1", name) for name in ("prioritylevelconfigurations", "flowschemas"))
        self._consumer = Consumer(self.control, counted, levels, schemas, self.link.wake, clock)

    async def start(self) -> None:
        """Requests are judged by the objects when it returns."""
        await self._consumer.start()

    async def stop(self) -> None:
        """As it is now it stays."""
        await self._consumer.stop()

    def answer(self, path: str, query: Query) -> Response | None:
        """A page of /debug/api_priority_and_fairness; None for other paths."""
        now = self._clock.monotonic()
        for level in self.control.levels.values():
            level.queues.advance(now)
        if path == f"{dump.PREFIX}dump_priority_levels":
            text = dump.levels(self.control)
        elif path == f"{dump.PREFIX}dump_queues":
            text = dump.queues(self.control)
        elif path == f"{dump.PREFIX}dump_requests":
            details = describe if query.get("includeRequestDetails") else None
            text = dump.requests(self.control, self._clock.now(), now, details)
        else:
            return None
        return Response(200, TEXT[:1], text.encode())

    def _stored(self, info: RequestInfo) -> Stored | None:
        """Of a few objects from all over a list: to measure each would cost what the list does."""
        if (info.group, info.version, info.resource) not in self._served:
            return None
        store = self._store(info.group, info.version, info.resource)
        values = store.cache.resource(store.prefix).values
        if not values:
            return Stored(0, 0.0)
        measured = values.every(max(1, len(values) // SAMPLE))
        return Stored(len(values), sum(map(_size, measured)) / len(measured))


def _size(stored: StoredObject) -> int:
    return 0 if isinstance(stored, Damaged) else len(stored.head) + len(stored.tail)
