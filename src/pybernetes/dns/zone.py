"""A zone's records and what they answer: wildcards, delegations, aliases (RFC 1034 section 4.3.2; upstream: plugin/file lookup.go). Pure.

Aliases are followed within the zone; a target that is not a name of it comes back as `Reply.leads_to` for the whole server to look up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from . import wire
from .wire import AAAA, CNAME, DNAME, DS, HTTPS, MX, NS, SOA, SRV, SVCB, A, Record

MAX_ALIASES = 8  # of a chain in the zone (upstream's); what comes after is left to the client
MAX_COMPARED = 64  # of a name's records of one type, the last ones, with which a new one is compared: files repeat lines, not thousands of them
_TARGET_AT = {MX: 2, SRV: 6, SVCB: 2, HTTPS: 2}  # where the name stands in data whose addresses go along


class ZoneError(ValueError):
    """Records that are no zone."""


class Outcome(Enum):
    """Of a question; SUCCESS without an answer is a name that is only part of longer ones."""

    SUCCESS = "success"
    NO_DATA = "no data"
    NO_NAME = "no name"
    DELEGATION = "delegation"
    LOOP = "loop"


@dataclass(slots=True)
class Reply:
    """Sections of the answer. `leads_to`: it ends in an alias for this name, which the zone does not have."""

    outcome: Outcome
    answer: list[Record] = field(default_factory=list)
    authority: list[Record] = field(default_factory=list)
    additional: list[Record] = field(default_factory=list)
    leads_to: str = ""


Node = dict[int, list[Record]]  # type -> records


class Zone:
    """All of one zone. Records outside of it are left out, as upstream leaves them where nobody asks."""

    def __init__(self, origin: str, records: Iterable[Record]) -> None:
        """ZoneError without an SOA record."""
        self.origin = origin
        self._nodes: dict[str, Node] = {}
        self._parents: set[str] = set()  # names that longer ones are below
        for record in records:
            key = record.name.lower()
            if wire.within(key, origin):
                self._insert(key, record)
        soa = self._nodes.get(origin, {}).get(SOA)
        if not soa:
            raise ZoneError(f"has no SOA record for origin {origin}")
        self.soa = soa[:1]
        self.name_servers = self._nodes[origin].get(NS, [])

    def _insert(self, key: str, record: Record) -> None:
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = {}
            parent = key
            while parent != self.origin:
                parent = _parent(parent)
                if parent in self._parents:
                    break
                self._parents.add(parent)
        records = node.setdefault(record.type, [])
        if all(record.data != other.data for other in records[-MAX_COMPARED:]):
            records.append(record)

    @property
    def serial(self) -> int:
        """Of the SOA record."""
        return int.from_bytes(self.soa[0].data[-20:-16], "big")

    def lookup(self, name: str, type: int) -> Reply:
        """The answer to a question about a name in the zone, in the case that it was asked in."""
        key = name.lower()
        if key == self.origin and type == SOA:
            return Reply(Outcome.SUCCESS, self.soa, self.name_servers)
        if key == self.origin and type == NS:
            return Reply(Outcome.SUCCESS, self.name_servers, [], self._glue(self.name_servers))
        wildcard, node = "", None
        for part in self._path(key):
            node = self._nodes.get(part)
            if node is None:
                asterisk = wire.joined("*", _parent(part))
                if asterisk in self._nodes or asterisk in self._parents:
                    wildcard = asterisk
                continue
            if DNAME in node and part != key:
                return self._by_dname(name, key, type, node[DNAME][:1])
            if self._delegates(part, node, key, type):
                return self._referral(node)
        if node is not None:
            return self._at(node, name, type, "")
        if wildcard and key not in self._parents and not self._has_closer(key, wildcard):
            owner = self._nodes.get(wildcard)
            return Reply(Outcome.NO_DATA, [], self.soa) if owner is None else self._at(owner, name, type, name)
        outcome = Outcome.SUCCESS if key in self._parents else Outcome.NO_NAME
        return Reply(outcome, [], self.soa)

    def _path(self, key: str) -> list[str]:
        """The names from the origin down to the key."""
        names = [key]
        while names[-1] != self.origin:
            names.append(_parent(names[-1]))
        names.reverse()
        return names

    def _delegates(self, part: str, node: Node, key: str, type: int) -> bool:
        """A zone cut; what the DS record there is about is the parent's."""
        return NS in node and part != self.origin and not (type == DS and part == key)

    def _referral(self, node: Node, answer: Iterable[Record] = ()) -> Reply:
        servers = node[NS]
        return Reply(Outcome.DELEGATION, list(answer), servers, self._glue(servers))

    def _has_closer(self, key: str, wildcard: str) -> bool:
        """RFC 4592: a name that is there, if only as part of longer ones, keeps wildcards above it from what is below it."""
        stop = _parent(wildcard)
        name = _parent(key)
        while name != stop and wire.within(name, stop):
            if name in self._parents:
                return True
            name = _parent(name)
        return False

    def _at(self, node: Node, name: str, type: int, owner: str) -> Reply:
        """What a node says; `owner`, where set, is what a wildcard stands for."""
        if CNAME in node and type != CNAME:
            return self._follow(_owned(node[CNAME][:1], owner), type, {name.lower()})
        records = _owned(node.get(type, []), owner)
        if not records:
            return Reply(Outcome.NO_DATA, [], self.soa)
        return Reply(Outcome.SUCCESS, records, self.name_servers, self._addresses(records))

    def _by_dname(self, name: str, key: str, type: int, dname: list[Record]) -> Reply:
        target, owner = _target(dname[0]), dname[0].name.lower()
        renamed = name[: len(key) - len(owner)] + ("" if target == "." else target)
        if renamed.lower() == key:
            return Reply(Outcome.LOOP)
        try:
            alias = wire.name_record(name, CNAME, renamed, dname[0].ttl)
        except wire.WireError:
            return Reply(Outcome.LOOP)  # longer than names may be (RFC 6672: YXDOMAIN; upstream fails)
        if type == CNAME:
            return Reply(Outcome.SUCCESS, [*dname, alias], self.name_servers)
        reply = self._follow([alias], type, {key})
        reply.answer = [*dname, *reply.answer]
        return reply

    def _follow(self, answer: list[Record], type: int, seen: set[str]) -> Reply:
        """The chain that begins with this alias, as far as its names are in the zone."""
        for _ in range(MAX_ALIASES):
            target = _target(answer[-1])
            key = target.lower()
            if not wire.within(key, self.origin):
                return Reply(Outcome.SUCCESS, answer, self.name_servers, leads_to=target)
            for part in self._path(key)[1:]:
                node = self._nodes.get(part)
                if node is not None and self._delegates(part, node, key, type):
                    return self._referral(node, answer)
            node = self._nodes.get(key)
            if node is None:
                return Reply(Outcome.SUCCESS, answer, self.name_servers, leads_to=target)
            alias = node.get(CNAME)
            if alias is None or type == CNAME:
                answer = [*answer, *node.get(type, [])]
                return Reply(Outcome.SUCCESS, answer, self.name_servers, self._addresses(answer))
            if key in seen:
                break
            seen.add(key)
            answer = [*answer, *alias[:1]]
        return Reply(Outcome.SUCCESS, answer, self.name_servers)

    def _glue(self, servers: Iterable[Record]) -> list[Record]:
        """Addresses of name servers within the zone."""
        return self._addresses_of(dict.fromkeys(_target(server).lower() for server in servers))

    def _addresses(self, records: Iterable[Record]) -> list[Record]:
        """Of the hosts that MX and SRV records name."""
        hosts = [_target(record).lower() for record in records if record.type in _TARGET_AT]
        return self._addresses_of(dict.fromkeys(hosts)) if hosts else []

    def _addresses_of(self, hosts: Iterable[str]) -> list[Record]:
        nodes = [self._nodes.get(host, {}) for host in hosts if wire.within(host, self.origin)]
        return [record for node in nodes for type in (A, AAAA) for record in node.get(type, ())]


def _owned(records: list[Record], owner: str) -> list[Record]:
    return [replace(record, name=owner) for record in records] if owner else records


def _parent(name: str) -> str:
    """One label less; escaped dots are part of a label."""
    place = name.find(".")
    while place > 0 and name[place - 1] == "\\" and _escaped(name, place):
        place = name.find(".", place + 1)
    return name[place + 1 :] or "."


def _escaped(name: str, place: int) -> bool:
    count = place - len(name[:place].rstrip("\\"))
    return count % 2 == 1


def _target(record: Record) -> str:
    return wire.read_name(record.data, _TARGET_AT.get(record.type, 0))[0]
