"""ready [ADDRESS]: /ready says OK when every plugin is ready (upstream: plugin/ready)."""

from __future__ import annotations

from pybernetes.component import serving
from pybernetes.wire.http import Request, Response, Server

from ..corefile import Directive
from ..plugin import BlockContext, Plugin

NAME = "ready"
PORT = 8181


class Ready(Plugin):
    """Once a plugin was ready it is not asked again."""

    name = NAME
    once = True

    def __init__(self, block: BlockContext, host: str, port: int) -> None:
        super().__init__()
        self._block, self._host, self._port = block, host, port
        self._done: set[int] = set()
        self._server: Server | None = None

    async def start(self) -> None:
        self._server = await serving.start({"/ready": self._answer}, self._host, self._port)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)

    def missing(self) -> list[str]:
        """Names of plugins that are not ready."""
        for plugin in self._block.plugins:
            if plugin.ready():
                self._done.add(id(plugin))
        return sorted(plugin.name for plugin in self._block.plugins if id(plugin) not in self._done)

    async def _answer(self, request: Request) -> Response:
        missing = self.missing()
        return serving.text(503, ",".join(missing)) if missing else serving.text(200, "OK")


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    directive.no_block()
    return Ready(block, *address_of(directive, "", PORT))


def address_of(directive: Directive, host: str, port: int) -> tuple[str, int]:
    """host:port of the only argument, or the defaults; an empty host is every address."""
    if len(directive.arguments) > 1:
        raise directive.wrong_arguments()
    if directive.arguments:
        host, colon, number = directive.arguments[0].rpartition(":")
        if not colon or not number.isdigit():
            wrong = f"plugin/{directive.name}: {directive.arguments[0]!r} is not host:port or :port"
            raise directive.error(wrong)
        port = int(number)
    return host.strip("[]") or "", port
