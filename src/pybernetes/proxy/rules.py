"""Which iptables rules should be, in the form that iptables-save prints (upstream: pkg/proxy/iptables/proxier.go).

The layout of chains (SERVICES, NODEPORTS, SVC, SEP, FW, XLB) and their names, hashes included, are upstream's of 1.20.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from .model import Endpoint, ServicePort

Chains = dict[str, list[str]]  # rules of each chain, without "-A CHAIN "

SERVICES, EXTERNAL, NODEPORTS = "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS"
POSTROUTING, FORWARD, MARK_MASQ, MARK_DROP, FIREWALL = (
    "KUBE-POSTROUTING",
    "KUBE-FORWARD",
    "KUBE-MARK-MASQ",
    "KUBE-MARK-DROP",
    "KUBE-FIREWALL",
)
DROP_BIT = 15  # the kubelet's --iptables-drop-bit, which both must agree on
LAST_RULE = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"


@dataclass(frozen=True, slots=True)
class Options:
    """kube-proxy's flags that shape rules."""

    cluster_cidr: str = ""
    masquerade_all: bool = False
    masquerade_bit: int = 14
    node_port_addresses: tuple[str, ...] = ()  # this node's addresses in --nodeport-addresses; empty: all
    random_fully: bool = True


@dataclass(slots=True)
class Desired:
    """Own chains of both tables, the jumps from built-in chains, and health-check ports."""

    nat: Chains = field(default_factory=dict)
    filter: Chains = field(default_factory=dict)
    health: dict[int, tuple[str, str, int]] = field(default_factory=dict)  # port -> namespace, service, local endpoints


# What the built-in chains must hold: (table, chain, rule), inserted at the top where missing.
_PORTALS = 'comment --comment "kubernetes service portals"'
_VISIBLE = 'comment --comment "kubernetes externally-visible service portals"'
_NEW = "-m conntrack --ctstate NEW -m"
JUMPS = (
    ("nat", "PREROUTING", f"-m {_PORTALS} -j {SERVICES}"),
    ("nat", "OUTPUT", f"-m {_PORTALS} -j {SERVICES}"),
    ("nat", "POSTROUTING", f'-m comment --comment "kubernetes postrouting rules" -j {POSTROUTING}'),
    ("filter", "INPUT", f"{_NEW} {_VISIBLE} -j {EXTERNAL}"),
    ("filter", "INPUT", f"-j {FIREWALL}"),
    ("filter", "FORWARD", f'-m comment --comment "kubernetes forwarding rules" -j {FORWARD}'),
    ("filter", "FORWARD", f"{_NEW} {_PORTALS} -j {SERVICES}"),
    ("filter", "FORWARD", f"{_NEW} {_VISIBLE} -j {EXTERNAL}"),
    ("filter", "OUTPUT", f"{_NEW} {_PORTALS} -j {SERVICES}"),
    ("filter", "OUTPUT", f"-j {FIREWALL}"),
)


def _hash(text: str) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:16]


def chain_name(prefix: str, port: ServicePort) -> str:
    """KUBE-SVC-..., KUBE-FW-..., KUBE-XLB-... of a service port."""
    return f"{prefix}-{_hash(port.full_name + port.protocol)}"


def endpoint_chain(port: ServicePort, endpoint: Endpoint) -> str:
    """KUBE-SEP-... of one endpoint."""
    return f"KUBE-SEP-{_hash(f'{port.full_name}{port.protocol}{endpoint}')}"


def _comment(text: str) -> str:
    return f'-m comment --comment "{text}"'


def desired(ports: Iterable[ServicePort], options: Options) -> Desired:
    """Everything that should be, for these ports; shared chains are there even when empty."""
    result = Desired(nat=_fixed_nat(options), filter=_fixed_filter(options))
    for port in ports:
        if port.endpoints:
            _add_served(result.nat, port, options)
        else:
            _add_refused(result.filter, port, options)
        if port.health_port and port.local_only:
            result.health[port.health_port] = (port.namespace, port.service, len(port.local_endpoints))
    _add_last(result.nat, options)
    return result


