"""What kind of an answer an answer is, and how long it may be remembered (upstream: plugin/pkg/response, plugin/pkg/dnsutil). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from . import wire
from .wire import ANY, AXFR, CNAME, IXFR, NOERROR, NOTIMP, NS, NXDOMAIN, SERVFAIL, SOA, Answer, Record

MIN_TTL = 5  # of answers that say nothing about it


class Kind(Enum):
    """Of an answer as a whole (upstream: response.Type)."""

    NO_ERROR = "NOERROR"
    NAME_ERROR = "NXDOMAIN"
    SERVER_ERROR = "SERVERERROR"
    NO_DATA = "NODATA"
    DELEGATION = "DELEGATION"
    META = "META"
    OTHER_ERROR = "OTHERERROR"


DENIALS = frozenset({Kind.NAME_ERROR, Kind.NO_DATA})


def kind_of(answer: Answer, type: int) -> Kind:
    """Of the answer to a question of this type."""
    if type in (AXFR, IXFR):
        return Kind.META
    if answer.answer and answer.rcode == NOERROR:
        return Kind.NO_ERROR
    if answer.answer and answer.rcode == NXDOMAIN:
        return Kind.OTHER_ERROR
    if answer.rcode == NXDOMAIN:
        return Kind.NAME_ERROR
    if answer.rcode in (SERVFAIL, NOTIMP):
        return Kind.SERVER_ERROR
    if answer.rcode != NOERROR:
        return Kind.OTHER_ERROR
    if has_soa(answer):
        return Kind.NO_DATA
    return Kind.DELEGATION if any(record.type == NS for record in answer.authority) else Kind.NO_ERROR


def has_soa(answer: Answer) -> bool:
    """Which says how long a denial holds."""
    return any(record.type == SOA for record in answer.authority)


def answers(records: Sequence[Record], name: str, type: int) -> bool:
    """Whether a record of the type is at the end of the aliases that begin at the (lower-cased) name."""
    if type == ANY:
        return any(record.name.lower() == name for record in records)
    aliases: dict[str, str] = {}
    for record in records:
        if record.type == CNAME:
            target = wire.read_name(record.data, 0)[0].lower()
            if aliases.setdefault(record.name.lower(), target) != target:
                return False  # two canonical names are none (RFC 2181)
    if type == CNAME:
        return name in aliases
    seen: set[str] = set()
    while name in aliases:
        if name in seen:
            return False
        seen.add(name)
        name = aliases[name]
    return any(record.type == type and record.name.lower() == name for record in records)


def lifetime(answer: Answer, denial: bool) -> int:
    """The shortest TTL of its records; of a denial also the SOA's minimum (RFC 2308)."""
    ttls = [record.ttl for part in (answer.answer, answer.authority, answer.additional) for record in part]
    if denial:
        ttls += [int.from_bytes(record.data[-4:], "big") for record in answer.authority if record.type == SOA]
    return min(ttls, default=MIN_TTL)
