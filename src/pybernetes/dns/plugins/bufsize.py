"""bufsize [SIZE]: limits how large an answer over UDP clients may ask for (upstream: plugin/bufsize)."""

from __future__ import annotations

from ..corefile import Directive
from ..plugin import BlockContext, Plugin
from ..wire import MAX_UDP_BYTES, PLAIN_UDP_BYTES, Answer, Query

NAME = "bufsize"
SIZE = 1232  # what passes everywhere in one piece (DNS flag day 2020)


class BufSize(Plugin):
    """The smaller size holds for this server's answer, and for the resolvers that it asks."""

    name = NAME

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    async def serve(self, query: Query) -> Answer:
        if query.edns and query.protocol == "udp" and query.size > self._size:
            query.size = self._size
        return await self.next(query)


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    directive.no_block()
    words = directive.arguments
    if len(words) > 1 or (words and not words[0].isdecimal()):
        raise directive.wrong_arguments()
    size = int(words[0][:6]) if words else SIZE
    if not PLAIN_UDP_BYTES <= size <= MAX_UDP_BYTES:
        raise directive.wrong_arguments()
    return BufSize(size)
