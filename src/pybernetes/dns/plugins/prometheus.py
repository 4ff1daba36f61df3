"""prometheus [ADDRESS]: counts requests and serves /metrics (upstream: plugin/metrics)."""

from __future__ import annotations

from functools import partial

from pybernetes.component.exposition import merged
from pybernetes.component.metrics import CONTENT_TYPE, Histogram
from pybernetes.wire.http import Request, Response, Server, serve

from ..corefile import Directive
from ..plugin import BlockContext, Plugin, matching
from ..wire import RCODES, SERVFAIL, TYPES, Answer, Query
from .ready import address_of

NAME = "prometheus"
HOST, PORT = "localhost", 9153


class Prometheus(Plugin):
    """Every query through it is counted under the zone of its block that it is in."""

    name = NAME
    once = True

    def __init__(self, block: BlockContext, host: str, port: int) -> None:
        super().__init__()
        self._block, self._host, self._port = block, host, port
        self._metrics, self._server_label, self._zones = block.metrics, block.server, block.zones
        self._only_zone = "." if block.zones == ["."] else ""
        self._server: Server | None = None

    async def start(self) -> None:
        for plugin in self._block.plugins:
            for zone in self._block.zones if plugin.handles else ():
                self._metrics.enabled.set(1, self._server_label, zone, "", plugin.name)

        async def answer(request: Request) -> Response:
            if request.raw_path != b"/metrics":
                return Response(404, [("Content-Type", "text/plain; charset=utf-8")], b"404 page not found\n")
            text = self._metrics.registry.text()
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
        where = (self._server_label, zone, "")
        sized = (*where, query.protocol)
        query.answered = partial(_observe, self._metrics.response_size, sized)
        try:
            answer = await self.next(query)
            rcode, plugin = answer.rcode, answer.plugin
            return answer
        finally:
            metrics = self._metrics
            family = "2" if ":" in query.client[0] else "1"
            metrics.requests.inc(*sized, family, TYPES.get(query.type, "other"))
            metrics.duration.observe(self.clock.monotonic() - started, *where)
            metrics.request_size.observe(query.length, *sized)
            if query.dnssec:
                metrics.do_requests.inc(*where)
            metrics.responses.inc(*where, RCODES.get(rcode) or str(rcode), plugin)


def _observe(histogram: Histogram, labels: tuple[str, ...], length: int) -> None:
    histogram.observe(length, *labels)


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    directive.no_block()
    return Prometheus(block, *address_of(directive, HOST, PORT))
