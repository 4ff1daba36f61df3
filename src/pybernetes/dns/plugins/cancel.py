"""cancel [TIMEOUT]: gives up on queries that take longer (upstream: plugin/cancel)."""

from __future__ import annotations

from pybernetes.api.durations import parse_duration

from ..corefile import Directive
from ..plugin import BlockContext, Plugin, ServeError, in_task
from ..wire import Answer, Query

NAME = "cancel"
TIMEOUT = 5.001  # seconds: a moment longer than `forward` tries


class Cancel(Plugin):
    """What the next plugins wait for is cancelled; the client gets SERVFAIL."""

    name = NAME

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self._timeout = timeout

    async def serve(self, query: Query) -> Answer:
        await in_task()
        try:
            async with self.clock.timeout(self._timeout):
                return await self.next(query)
        except TimeoutError:
            raise ServeError("context deadline exceeded") from None


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    directive.no_block()
    if len(directive.arguments) > 1:
        raise directive.wrong_arguments()
    if not directive.arguments:
        return Cancel(TIMEOUT)
    text = directive.arguments[0]
    try:
        timeout = parse_duration(text)
    except ValueError:
        raise directive.error(f'plugin/cancel: invalid duration: "{text}"') from None
    if timeout <= 0:
        raise directive.error(f'plugin/cancel: invalid negative duration: "{text}"')
    return Cancel(timeout)
