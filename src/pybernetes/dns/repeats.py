"""Replies that are given again: who sends the same bytes gets the same bytes back, for as long as the answer says that it stays so. Pure.

A question that is asked a thousand times a second has a thousand equal answers until its TTL is a second less; to read, look up and write each of
them is nearly all that a server does. What plug-ins count of queries is told to them later, all at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from .plugin import Handler
from .wire import Again, Answer, Query

MAX_REPLIES = 8192
MAX_BYTES = 512  # of a question: longer ones are seldom the same again

Key = tuple[bytes, bytes]  # the address that was asked, the message without its id


@dataclass(slots=True)
class Reply:
    """One that may be given again until `until`, while `handler` answers."""

    data: bytes  # without the id
    tell: tuple[Again, ...]
    handler: Handler
    until: float
    times: int = 0


class Repeats:
    """The replies of one port."""

    def __init__(self) -> None:
        self._replies: dict[Key, Reply] = {}

    def again(self, data: bytes, local: bytes, handler: Handler, now: float) -> bytes | None:
        """The reply to a message, None where it has to be worked out."""
        reply = self._replies.get((local, data[2:]))
        if reply is None or now >= reply.until or reply.handler is not handler:
            return None
        reply.times += 1
        return data[:2] + reply.data

    def keep(self, data: bytes, query: Query, answer: Answer, reply: bytes, handler: Handler) -> None:
        """Of an answer with a time until which it is the same."""
        if len(data) > MAX_BYTES or query.options:
            return  # cookies make each message another one
        if len(self._replies) >= MAX_REPLIES:
            self.settle()
            self._replies.clear()
        key = (query.local[0], data[2:])
        former = self._replies.get(key)
        if former is not None:
            _told(former)
        self._replies[key] = Reply(reply[2:], answer.again, handler, answer.same_until)

    def settle(self) -> None:
        """Plug-ins have been told of all that was given."""
        for reply in self._replies.values():
            _told(reply)


def _told(reply: Reply) -> None:
    times, reply.times = reply.times, 0
    for tell in reply.tell if times else ():
        tell(times, len(reply.data) + 2)
