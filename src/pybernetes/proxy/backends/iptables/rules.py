"""Which iptables rules should be, in the form that iptables-save prints (upstream: pkg/proxy/iptables/proxier.go).

The layout of chains (SERVICES, NODEPORTS, SVC, SEP, FW, XLB) and their names, hashes included, are upstream's of 1.20.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from ... import backends
from ...model import Endpoint, ServicePort

Chains = dict[str, list[str]]  # rules of each chain, without "-A CHAIN "
Jump = tuple[str, str, str]  # table, built-in chain, rule

SERVICES, EXTERNAL, NODEPORTS = "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS"
POSTROUTING, FORWARD, MARK_MASQ, MARK_DROP, FIREWALL = (
    "KUBE-POSTROUTING",
    "KUBE-FORWARD",
    "KUBE-MARK-MASQ",
    "KUBE-MARK-DROP",
    "KUBE-FIREWALL",
)
CANARY = "KUBE-PROXY-CANARY"  # empty, in every table: others see by it that rules were flushed
DROP_BIT = 15  # the kubelet's --iptables-drop-bit, which both must agree on
LAST_RULE = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"


@dataclass(frozen=True, slots=True)
class Options(backends.Options):
    """What shapes rules: the flags, the family, and what this machine's iptables can do."""

    family: str = "IPv4"
    random_fully: bool = True

    def host(self, address: str) -> str:
        """The CIDR of one address."""
        return f"{address}/{128 if self.family == 'IPv6' else 32}"

    @property
    def loopback(self) -> str:
        return "::1/128" if self.family == "IPv6" else "127.0.0.0/8"

    @property
    def detects_local(self) -> bool:
        """Whether pods' traffic can be told from other traffic."""
        return bool(self.cluster_cidr or self.pod_interface)

    def from_pods(self, destination: str = "") -> str:
        """The match on pods' traffic, to some destination."""
        if self.pod_interface:
            return f"{destination} -i {self.pod_interface}".strip()
        return f"-s {self.cluster_cidr} {destination}".strip()

    def not_from_pods(self, destination: str) -> str:
        """The match on all other traffic."""
        return f"{destination} ! -i {self.pod_interface}" if self.pod_interface else f"! {self.from_pods(destination)}"


@dataclass(slots=True)
class Desired:
    """Own chains of the tables."""

    nat: Chains = field(default_factory=dict)
    filter: Chains = field(default_factory=dict)
    mangle: Chains = field(default_factory=lambda: {CANARY: []})

    @property
    def tables(self) -> dict[str, Chains]:
        """By name."""
        return {"nat": self.nat, "filter": self.filter, "mangle": self.mangle}


