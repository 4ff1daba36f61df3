"""loadbalance [round_robin] { prefer NETWORKS... }: shuffles A, AAAA and MX records, so that clients that take the first one spread.

Upstream: plugin/loadbalance. Its policy `weighted` is not there.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..corefile import Directive
from ..plugin import BlockContext, Plugin
from ..wire import AAAA, CNAME, MX, NOERROR, A, Answer, Query, Record

NAME = "loadbalance"
SHUFFLED = frozenset({A, AAAA, MX})

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class LoadBalance(Plugin):
    """Leaves the order of everything else: CNAMEs stay in front. Addresses in networks that are preferred come first."""

    name = NAME
    repeats = True

    def __init__(
        self, shuffle: Callable[[list[Record]], None] = random.shuffle, preferred: Sequence[Network] = ()
    ) -> None:
        super().__init__()
        self._shuffle, self._preferred = shuffle, preferred

    async def serve(self, query: Query) -> Answer:
        answer = await self.next(query)
        if (len(answer.answer) < 2 and len(answer.additional) < 2) or answer.rcode != NOERROR:
            return answer
        # The answer may be the cache's own: copies are shuffled.
        sections = [shuffled(part, self._shuffle) for part in (answer.answer, answer.additional)]
        if self._preferred:
            sections = [by_network(part, self._preferred) for part in sections]
        return replace(answer, answer=sections[0], additional=sections[1], same_until=0.0)


def shuffled(records: list[Record], shuffle: Callable[[list[Record]], None]) -> list[Record]:
    """CNAMEs, then the rest, then addresses in another order."""
    if len(records) < 2:
        return records
    addresses = [r for r in records if r.type in SHUFFLED]
    shuffle(addresses)
    if len(addresses) == len(records):
        return addresses
    aliases = [r for r in records if r.type == CNAME]
    return [*aliases, *(r for r in records if r.type not in SHUFFLED and r.type != CNAME), *addresses]


def by_network(records: Sequence[Record], networks: Sequence[Network]) -> list[Record]:
    """Addresses by the first network that they are in, those in none last; other records stay before and behind them."""

    def rank(record: Record) -> int:
        if record.type not in (A, AAAA):
            return -1 if record.type == CNAME else len(networks) + 1
        address = ipaddress.ip_address(record.data)
        return next((place for place, network in enumerate(networks) if address in network), len(networks))

    return sorted(records, key=rank)


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    policy = directive.arguments
    if policy[:1] == ["weighted"]:
        raise directive.error("plugin/loadbalance: weighted is not there")
    if policy[:1] not in ([], ["round_robin"]):
        raise directive.error(f"plugin/loadbalance: unknown policy: {policy[0]}")
    if len(policy) > 1:
        raise directive.error(f"unknown property for {policy[0]}")
    networks: list[Network] = []
    for prop in directive.properties:
        if prop.name != "prefer":
            raise prop.error(f"unknown property '{prop.name}'")
        for text in prop.arguments:
            try:
                networks.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                raise prop.error(f'invalid CIDR "{text}": invalid CIDR address: {text}') from None
    return LoadBalance(preferred=networks)
