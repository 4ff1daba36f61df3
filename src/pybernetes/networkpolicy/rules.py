"""Policies in nftables' words: names of sets and chains, and rules.

A rule looks at the flow that a packet belongs to, not at the packet: who began it is `ct original saddr`, who answers is `ct reply saddr`
with `ct reply proto-src`, which is the pod itself where a Service led to it. So answers need no rule, what kube-proxy has translated is
judged by its pods, and a flow of a policy that has just come ends with its next packet, in either direction.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Sequence

from .pod import NamedPort
from .policy import PeerPods, Policy, Ports, Range, Rule
from .table import Chain, SetType, Table

INGRESS, EGRESS = "ingress", "egress"
DIRECTIONS = (EGRESS, INGRESS)
VERSIONS = (4, 6)
ADDRESS = {4: "ipv4_addr", 6: "ipv6_addr"}
FIELD = {4: "ip", 6: "ip6"}
# The end of the flow that a pod of the policy talks with, and the pod's own.
PEER = {INGRESS: "original", EGRESS: "reply"}
OWN = {INGRESS: "reply", EGRESS: "original"}
HEADER = {INGRESS: "daddr", EGRESS: "saddr"}
# Before what iptables has in FORWARD (filter, 0): other programs' rules see only what policies let pass.
PRIORITY = {EGRESS: "filter - 6", INGRESS: "filter - 5"}
# IPv6 finds its neighbours by these; they are not tracked, and stay on their link.
NEIGHBOURS = (
    "mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report, "
    "nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect"
)
CHAIN_LENGTH = 120

Element = str


def base(table: Table) -> None:
    """What is there whatever policies say: the isolated pods by address, and the way to their chains.

    Only what is forwarded is looked at, so that the node always reaches its own pods, and they it. IPVS (kube-proxy's mode ipvs)
    sends out what it forwards as if it came from the node, with the address of who has sent it.
    """
    for version in VERSIONS:
        table.add_set(self_set(version), SetType(f"{ADDRESS[version]} . {ADDRESS[version]}"))
        for direction in DIRECTIONS:
            table.add_set(isolated_map(direction, version), SetType(ADDRESS[version], is_map=True))
    for direction in DIRECTIONS:
        rules = [f"icmpv6 type {{ {NEIGHBOURS} }} accept", "meta l4proto { icmp, ipv6-icmp } ct state related accept"]
        for version in VERSIONS:
            ip, pods = FIELD[version], f"@{isolated_map(direction, version)}"
            rules += [
                f"ct original {ip} saddr . ct reply {ip} saddr @{self_set(version)} accept",  # a pod always reaches itself
                # Of what belongs to no flow nobody can say who began it.
                f"ct state invalid,untracked {ip} {HEADER[direction]} vmap {pods}",
                f"ct {OWN[direction]} {ip} saddr vmap {pods}",
            ]
        for name, hook, first in (
            (direction, "forward", ()),
            (f"{direction}-by-ipvs", "output", ("fib saddr type local accept",)),
        ):
            hooked = f"type filter hook {hook} priority {PRIORITY[direction]}; policy accept;"
            table.set_chain(name, Chain((*first, *rules), hooked))


def isolated_map(direction: str, version: int) -> str:
    return f"{direction}-v{version}"


def self_set(version: int) -> str:
    return f"self-v{version}"


def pods_set(peer: PeerPods, version: int) -> str:
    return f"pods-{_digest(peer)}-v{version}"


def pods_type(peer: PeerPods, version: int) -> SetType:
    return SetType(ADDRESS[version], comment=str(peer))


def block_set(ranges: Sequence[Range], version: int) -> str:
    return f"blocks-{_digest(ranges)}-v{version}"


def block_elements(ranges: Iterable[Range], version: int) -> list[Element]:
    make = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    return [str(make(first)) if first == last else f"{make(first)}-{make(last)}" for first, last in ranges]


def ports_set(ranges: Sequence[Range]) -> str:
    return f"ports-{_digest(ranges)}"


def ports_elements(ranges: Iterable[Range]) -> list[Element]:
    return [str(first) if first == last else f"{first}-{last}" for first, last in ranges]


def named_set(port: NamedPort, version: int) -> str:
    """Addresses with the port that the pod there calls so."""
    return f"named-{port[0]}-{port[1]}-v{version}"


def named_type(version: int) -> SetType:
    return SetType(f"{ADDRESS[version]} . inet_service")


def policy_chain(policy: Policy, direction: str) -> str:
    name = f"{direction}/{policy.namespace}/{policy.name}"
    return name if len(name) <= CHAIN_LENGTH else f"{direction}/{policy.namespace}/{_digest(policy.name)}"


def isolated_chain(direction: str, chains: Sequence[str]) -> str:
    """Of all pods that the same policies isolate."""
    return f"isolated-{direction}-{_digest(chains)}"


def isolated_rules(chains: Iterable[str]) -> Chain:
    """What no policy lets pass is dropped."""
    return Chain((*(f"jump {chain}" for chain in chains), "drop"))


def policy_rules(direction: str, rules: Iterable[Rule]) -> Chain:
    """Who may pass in one direction of a policy."""
    lines: list[str] = []
    for rule in rules:
        for peer_version, peer in _peers(direction, rule):
            for port_version, port in _ports(rule.ports):
                if not peer_version or not port_version or peer_version == port_version:
                    lines.append(" ".join(filter(None, (port, peer, "accept"))))
    return Chain(tuple(dict.fromkeys(lines)))


def _peers(direction: str, rule: Rule) -> list[tuple[int, str]]:
    """(IP version, 0 for either; match)."""
    if rule.any_peer:
        return [(0, "")]
    matches = []
    for version in VERSIONS:
        sets = [pods_set(peer, version) for peer in rule.pods]
        if rule.blocks[version]:
            sets.append(block_set(rule.blocks[version], version))
        matches += [(version, f"ct {PEER[direction]} {FIELD[version]} saddr @{name}") for name in sets]
    return matches


def _ports(ports: Sequence[Ports] | None) -> list[tuple[int, str]]:
    """(IP version, 0 for either; match)."""
    if ports is None:
        return [(0, "")]
    matches: list[tuple[int, str]] = []
    for each in ports:
        protocol = f"meta l4proto {each.protocol}"
        if each.everything:
            matches.append((0, protocol))
            continue
        if each.ranges:
            elements = ports_elements(each.ranges)
            among = elements[0] if len(elements) == 1 else f"@{ports_set(each.ranges)}"
            matches.append((0, f"{protocol} ct reply proto-src {among}"))
        for port in each.named():
            for version in VERSIONS:
                pair = f"ct reply {FIELD[version]} saddr . ct reply proto-src"
                matches.append((version, f"{protocol} {pair} @{named_set(port, version)}"))
    return matches


def _digest(value: object) -> str:
    """Of what its text says; a name in the kernel must not be as long."""
    return hashlib.sha256(str(value).encode()).hexdigest()[:16]