def _fixed_nat(options: Options) -> Chains:
    mark = f"{1 << options.masquerade_bit:#x}"
    masquerade = "-j MASQUERADE --random-fully" if options.random_fully else "-j MASQUERADE"
    return {
        SERVICES: [],
        NODEPORTS: [],
        MARK_DROP: [f"-j MARK --set-xmark {1 << DROP_BIT:#x}/{1 << DROP_BIT:#x}"],
        MARK_MASQ: [f"-j MARK --set-xmark {mark}/{mark}"],
        POSTROUTING: [
            f"-m mark ! --mark {mark}/{mark} -j RETURN",
            f"-j MARK --set-xmark {mark}/0x0",
            f"{_comment('kubernetes service traffic requiring SNAT')} {masquerade}",
        ],
    }


def _fixed_filter(options: Options) -> Chains:
    mark, drop = f"{1 << options.masquerade_bit:#x}", f"{1 << DROP_BIT:#x}"
    related = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    return {
        SERVICES: [],
        EXTERNAL: [],
        FIREWALL: [
            f"{_comment('kubernetes firewall for dropping marked packets')} -m mark --mark {drop}/{drop} -j DROP",
            f"! -s 127.0.0.0/8 -d 127.0.0.0/8 {_comment('block incoming localnet connections')} "
            "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
        ],
        FORWARD: [
            "-m conntrack --ctstate INVALID -j DROP",
            f"{_comment('kubernetes forwarding rules')} -m mark --mark {mark}/{mark} -j ACCEPT",
            f"{_comment('kubernetes forwarding conntrack pod source rule')} {related}",
            f"{_comment('kubernetes forwarding conntrack pod destination rule')} {related}",
        ],
    }


def _add_refused(table: Chains, port: ServicePort, options: Options) -> None:
    """Without endpoints every address of the service answers with a refusal instead of silence."""
    note = _comment(f"{port.full_name} has no endpoints")
    protocol, reject = port.protocol, "-j REJECT --reject-with icmp-port-unreachable"
    table[SERVICES].append(f"-d {port.cluster_ip}/32 -p {protocol} {note} -m {protocol} --dport {port.port} {reject}")
    for address in (*port.external_ips, *port.ingress_ips):
        table[EXTERNAL].append(f"-d {address}/32 -p {protocol} {note} -m {protocol} --dport {port.port} {reject}")
    if port.node_port:
        local = f"-p {protocol} {note} -m addrtype --dst-type LOCAL -m {protocol} --dport {port.node_port} {reject}"
        table[EXTERNAL].append(local)


def _add_served(nat: Chains, port: ServicePort, options: Options) -> None:
    service = chain_name("KUBE-SVC", port)
    external = chain_name("KUBE-XLB", port) if port.local_only else service
    _add_cluster_ip(nat, port, service, options)
    _add_external_ips(nat, port, external)
    _add_ingress(nat, port, external)
    _add_node_port(nat, port, external)
    nat[service] = _balance(port, port.endpoints, _comment(port.full_name))
    for endpoint in port.endpoints:
        nat[endpoint_chain(port, endpoint)] = _endpoint_rules(port, endpoint)
    if port.local_only:
        nat[external] = _local_rules(port, service, options)


def _add_cluster_ip(nat: Chains, port: ServicePort, service: str, options: Options) -> None:
    note, protocol = _comment(f"{port.full_name} cluster IP"), port.protocol
    match = f"-d {port.cluster_ip}/32 -p {protocol} {note} -m {protocol} --dport {port.port}"
    if options.masquerade_all:
        nat[SERVICES].append(f"{match} -j {MARK_MASQ}")
    elif options.cluster_cidr:
        # From outside the pods' network the answer must come back this way.
        nat[SERVICES].append(f"! -s {options.cluster_cidr} {match} -j {MARK_MASQ}")
    nat[SERVICES].append(f"{match} -j {service}")


def _add_external_ips(nat: Chains, port: ServicePort, target: str) -> None:
    note, protocol = _comment(f"{port.full_name} external IP"), port.protocol
    for address in port.external_ips:
        match = f"-d {address}/32 -p {protocol} {note} -m {protocol} --dport {port.port}"
        if not port.local_only:
            nat[SERVICES].append(f"{match} -j {MARK_MASQ}")
        nat[SERVICES].append(f"{match} -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j {target}")
        nat[SERVICES].append(f"{match} -m addrtype --dst-type LOCAL -j {target}")


