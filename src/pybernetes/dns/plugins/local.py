"""local: answers what is about this host alone: localhost and its reverse zones (RFC 6761; upstream: plugin/local)."""

from __future__ import annotations

from ..corefile import Directive
from ..plugin import BlockContext, Plugin, matching
from ..wire import (
    AAAA,
    NOERROR,
    NS,
    NXDOMAIN,
    PTR,
    SOA,
    A,
    Answer,
    Query,
    Record,
    address_record,
    name_bytes,
    name_record,
)

NAME = "local"
TTL = 604800
ZONES = ("localhost.", "0.in-addr.arpa.", "127.in-addr.arpa.", "255.in-addr.arpa.")
LOOPBACK = {A: "127.0.0.1", AAAA: "::1"}
_SOA_DATA = (
    name_bytes("localhost.")
    + name_bytes("root.localhost.")
    + b"".join(number.to_bytes(4, "big") for number in (1, 0, 0, 0, TTL))
)


class Local(Plugin):
    """Names that begin with localhost. are taken for it, too: search lists make such of it. `prefix` False: they are not."""

    name = NAME

    def __init__(self, prefix: bool = True) -> None:
        super().__init__()
        self._prefix = prefix

    async def serve(self, query: Query) -> Answer:
        key = query.key
        below = key.endswith(".localhost.") or (self._prefix and key.startswith("localhost.") and key != "localhost.")
        zone = "localhost." if below else matching(key, ZONES)
        if not zone:
            return await self.next(query)
        if (below or key == "localhost.") and query.type in LOOPBACK:
            return Answer(NOERROR, [address_record(query.name, LOOPBACK[query.type], TTL)], plugin=NAME)
        if below:
            return Answer(NOERROR, authority=[_soa(query.name)], plugin=NAME)
        if key in ZONES and query.type == SOA:
            return Answer(NOERROR, [_soa(query.name)], plugin=NAME)
        if key in ZONES and query.type == NS:
            return Answer(NOERROR, [name_record(query.name, NS, "localhost.", TTL)], plugin=NAME)
        if key == "1.0.0.127.in-addr.arpa." and query.type == PTR:
            return Answer(NOERROR, [name_record(query.name, PTR, "localhost.", TTL)], plugin=NAME)
        exists = key in ZONES or key == "1.0.0.127.in-addr.arpa."
        return Answer(NOERROR if exists else NXDOMAIN, authority=[_soa(zone)], plugin=NAME)


def _soa(origin: str) -> Record:
    return Record(origin, SOA, TTL, _SOA_DATA)


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    if directive.arguments:
        raise directive.wrong_arguments()
    prefix = True
    for prop in directive.properties:
        if prop.name != "disable_localhost_prefix":
            raise prop.error(f"plugin/local: unknown property '{prop.name}'")
        if prop.arguments:
            raise prop.wrong_arguments()
        prefix = False
    return Local(prefix)
