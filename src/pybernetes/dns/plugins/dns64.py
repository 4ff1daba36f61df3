"""dns64 [PREFIX]: IPv6 addresses for hosts that have IPv4 only (RFC 6147; upstream: plugin/dns64)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from ..corefile import Directive
from ..metrics import Metrics
from ..plugin import BlockContext, Plugin
from ..wire import AAAA, IN, NXDOMAIN, SOA, TC, A, Answer, Query, Record

NAME = "dns64"
PREFIX = ipaddress.IPv6Network("64:ff9b::/96")
LONGEST_TTL = 600  # where no SOA says how long there is no AAAA record


@dataclass(slots=True)
class Dns64Options:
    """The directive."""

    prefix: ipaddress.IPv6Network = PREFIX
    translate_all: bool = False
    allow_ipv4: bool = False


class Dns64(Plugin):
    """Only for clients that ask over IPv6, unless the Corefile says otherwise."""

    name = NAME

    def __init__(self, options: Dns64Options, block: BlockContext) -> None:
        super().__init__()
        self._options, self._lookup = options, block.lookup
        self._server, self._metrics = block.server, block.metrics

    async def serve(self, query: Query) -> Answer:
        answer = await self.next(query)
        if query.type != AAAA or query.cls != IN or not (self._options.allow_ipv4 or ":" in query.client[0]):
            return answer
        if answer.rcode == NXDOMAIN or answer.silent:
            return answer
        if not self._options.translate_all and any(record.type == AAAA for record in answer.answer):
            return answer
        addresses = await self._lookup(query.asking(query.name, A))
        self._count(self._metrics)
        return synthesized(self._options.prefix, answer, addresses)

    def _count(self, metrics: Metrics) -> None:
        metrics.dns64_translated.inc(self._server)


def synthesized(prefix: ipaddress.IPv6Network, without: Answer, addresses: Answer) -> Answer:
    """The answer with A records, each as an AAAA record that holds no longer than the denial of one does."""
    longest = next((record.ttl for record in without.authority if record.type == SOA), LONGEST_TTL)
    answer = [
        Record(each.name, AAAA, min(_ttl(each, addresses), longest), embedded(prefix, each.data))
        if each.type == A
        else Record(each.name, each.type, _ttl(each, addresses), each.data, each.cls)
        for each in addresses.answer
    ]
    return Answer(addresses.rcode, answer, addresses.authority, addresses.additional, addresses.flags & TC, plugin=NAME)


def _ttl(record: Record, answer: Answer) -> int:
    return record.ttl if answer.ttl is None else answer.ttl


def embedded(prefix: ipaddress.IPv6Network, address: bytes) -> bytes:
    """RFC 6052: the four bytes behind the prefix, around byte 8, which is zero."""
    data = bytearray(16)
    start = prefix.prefixlen // 8
    data[:start] = prefix.network_address.packed[:start]
    places = [place for place in range(start, 16) if place != 8][:4]
    for place, byte in zip(places, address, strict=True):
        data[place] = byte
    return bytes(data)


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    options = Dns64Options()
    if len(directive.arguments) > 1:
        raise directive.wrong_arguments()
    if directive.arguments:
        options.prefix = _prefix(directive, directive.arguments[0])
    for prop in directive.properties:
        if prop.name == "prefix":
            options.prefix = _prefix(prop, prop.one())
        elif prop.name == "translate_all":
            options.translate_all = True
        elif prop.name == "allow_ipv4":
            options.allow_ipv4 = True
        else:
            raise prop.error(f"plugin/dns64: unknown property '{prop.name}'")
    return Dns64(options, block)


def _prefix(directive: Directive, text: str) -> ipaddress.IPv6Network:
    try:
        prefix = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise directive.error(f"plugin/dns64: invalid CIDR address: {text}") from None
    if not isinstance(prefix, ipaddress.IPv6Network):
        raise directive.error(f'plugin/dns64: invalid netmask 32 IPv6 address: "{prefix}"')
    if prefix.prefixlen % 8 or not 32 <= prefix.prefixlen <= 96:
        raise directive.error(f'plugin/dns64: invalid prefix length "{prefix}"')
    return prefix
