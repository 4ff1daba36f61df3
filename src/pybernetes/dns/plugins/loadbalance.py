"""loadbalance [round_robin]: shuffles A, AAAA and MX records, so that clients that take the first one spread (upstream: plugin/loadbalance)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from ..corefile import Directive
from ..plugin import BlockContext, Plugin
from ..wire import AAAA, CNAME, MX, A, Answer, Query, Record

NAME = "loadbalance"
SHUFFLED = frozenset({A, AAAA, MX})


class LoadBalance(Plugin):
    """Leaves the order of everything else: CNAMEs stay in front."""

    name = NAME

    def __init__(self, shuffle: Callable[[list[Record]], None] = random.shuffle) -> None:
        super().__init__()
        self._shuffle = shuffle

    async def serve(self, query: Query) -> Answer:
        answer = await self.next(query)
        if len(answer.answer) < 2:
            return answer
        # The answer may be the cache's own: a copy is shuffled.
        return replace(answer, answer=shuffled(answer.answer, self._shuffle))


def shuffled(records: list[Record], shuffle: Callable[[list[Record]], None]) -> list[Record]:
    """CNAMEs, then the rest, then addresses in another order."""
    addresses = [r for r in records if r.type in SHUFFLED]
    shuffle(addresses)
    aliases = [r for r in records if r.type == CNAME]
    return [*aliases, *(r for r in records if r.type not in SHUFFLED and r.type != CNAME), *addresses]


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    if directive.arguments not in ([], ["round_robin"]):
        raise directive.error(
            f"plugin/loadbalance: unknown policy {' '.join(directive.arguments)!r}: round_robin is there"
        )
    return LoadBalance()
