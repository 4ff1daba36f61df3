"""The iptables rules that lead to the process, in the form that iptables-save prints (upstream: pkg/proxy/userspace/proxier.go).

    PREROUTING -> KUBE-PORTALS-CONTAINER   cluster, external and balancers' IPs: REDIRECT to the port's own local port
               -> KUBE-NODEPORT-CONTAINER  node ports, behind whatever else is in the chain
    OUTPUT     -> KUBE-PORTALS-HOST        the same for this node's own traffic: DNAT to the node's address
               -> KUBE-NODEPORT-HOST
    INPUT      -> KUBE-NODEPORT-NON-LOCAL  lets node ports' traffic in, whatever the policy of INPUT is

All of it is pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ...model import ServicePort
from ..iptables.tables import State, parse, removal_of

PORTALS_CONTAINER, PORTALS_HOST = "KUBE-PORTALS-CONTAINER", "KUBE-PORTALS-HOST"
NODEPORT_CONTAINER, NODEPORT_HOST = "KUBE-NODEPORT-CONTAINER", "KUBE-NODEPORT-HOST"
NODEPORT_NON_LOCAL = "KUBE-NODEPORT-NON-LOCAL"
OWN_CHAINS = {
    "nat": (PORTALS_CONTAINER, PORTALS_HOST, NODEPORT_CONTAINER, NODEPORT_HOST),
    "filter": (NODEPORT_NON_LOCAL,),
}
PROTOCOLS = ("tcp", "udp")


class Rule(NamedTuple):
    """One rule, without "-A CHAIN "."""

    table: str
    chain: str
    text: str


_PORTALS = '-m comment --comment "handle ClusterIPs; NOTE: this must be before the NodePort rules"'
_NODE_PORTS = (
    "-m addrtype --dst-type LOCAL "
    '-m comment --comment "handle service NodePorts; NOTE: this must be the last rule in the chain"'
)
# Put at the top where missing; who asks by address and port must come before those who ask by port alone.
FIRST = (
    Rule("nat", "PREROUTING", f"{_PORTALS} -j {PORTALS_CONTAINER}"),
    Rule("nat", "OUTPUT", f"{_PORTALS} -j {PORTALS_HOST}"),
    Rule(
        "filter",
        "INPUT",
        f'-m comment --comment "Ensure that non-local NodePort traffic can flow" -j {NODEPORT_NON_LOCAL}',
    ),
)
LAST = (  # put at the end
    Rule("nat", "PREROUTING", f"{_NODE_PORTS} -j {NODEPORT_CONTAINER}"),
    Rule("nat", "OUTPUT", f"{_NODE_PORTS} -j {NODEPORT_HOST}"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the process listens."""

    bind: str  # the one address, "" for all
    host: str  # the address to which this node's own traffic goes, "" if it has none
    physdev: bool = True  # whether the kernel can tell packets that have come through a bridge


def portal_rules(port: ServicePort, local_port: int, place: Place, taken: Collection[str] = ()) -> tuple[Rule, ...]:
    """What leads to the port's local port. `taken`: addresses, "" for node ports, whose port another program of this node has."""
    rules: list[Rule] = []
    for address in (port.cluster_ip, *port.ingress_ips):
        if address not in taken:
            match = _match(port, port.port, address)
            rules += _pair(PORTALS_CONTAINER, PORTALS_HOST, match, match, local_port, place)
    for address in port.external_ips:
        if address not in taken:
            # Pods' traffic comes in through a bridge: it goes to whoever has the address, unless that is this node itself.
            foreign = _match(port, port.port, address) + (" -m physdev ! --physdev-is-in" if place.physdev else "")
            here = f"{_match(port, port.port, address)} -m addrtype --dst-type LOCAL"
            rules.append(Rule("nat", PORTALS_CONTAINER, f"{foreign} {_to_container(local_port, place)}"))
            rules += _pair(PORTALS_CONTAINER, PORTALS_HOST, here, here, local_port, place)
    if port.node_port and "" not in taken:
        match = _match(port, port.node_port)
        rules += _pair(NODEPORT_CONTAINER, NODEPORT_HOST, match, match, local_port, place)
        let_in = f"{_match(port, local_port)} -m state --state NEW -j ACCEPT"
        rules.append(Rule("filter", NODEPORT_NON_LOCAL, let_in))
    return tuple(dict.fromkeys(rules))


