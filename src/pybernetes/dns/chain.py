"""Server blocks as chains of plugins, and which of them a query is for."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .corefile import Block, CorefileError
from .metrics import Metrics
from .plugin import BlockContext, Handler, Others, Place, Plugin, ServeError, nothing_left
from .plugins import ORDER
from .wire import BADVERS, DS, IN, NOTIMP, REFUSED, SERVFAIL, Answer, Query, WireError


@dataclass(slots=True)
class Server:
    """A block at work."""

    context: BlockContext
    handler: Handler
    any_class: bool = False  # what is forwarded need not be of class IN
    repeats: bool = False  # what a cache answers may be given again without asking

    @property
    def plugins(self) -> list[Plugin]:
        return self.context.plugins


MAX_LOOKUPS = 8  # that one may lead to another: aliases, templates and zones that point to each other end there (upstream's limit)

Route = dict[str, Server]  # zone -> server, for one place


def build(block: Block, port: int, metrics: Metrics, instance: Instance) -> Server:
    """The chain of a block on one of its ports. CorefileError for what cannot be."""
    zones = [listener.zone for listener in block.listeners if listener.port == port]
    context = BlockContext(zones, port, [""], metrics, nothing_left, instance.reload, instance.fail)
    context.lookup, context.others = instance.resolve(context), instance.others
    for directive in block.directives:
        if directive.name not in ORDER:
            raise directive.error(f"Unknown directive '{directive.name}'")
    for name in ORDER:
        module = importlib.import_module(f"{__package__}.plugins.{name}") if _named(block, name) else None
        for directive in block.directives:
            if directive.name == name and module is not None:
                plugin = module.setup(directive, context)
                if plugin is not None:
                    plugin.clock = context.clock
                    context.plugins.append(plugin)
    handler: Handler = nothing_left
    for plugin in reversed(context.plugins):
        if plugin.handles:
            plugin.next = handler
            handler = plugin.serve
    return Server(context, handler, _named(block, "forward"), _repeats(context.plugins))


def _repeats(plugins: Sequence[Plugin]) -> bool:
    """Whether none of the plugins before the cache has to see each query."""
    handling = [plugin for plugin in plugins if plugin.handles]
    before = itertools.takewhile(lambda plugin: plugin.name != "cache", handling)
    return all(plugin.repeats for plugin in before)


def _named(block: Block, name: str) -> bool:
    return any(directive.name == name for directive in block.directives)


class Instance:
    """All server blocks of one reading of the Corefile."""

    def __init__(
        self,
        blocks: Sequence[Block],
        metrics: Metrics,
        reload: Callable[[], None],
        fail: Callable[[str], None],
        others: Others | None = None,
    ) -> None:
        self.reload, self.fail, self.others = reload, fail, others
        self.routes: dict[Place, Route] = {}
        self.servers: list[Server] = []
        for block in blocks:
            for port in dict.fromkeys(listener.port for listener in block.listeners):
                server = build(block, port, metrics, self)
                self.servers.append(server)
                for place, zone in itertools.product(server.context.places, server.context.zones):
                    if zone in self.routes.setdefault(place, {}):
                        raise CorefileError(f"cannot serve dns://{zone}:{port} - it is already defined")
                    self.routes[place][zone] = server

    @property
    def plugins(self) -> list[Plugin]:
        """Of all blocks."""
        return [plugin for server in self.servers for plugin in server.plugins]

    def resolve(self, context: BlockContext) -> Handler:
        """The handler of the first place that a block listens on."""

        async def handle(query: Query) -> Answer:
            if query.depth >= MAX_LOOKUPS:
                raise ServeError(f"more than {MAX_LOOKUPS} lookups for {query.name}")
            query.depth += 1
            return await serve(self.routes[context.places[0]], query)

        return handle


def find(route: Route, key: str) -> Server | None:
    """The server of the longest zone that the name is in."""
    if len(route) == 1:
        only = route.get(".")
        if only is not None:
            return only
    rest = key
    while True:
        server = route.get(rest)
        if server is not None:
            return server
        if rest in (".", ""):
            return None
        rest = rest.partition(".")[2] or "."


async def serve(route: Route, query: Query) -> Answer:
    """The answer to any query: what plugins do not answer becomes SERVFAIL, what nobody serves REFUSED."""
    if query.version:
        return Answer(BADVERS, options=())
    if query.opcode:
        return Answer(NOTIMP)
    server = find(route, query.key)
    if query.type == DS and server is not None and query.key != ".":
        server = find(route, query.key.partition(".")[2] or ".") or server  # what it says is the parent zone's
    if server is None or (query.cls != IN and not server.any_class):
        return Answer(REFUSED)
    try:
        answer = await server.handler(query)
    except (ServeError, WireError):
        return Answer(SERVFAIL)
    if answer.same_until and not server.repeats:
        answer.same_until = 0.0
    return answer