def _add_ingress(nat: Chains, port: ServicePort, target: str) -> None:
    if not port.ingress_ips:
        return
    note, protocol = _comment(f"{port.full_name} loadbalancer IP"), port.protocol
    firewall = chain_name("KUBE-FW", port)
    rules = nat.setdefault(firewall, [])
    for address in port.ingress_ips:
        nat[SERVICES].append(f"-d {address}/32 -p {protocol} {note} -m {protocol} --dport {port.port} -j {firewall}")
        if not port.local_only:
            rules.append(f"{note} -j {MARK_MASQ}")
        rules.extend(f"-s {source} {note} -j {target}" for source in port.source_ranges)
        if not port.source_ranges:
            rules.append(f"{note} -j {target}")
        elif not port.local_only:
            # A node that reaches the balancer's own address comes from that address.
            rules.append(f"-s {address}/32 {note} -j {target}")
        rules.append(f"{note} -j {MARK_DROP}")


def _add_node_port(nat: Chains, port: ServicePort, target: str) -> None:
    if not port.node_port:
        return
    note, protocol = _comment(port.full_name), port.protocol
    match = f"-p {protocol} {note} -m {protocol} --dport {port.node_port}"
    nat[NODEPORTS].append(f"-s 127.0.0.0/8 {match} -j {MARK_MASQ}" if port.local_only else f"{match} -j {MARK_MASQ}")
    nat[NODEPORTS].append(f"{match} -j {target}")


def _recent(chain: str) -> str:
    return f"--name {chain} --mask 255.255.255.255 --rsource"


def _balance(port: ServicePort, endpoints: tuple[Endpoint, ...], note: str) -> list[str]:
    """Affinity first, then each endpoint with the probability that makes all equal."""
    chains = [endpoint_chain(port, endpoint) for endpoint in endpoints]
    rules = []
    if port.affinity_seconds:
        seconds = f"--seconds {port.affinity_seconds} --reap"
        rules = [f"{note} -m recent --rcheck {seconds} {_recent(chain)} -j {chain}" for chain in chains]
    return rules + [f"{note}{_chance(len(chains) - index)} -j {chain}" for index, chain in enumerate(chains)]


def _chance(left: int) -> str:
    """One of so many; as iptables-save prints the kernel's 31 bits."""
    if left == 1:
        return ""
    stored = round(float(f"{1 / left:.10f}") * 0x80000000)
    return f" -m statistic --mode random --probability {stored / 0x80000000:.11f}"


def _endpoint_rules(port: ServicePort, endpoint: Endpoint) -> list[str]:
    note, protocol = _comment(port.full_name), port.protocol
    recent = f" -m recent --set {_recent(endpoint_chain(port, endpoint))}" if port.affinity_seconds else ""
    return [
        f"-s {endpoint.ip}/32 {note} -j {MARK_MASQ}",  # a pod that reaches itself through its service
        f"-p {protocol} {note}{recent} -m {protocol} -j DNAT --to-destination {endpoint}",
    ]


def _local_rules(port: ServicePort, service: str, options: Options) -> list[str]:
    """externalTrafficPolicy Local: only endpoints here; pods and this node itself take the way of the cluster IP."""
    rules = []
    if options.cluster_cidr:
        note = _comment("Redirect pods trying to reach external loadbalancer VIP to clusterIP")
        rules.append(f"-s {options.cluster_cidr} {note} -j {service}")
    local = "-m addrtype --src-type LOCAL"
    rules.append(f"{_comment(f'masquerade LOCAL traffic for {port.full_name} LB IP')} {local} -j {MARK_MASQ}")
    rules.append(f"{_comment(f'route LOCAL traffic for {port.full_name} LB IP to service chain')} {local} -j {service}")
    chains = [endpoint_chain(port, endpoint) for endpoint in port.local_endpoints]
    if not chains:
        return [*rules, f"{_comment(f'{port.full_name} has no local endpoints')} -j {MARK_DROP}"]
    if port.affinity_seconds:
        seconds = f"--seconds {port.affinity_seconds} --reap"
        note = _comment(port.full_name)
        rules += [f"{note} -m recent --rcheck {seconds} {_recent(chain)} -j {chain}" for chain in chains]
    for index, chain in enumerate(chains):
        note = _comment(f"Balancing rule {index} for {port.full_name}")
        rules.append(f"{note}{_chance(len(chains) - index)} -j {chain}")
    return rules


def _add_last(nat: Chains, options: Options) -> None:
    note = _comment(LAST_RULE)
    if not options.node_port_addresses:
        nat[SERVICES].append(f"{note} -m addrtype --dst-type LOCAL -j {NODEPORTS}")
    for address in options.node_port_addresses:
        nat[SERVICES].append(f"-d {address}/32 {note} -j {NODEPORTS}")
