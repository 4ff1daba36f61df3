"""health [ADDRESS] { lameduck DURATION }: /health says OK as long as the process lives (upstream: plugin/health)."""

from __future__ import annotations

import logging

from pybernetes.api.durations import parse_duration
from pybernetes.component import serving
from pybernetes.wire.http import Request, Response, Server

from ..corefile import Directive
from ..plugin import BlockContext, Plugin
from .ready import address_of

_log = logging.getLogger(__name__)

NAME = "health"
PORT = 8080


class Health(Plugin):
    """With a lame-duck time it goes on answering for so long after it was told to stop, so that clients have moved on."""

    name = NAME
    once = True

    def __init__(self, host: str, port: int, lameduck: float) -> None:
        super().__init__()
        self._host, self._port, self.lameduck = host, port, lameduck
        self._server: Server | None = None

    async def start(self) -> None:
        self._server = await serving.start({"/health": self._answer}, self._host, self._port)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)

    async def linger(self) -> None:
        """The lame-duck time, before the end of the process."""
        if self.lameduck:
            _log.info("plugin/health: Going into lameduck mode for %gs", self.lameduck)
            await self.clock.sleep(self.lameduck)

    async def _answer(self, request: Request) -> Response:
        return serving.text(200, "OK")


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    host, port = address_of(directive, "", PORT)
    lameduck = 0.0
    for prop in directive.properties:
        if prop.name != "lameduck":
            raise prop.error(f"plugin/health: unknown property '{prop.name}'")
        try:
            lameduck = parse_duration(prop.one())
        except ValueError as error:
            raise prop.error(f"plugin/health: unable to parse lameduck duration value: {error}") from None
    return Health(host, port, lameduck)
