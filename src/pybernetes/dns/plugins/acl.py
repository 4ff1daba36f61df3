"""acl [ZONES...] { ACTION [type TYPES...] [net NETWORKS...] }: who may ask what (upstream: plugin/acl)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from .. import wire
from ..corefile import Directive
from ..metrics import Metrics
from ..plugin import BlockContext, Plugin, matching, zones_of
from ..wire import EDE, NOERROR, REFUSED, Answer, Query

NAME = "acl"
ACTIONS = ("allow", "block", "filter", "drop")
BLOCKED, FILTERED = (15).to_bytes(2, "big"), (17).to_bytes(2, "big")  # RFC 8914

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Networks:
    """Whether an address is in one of them: work for each prefix length, not for each network."""

    def __init__(self) -> None:
        self._of: dict[tuple[int, int], set[int]] = {}  # version, bits behind the prefix -> prefixes

    def add(self, network: Network) -> None:
        """One more."""
        bits = network.max_prefixlen - network.prefixlen
        self._of.setdefault((network.version, bits), set()).add(int(network.network_address) >> bits)

    def __contains__(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        number = int(address)
        return any(
            number >> bits in prefixes for (version, bits), prefixes in self._of.items() if version == address.version
        )


@dataclass(slots=True)
class Policy:
    """A line; no types or networks: all of them."""

    action: str
    types: frozenset[int] = frozenset()
    networks: Networks | None = None


@dataclass(slots=True)
class Rule:
    """The directive."""

    zones: list[str]
    policies: list[Policy] = field(default_factory=list)


class Acl(Plugin):
    """All `acl` directives of a block. The first policy that fits decides; where none does the query goes on."""

    name = NAME

    def __init__(self, rules: Sequence[Rule], block: BlockContext) -> None:
        super().__init__()
        self.rules, self._server, self._metrics = list(rules), block.server, block.metrics

    async def serve(self, query: Query) -> Answer:
        address = ipaddress.ip_address(query.client[0].partition("%")[0])
        for rule in self.rules:
            zone = matching(query.key, rule.zones)
            action = decide(rule.policies, query.type, address) if zone else ""
            if action == "allow":
                break
            if action:
                self._count(self._metrics, action, zone)
                return _refusal(action)
        self._metrics.acl_allowed.inc(self._server, "")
        return await self.next(query)

    def _count(self, metrics: Metrics, action: str, zone: str) -> None:
        counters = {"block": metrics.acl_blocked, "filter": metrics.acl_filtered, "drop": metrics.acl_dropped}
        counters[action].inc(self._server, zone, "")


def decide(policies: Sequence[Policy], type: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """The first policy's action, "" where none fits."""
    for policy in policies:
        if policy.types and type not in policy.types:
            continue
        if policy.networks is None or address in policy.networks:
            return policy.action
    return ""


def _refusal(action: str) -> Answer:
    if action == "drop":
        return Answer(silent=True, plugin=NAME)
    if action == "block":
        return Answer(REFUSED, options=((EDE, BLOCKED),), plugin=NAME)
    return Answer(NOERROR, options=((EDE, FILTERED),), plugin=NAME)


def setup(directive: Directive, block: BlockContext) -> Plugin | None:
    """All of a block's rules are one plugin: the first directive's. CorefileError."""
    rule = Rule(zones_of(directive.arguments, block), [policy_of(prop) for prop in directive.properties])
    for plugin in block.plugins:
        if isinstance(plugin, Acl):
            plugin.rules.append(rule)
            return None
    return Acl([rule], block)


def policy_of(prop: Directive) -> Policy:
    """A line in the braces. CorefileError."""
    action = prop.name.lower()
    if action not in ACTIONS:
        raise prop.error(f"unexpected token \"{prop.name}\"; expect 'allow', 'block', 'filter' or 'drop'")
    policy = Policy(action)
    words = list(prop.arguments)
    while words:
        section = words.pop(0).lower()
        if section not in ("type", "net"):
            raise prop.error(f"unexpected token \"{section}\"; expect 'type | net'")
        values: list[str] = []
        while words and words[0].lower() not in ("type", "net"):
            values.append(words.pop(0))
        if not values:
            raise prop.error(f'no token specified in "{section}" section')
        if section == "type":
            policy.types = _types(prop, values)
        else:
            policy.networks = _networks(prop, values)
    return policy


def _types(prop: Directive, words: Sequence[str]) -> frozenset[int]:
    if "*" in words:
        return frozenset()
    for word in words:
        if word not in wire.TYPE_NUMBERS:
            raise prop.error(f'unexpected token "{word}"; expect legal QTYPE')
    return frozenset(wire.TYPE_NUMBERS[word] for word in words)


def _networks(prop: Directive, words: Sequence[str]) -> Networks | None:
    if "*" in words:
        return None
    networks = Networks()
    for word in words:
        try:
            networks.add(ipaddress.ip_network(word, strict=False))
        except ValueError:
            text = word if "/" in word else f"{word}/{128 if ':' in word else 32}"
            raise prop.error(f'illegal CIDR notation "{text}"') from None
    return networks