def _match(port: ServicePort, number: int, address: str = "") -> str:
    to = f"-d {address}/{128 if ':' in address else 32} " if address else ""
    protocol = port.protocol
    return f'{to}-p {protocol} -m comment --comment "{port.full_name}" -m {protocol} --dport {number}'


def _pair(container: str, host: str, from_container: str, from_host: str, local_port: int, place: Place) -> list[Rule]:
    rules = [Rule("nat", container, f"{from_container} {_to_container(local_port, place)}")]
    if place.host:
        rules.append(Rule("nat", host, f"{from_host} {_dnat(place.host, local_port)}"))
    return rules


def _to_container(local_port: int, place: Place) -> str:
    """REDIRECT answers from the interface's own address, which a DNAT to another one would not; it needs all of them listened on."""
    return _dnat(place.bind, local_port) if place.bind else f"-j REDIRECT --to-ports {local_port}"


def _dnat(address: str, port: int) -> str:
    return f"-j DNAT --to-destination {f'[{address}]' if ':' in address else address}:{port}"


def change(gone: Iterable[Rule], new: Iterable[Rule]) -> str:
    """Input for iptables-restore --noflush that takes rules out and puts rules in, where all else is as it was left."""
    old, fresh = dict.fromkeys(gone), dict.fromkeys(new)
    lines: dict[str, list[str]] = {}
    for rule in fresh:
        if rule not in old:
            lines.setdefault(rule.table, []).append(f"-A {rule.chain} {rule.text}")
    for rule in old:
        if rule not in fresh:
            lines.setdefault(rule.table, []).append(f"-D {rule.chain} {rule.text}")
    return "".join(_commit(table, own) for table, own in lines.items())


def repair(current: State, rules: Iterable[Rule]) -> str:
    """Input that brings the kernel from whatever it holds to these rules; "" where nothing differs. Their order means nothing."""
    desired: dict[str, dict[str, dict[str, None]]] = {
        table: {chain: {} for chain in chains} for table, chains in OWN_CHAINS.items()
    }
    for rule in rules:
        desired[rule.table][rule.chain][rule.text] = None
    return "".join(_commit(t, list(_repaired(t, current.get(t, {}), chains))) for t, chains in desired.items())


def _repaired(table: str, current: Mapping[str, list[str]], desired: Mapping[str, Mapping[str, None]]) -> Iterator[str]:
    for chain, rules in desired.items():
        there = current.get(chain)
        if there is None or len(there) != len(rules) or set(there) != rules.keys():
            yield f":{chain} - [0:0]"
            yield from (f"-A {chain} {text}" for text in rules)
    for rule in FIRST:
        if rule.table == table and rule.text not in current.get(rule.chain, ()):
            yield f"-I {rule.chain} 1 {rule.text}"
    for rule in LAST:
        if rule.table == table and rule.text not in current.get(rule.chain, ()):
            yield f"-A {rule.chain} {rule.text}"


def _commit(table: str, lines: Collection[str]) -> str:
    return "\n".join([f"*{table}", *lines, "COMMIT", ""]) if lines else ""


_OWN_LINES = re.compile(r"^(?:\*|.*KUBE-(?:PORTALS|NODEPORT)-).*$", re.MULTILINE)


def removal(saved: str) -> str:
    """Input after which nothing of this mode is left of what iptables-save printed; another mode's many rules are not gone into."""
    current = parse("\n".join(_OWN_LINES.findall(saved)))
    return removal_of(current, lambda chain: any(chain in chains for chains in OWN_CHAINS.values()))


def has_own(current: State) -> bool:
    """Whether a proxy of this mode has been here."""
    return any(chain in current.get(table, ()) for table, chains in OWN_CHAINS.items() for chain in chains)


def not_done(port: ServicePort) -> tuple[str, ...]:
    """What the port asks for and this mode does not do, as upstream's did not."""
    return tuple(
        text
        for text, asked in (
            (f"protocol {port.protocol.upper()}", port.protocol not in PROTOCOLS),
            ("loadBalancerSourceRanges", bool(port.source_ranges and port.ingress_ips)),
            ("externalTrafficPolicy: Local", port.local_only),
            ("internalTrafficPolicy: Local", port.internal_local),
        )
        if asked
    )
