"""nsid [DATA]: tells who answered to clients that ask for it (RFC 5001; upstream: plugin/nsid)."""

from __future__ import annotations

import socket

from ..corefile import Directive
from ..plugin import BlockContext, Plugin
from ..wire import ECHOED, NSID, PLAIN_UDP_BYTES, Answer, Query

NAME = "nsid"


class Nsid(Plugin):
    """The host's name, or what the Corefile says."""

    name = NAME

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    async def serve(self, query: Query) -> Answer:
        answer = await self.next(query)
        if any(code == NSID for code, _ in query.options):
            options = answer.options
            if options is None:
                options = tuple(option for option in query.options if option[0] in ECHOED)
            answer.options = (*(option for option in options if option[0] != NSID), (NSID, self._data))
        return answer


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    directive.no_block()
    if any(isinstance(plugin, Nsid) for plugin in block.plugins):
        raise directive.error("plugin/nsid: this plugin can only be used once per Server Block")
    data = " ".join(directive.arguments).encode() or socket.gethostname().encode()
    if len(data) > PLAIN_UDP_BYTES // 2:
        raise directive.error(f"plugin/nsid: {len(data)} bytes would leave no room for answers")
    return Nsid(data)
