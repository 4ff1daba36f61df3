"""prometheus [ADDRESS]: counts requests and serves /metrics (upstream: plugin/metrics)."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from pybernetes.component.exposition import merged
from pybernetes.component.metrics import CONTENT_TYPE, Histogram
from pybernetes.wire.http import Request, Response, Server, serve

from ..corefile import Directive
from ..plugin import BlockContext, Plugin, matching
from ..wire import RCODES, SERVFAIL, TYPES, Again, Answer, Query
from .ready import address_of

NAME = "prometheus"
HOST, PORT = "localhost", 9153
MAX_ALIKE = 4096  # kinds of queries that are remembered: their lengths are the clients'


class Like(NamedTuple):
    """What is counted of a query."""

    zone: str
    protocol: str
    family: str  # 1 is IPv4, 2 is IPv6
    type: str
    length: int
    dnssec: bool
    rcode: int
    plugin: str


class Prometheus(Plugin):
    """Every query through it is counted under the zone of its block that it is in."""

    name = NAME
    repeats = True
    once = True

    def __init__(self, block: BlockContext, host: str, port: int) -> None:
        super().__init__()
        self._block, self._host, self._port = block, host, port
        self._metrics, self._server_label, self._zones = block.metrics, block.server, block.zones
        self._only_zone = "." if block.zones == ["."] else ""
        self._server: Server | None = None
        self._told: dict[Like, Again] = {}

    async def start(self) -> None:
        for plugin in self._block.plugins:
            for zone in self._block.zones if plugin.handles else ():
                self._metrics.enabled.set(1, self._server_label, zone, "", plugin.name)

        async def answer(request: Request) -> Response:
            if request.raw_path != b"/metrics":
                return Response(404, [("Content-Type", "text/plain; charset=utf-8")], b"404 page not found\n")
            text = self._metrics.text()
            if self._block.others is not None:
                text = merged(text, await self._block.others.metrics())
            return Response(200, [("Content-Type", CONTENT_TYPE)], text.encode())

        self._server = await serve(answer, self._host, self._port)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)

    async def serve(self, query: Query) -> Answer:
        started = self.clock.monotonic()
        rcode, plugin = SERVFAIL, ""
        zone = self._only_zone or matching(query.key, self._zones)
        sized = (self._server_label, zone, "", query.protocol)
        query.answered = partial(_observe, self._metrics.response_size, sized)
        family, type = "2" if ":" in query.client[0] else "1", TYPES.get(query.type, "other")
        again = False
        try:
            answer = await self.next(query)
            rcode, plugin, again = answer.rcode, answer.plugin, answer.same_until > 0
        finally:
            like = Like(zone, query.protocol, family, type, query.length, query.dnssec, rcode, plugin)
            self._count(like, self.clock.monotonic() - started)
        if again:
            answer.again = (*answer.again, self._again(like))
        return answer

    def _again(self, like: Like) -> Again:
        """One for all queries that are counted alike. Nobody has waited for their answers."""
        tell = self._told.get(like)
        if tell is None:
            if len(self._told) >= MAX_ALIKE:
                self._told.clear()  # what is kept elsewhere goes on to be told
            tell = self._told[like] = lambda times, length: self._count(like, 0.0, times, length)
        return tell

    def _count(self, like: Like, seconds: float, times: int = 1, reply: int | None = None) -> None:
        """So many such queries. `reply`: the bytes of a reply of which `Query.answered` is not told."""
        metrics, where = self._metrics, (self._server_label, like.zone, "")
        sized = (*where, like.protocol)
        metrics.requests.inc(*sized, like.family, like.type, by=times)
        metrics.duration.observe(seconds, *where, times=times)
        metrics.request_size.observe(like.length, *sized, times=times)
        if reply is not None:
            metrics.response_size.observe(reply, *sized, times=times)
        if like.dnssec:
            metrics.do_requests.inc(*where, by=times)
        metrics.responses.inc(*where, RCODES.get(like.rcode) or str(like.rcode), like.plugin, by=times)


def _observe(histogram: Histogram, labels: tuple[str, ...], length: int) -> None:
    histogram.observe(length, *labels)


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    directive.no_block()
    return Prometheus(block, *address_of(directive, HOST, PORT))
