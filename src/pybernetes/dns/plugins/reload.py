"""reload [INTERVAL] [JITTER]: takes a changed Corefile into use (upstream: plugin/reload)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from pybernetes.api.durations import parse_duration

from ..corefile import Directive
from ..plugin import BlockContext, Plugin

NAME = "reload"
INTERVAL, JITTER = 30.0, 15.0  # seconds
SHORTEST_INTERVAL, SHORTEST_JITTER = 2.0, 1.0


class Reload(Plugin):
    """Looks at the file now and then. Whether it changed is for the server to say."""

    name = NAME
    once = True

    def __init__(
        self, block: BlockContext, interval: float, jitter: float, chance: Callable[[], float] = random.random
    ) -> None:
        super().__init__()
        self._block, self._interval, self._jitter, self._chance = block, interval, jitter, chance
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while True:
            await self.clock.sleep(self._interval + self._jitter * self._chance())
            self._block.reload()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()


def setup(directive: Directive, block: BlockContext) -> Plugin | None:
    """`reload off` and `reload 0` switch it off. CorefileError."""
    directive.no_block()
    arguments = directive.arguments
    if len(arguments) > 2:
        raise directive.wrong_arguments()
    if arguments and arguments[0] in ("off", "0", "0s"):
        return None
    try:
        interval = parse_duration(arguments[0]) if arguments else INTERVAL
        jitter = parse_duration(arguments[1]) if len(arguments) > 1 else min(JITTER, interval / 2)
    except ValueError as error:
        raise directive.error(f"plugin/reload: {error}") from None
    if interval < SHORTEST_INTERVAL or jitter < SHORTEST_JITTER:
        least = f"interval value must be greater or equal to {SHORTEST_INTERVAL:g}s, jitter to {SHORTEST_JITTER:g}s"
        raise directive.error(f"plugin/reload: {least}")
    return Reload(block, interval, min(jitter, interval / 2))