# What the built-in chains must hold: (table, chain, rule), inserted at the top where missing.
_PORTALS = 'comment --comment "kubernetes service portals"'
_VISIBLE = 'comment --comment "kubernetes externally-visible service portals"'
_NEW = "-m conntrack --ctstate NEW -m"
JUMPS: tuple[Jump, ...] = (
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


@functools.lru_cache(maxsize=1 << 16)
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
        if port.all_endpoints:
            _add_served(result, port, options)
        else:
            _add_refused(result.filter, port, options)
    _add_last(result.nat, options)
    return result


def _fixed_nat(options: Options) -> Chains:
    mark = f"{1 << options.masquerade_bit:#x}"
    masquerade = "-j MASQUERADE --random-fully" if options.random_fully else "-j MASQUERADE"
    return {
        CANARY: [],
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
    firewall = [f"{_comment('kubernetes firewall for dropping marked packets')} -m mark --mark {drop}/{drop} -j DROP"]
    if options.family == "IPv4":  # only here does route_localnet open the loopback network to others
        firewall.append(
            f"! -s 127.0.0.0/8 -d 127.0.0.0/8 {_comment('block incoming localnet connections')} "
            "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
        )
    return {
        CANARY: [],
        SERVICES: [],
        EXTERNAL: [],
        FIREWALL: firewall,
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
    protocol = port.protocol
    kind = "icmp6-port-unreachable" if options.family == "IPv6" else "icmp-port-unreachable"
    rest = f"-p {protocol} {note} -m {protocol} --dport {port.port} -j REJECT --reject-with {kind}"
    table[SERVICES].append(f"-d {options.host(port.cluster_ip)} {rest}")
    for address in (*port.external_ips, *port.ingress_ips):
        table[EXTERNAL].append(f"-d {options.host(address)} {rest}")
    if port.node_port:
        table[EXTERNAL].append(
            f"-p {protocol} {note} -m addrtype --dst-type LOCAL -m {protocol} --dport {port.node_port} "
            f"-j REJECT --reject-with {kind}"
        )


def _add_served(result: Desired, port: ServicePort, options: Options) -> None:
    nat = result.nat
    service = chain_name("KUBE-SVC", port)
    external = chain_name("KUBE-XLB", port) if port.local_only else service
    _add_cluster_ip(result, port, service, options)
    _add_external_ips(nat, port, external, options)
    _add_ingress(nat, port, external, options)
    _add_node_port(nat, port, external, options)
    nat[service] = _balance(port, port.endpoints, _comment(port.full_name), options)
    for endpoint in port.all_endpoints:
        nat[endpoint_chain(port, endpoint)] = _endpoint_rules(port, endpoint, options)
    if port.local_only:
        nat[external] = _local_rules(port, service, options)


def _add_cluster_ip(result: Desired, port: ServicePort, service: str, options: Options) -> None:
    note, protocol = _comment(f"{port.full_name} cluster IP"), port.protocol
    destination, rest = f"-d {options.host(port.cluster_ip)}", f"-p {protocol} {note} -m {protocol} --dport {port.port}"
    services = result.nat[SERVICES]
    target = service
    if port.internal_local:
        if not port.local_endpoints:
            # Silence, not refusal: as upstream, since the service has endpoints elsewhere.
            absent = _comment(f"{port.full_name} has no local endpoints")
            rule = f"{destination} -p {protocol} {absent} -m {protocol} --dport {port.port} -j DROP"
            result.filter[SERVICES].append(rule)
            return
        target = chain_name("KUBE-SVL", port)
        result.nat[target] = _balance(port, port.local_endpoints, _comment(port.full_name), options)
    if options.masquerade_all:
        services.append(f"{destination} {rest} -j {MARK_MASQ}")
    elif options.detects_local:
        # From outside the pods' network the answer must come back this way.
        services.append(f"{options.not_from_pods(destination)} {rest} -j {MARK_MASQ}")
    services.append(f"{destination} {rest} -j {target}")


def _add_external_ips(nat: Chains, port: ServicePort, target: str, options: Options) -> None:
    note, protocol = _comment(f"{port.full_name} external IP"), port.protocol
    for address in port.external_ips:
        match = f"-d {options.host(address)} -p {protocol} {note} -m {protocol} --dport {port.port}"
        if not port.local_only:
            nat[SERVICES].append(f"{match} -j {MARK_MASQ}")
        nat[SERVICES].append(f"{match} -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j {target}")
        nat[SERVICES].append(f"{match} -m addrtype --dst-type LOCAL -j {target}")


def _add_ingress(nat: Chains, port: ServicePort, target: str, options: Options) -> None:
    if not port.ingress_ips:
        return
    note, protocol = _comment(f"{port.full_name} loadbalancer IP"), port.protocol
    firewall = chain_name("KUBE-FW", port)
    rules = nat.setdefault(firewall, [])
    for address in port.ingress_ips:
        match = f"-d {options.host(address)} -p {protocol} {note} -m {protocol} --dport {port.port}"
        nat[SERVICES].append(f"{match} -j {firewall}")
        if not port.local_only:
            rules.append(f"{note} -j {MARK_MASQ}")
        rules.extend(f"-s {source} {note} -j {target}" for source in port.source_ranges)
        if not port.source_ranges:
            rules.append(f"{note} -j {target}")
        elif not port.local_only:
            # A node that reaches the balancer's own address comes from that address.
            rules.append(f"-s {options.host(address)} {note} -j {target}")
        rules.append(f"{note} -j {MARK_DROP}")


def _add_node_port(nat: Chains, port: ServicePort, target: str, options: Options) -> None:
    if not port.node_port:
        return
    note, protocol = _comment(port.full_name), port.protocol
    match = f"-p {protocol} {note} -m {protocol} --dport {port.node_port}"
    source = f"-s {options.loopback} " if port.local_only else ""
    nat[NODEPORTS].append(f"{source}{match} -j {MARK_MASQ}")
    nat[NODEPORTS].append(f"{match} -j {target}")


def _recent(chain: str, options: Options) -> str:
    mask = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" if options.family == "IPv6" else "255.255.255.255"
    return f"--name {chain} --mask {mask} --rsource"


def _affinity(port: ServicePort, chains: Iterable[str], note: str, options: Options) -> list[str]:
    """Whoever was sent to an endpoint lately is sent there again."""
    if not port.affinity_seconds:
        return []
    seconds = f"--seconds {port.affinity_seconds} --reap"
    return [f"{note} -m recent --rcheck {seconds} {_recent(chain, options)} -j {chain}" for chain in chains]


def _balance(port: ServicePort, endpoints: tuple[Endpoint, ...], note: str, options: Options) -> list[str]:
    """Affinity first, then each endpoint with the probability that makes all equal."""
    chains = [endpoint_chain(port, endpoint) for endpoint in endpoints]
    rules = [f"{note}{_chance(len(chains) - index)} -j {chain}" for index, chain in enumerate(chains)]
    return _affinity(port, chains, note, options) + rules


@functools.lru_cache(maxsize=4096)
def _chance(left: int) -> str:
    """One of so many; as iptables-save prints the kernel's 31 bits."""
    if left == 1:
        return ""
    stored = round(float(f"{1 / left:.10f}") * 0x80000000)
    return f" -m statistic --mode random --probability {stored / 0x80000000:.11f}"


def _endpoint_rules(port: ServicePort, endpoint: Endpoint, options: Options) -> list[str]:
    note, protocol = _comment(port.full_name), port.protocol
    chain = endpoint_chain(port, endpoint)
    recent = f" -m recent --set {_recent(chain, options)}" if port.affinity_seconds else ""
    return [
        f"-s {options.host(endpoint.ip)} {note} -j {MARK_MASQ}",  # a pod that reaches itself through its service
        f"-p {protocol} {note}{recent} -m {protocol} -j DNAT --to-destination {endpoint}",
    ]


def _local_rules(port: ServicePort, service: str, options: Options) -> list[str]:
    """externalTrafficPolicy Local: only endpoints here; pods and this node itself take the way of the cluster IP."""
    rules = []
    if options.detects_local:
        note = _comment("Redirect pods trying to reach external loadbalancer VIP to clusterIP")
        rules.append(f"{options.from_pods()} {note} -j {service}")
    local = "-m addrtype --src-type LOCAL"
    rules.append(f"{_comment(f'masquerade LOCAL traffic for {port.full_name} LB IP')} {local} -j {MARK_MASQ}")
    rules.append(f"{_comment(f'route LOCAL traffic for {port.full_name} LB IP to service chain')} {local} -j {service}")
    chains = [endpoint_chain(port, endpoint) for endpoint in port.local_endpoints]
    if not chains:
        return [*rules, f"{_comment(f'{port.full_name} has no local endpoints')} -j {MARK_DROP}"]
    rules += _affinity(port, chains, _comment(port.full_name), options)
    for index, chain in enumerate(chains):
        note = _comment(f"Balancing rule {index} for {port.full_name}")
        rules.append(f"{note}{_chance(len(chains) - index)} -j {chain}")
    return rules


def _add_last(nat: Chains, options: Options) -> None:
    note = _comment(LAST_RULE)
    if not options.node_port_addresses:
        outside = "" if options.localhost_node_ports else f"! -d {options.loopback} "
        nat[SERVICES].append(f"{outside}{note} -m addrtype --dst-type LOCAL -j {NODEPORTS}")
    for address in options.node_port_addresses:
        nat[SERVICES].append(f"-d {options.host(address)} {note} -j {NODEPORTS}")
