"""Whose large answer goes on: so many bytes of all of them in one turn of the event loop.

A reader as fast as its writer would else have all of a list before anybody else is answered, and two hundred such readers all of theirs.
"""

from __future__ import annotations

import asyncio
from collections import deque

TURN_BYTES = 1 << 20  # of all large answers in one turn of the loop: a millisecond or two with TLS
SHARE_BYTES = 256 << 10  # that one of them hands over before it asks again


class Turns:
    """Of one server. Who asks first goes on first; an answer alone waits for one turn of the loop each TURN_BYTES."""

    def __init__(self) -> None:
        self._left = TURN_BYTES  # of this turn of the loop
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()
        self._begun = False

    async def take(self, size: int) -> None:
        """Returns when so many bytes, SHARE_BYTES at most, may be handed over."""
        loop = asyncio.get_running_loop()
        if not self._begun:
            self._begun = True
            loop.call_soon(self._next)
        if self._left >= size and not self._waiting:
            self._left -= size
            return
        mine = loop.create_future()
        self._waiting.append((mine, size))
        await mine

    def _next(self) -> None:
        """A new turn: those that wait go on, as many as it holds."""
        self._left = TURN_BYTES
        while self._waiting and self._left >= self._waiting[0][1]:
            mine, size = self._waiting.popleft()
            if not mine.done():  # who was to read it has gone
                self._left -= size
                mine.set_result(None)
        self._begun = bool(self._waiting) or self._left < TURN_BYTES
        if self._begun:
            asyncio.get_running_loop().call_soon(self._next)
