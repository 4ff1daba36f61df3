"""loop: finds out at the start whether queries that are forwarded come back here (upstream: plugin/loop)."""

from __future__ import annotations

import asyncio
import contextlib
import random

from pybernetes.aio.ending import end

from ..corefile import Directive
from ..plugin import BlockContext, Plugin
from ..wire import HINFO, Answer, Query, encode_query

NAME = "loop"
SEEN = 2  # upstream's limit: the probe itself, and one that a client may have repeated
WATCH_SECONDS = 30.0  # after this the probe's name is nobody's business
TRIES = 3


class Loop(Plugin):
    """Sends a query for a random name to itself; seen more than twice it ends the server."""

    name = NAME
    once = True

    def __init__(self, block: BlockContext) -> None:
        super().__init__()
        self._block = block
        zone = block.zones[0]
        number = f"{random.getrandbits(62)}.{random.getrandbits(62)}"
        self.probe = f"{number}." if zone == "." else f"{number}.{zone}"
        self._seen = 0
        self._watching = True
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.ensure_future(self._send())

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        host = self._block.hosts[0] or "127.0.0.1"
        # A machine without the address, or a port that does not answer yet: the next try may do.
        for _ in range(TRIES):
            with contextlib.suppress(OSError):
                transport, _protocol = await loop.create_datagram_endpoint(
                    asyncio.DatagramProtocol, remote_addr=(host, self._block.port)
                )
                try:
                    transport.sendto(encode_query(random.getrandbits(16), self.probe, HINFO))
                    await self.clock.sleep(1)
                finally:
                    transport.close()
            if self._seen:
                break
        await self.clock.sleep(WATCH_SECONDS)
        self._watching = False

    async def stop(self) -> None:
        await end(self._task)

    async def serve(self, query: Query) -> Answer:
        if self._watching and query.type == HINFO and query.key == self.probe:
            self._seen += 1
            if self._seen > SEEN:
                self._block.fail(
                    f'plugin/loop: Loop ({query.client[0]}:{query.client[1]} -> :{self._block.port}) detected for zone "{self._block.zones[0]}",'
                    ' see https://coredns.io/plugins/loop#troubleshooting. Query: "HINFO '
                    f'{self.probe}"'
                )
        return await self.next(query)


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    directive.no_block()
    if directive.arguments:
        raise directive.wrong_arguments()
    return Loop(block)
