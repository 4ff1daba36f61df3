"""Which iptables rules a Service port wants, in the form that iptables-save prints (upstream: pkg/proxy/iptables/proxier.go).

The layout of chains, their names (hashes included) and comments are those of upstream since 1.28:

    PREROUTING, OUTPUT -> KUBE-SERVICES -+-> KUBE-SVC-*  the port's endpoints, wherever they are ("Cluster")
      (nat)            -> KUBE-NODEPORTS |   KUBE-SVL-*  those on this node ("Local")             -> KUBE-SEP-*  one endpoint: DNAT
                                         +-> KUBE-EXT-*  what came to an external address, node port or load balancer
                                         +-> KUBE-FW-*   and has to come from one of the load balancer's source ranges

    INPUT, FORWARD, OUTPUT (filter) -> KUBE-SERVICES, KUBE-EXTERNAL-SERVICES, KUBE-PROXY-FIREWALL refuse what was not translated.

All of it is pure. `ruleset` puts ports together, `tables` brings the kernel there.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ... import backends
from ...model import Endpoint, ServicePort

Chains = dict[str, list[str]]  # rules of each chain, without "-A CHAIN "
Jump = tuple[str, str, str]  # table, built-in chain, rule

SERVICES, EXTERNAL, NODEPORTS = "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS"
POSTROUTING, FORWARD, MARK_MASQ = "KUBE-POSTROUTING", "KUBE-FORWARD", "KUBE-MARK-MASQ"
PROXY_FIREWALL = "KUBE-PROXY-FIREWALL"
FIREWALL = "KUBE-FIREWALL"  # the kubelet's too, with the same rule in it
CANARY = "KUBE-PROXY-CANARY"  # empty, in every table: others see by it that rules were flushed
LARGE_CLUSTER_ENDPOINTS = 1000  # above it rules of endpoints go without comments, which are 40 % of their size
LAST_RULE = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"


@dataclass(frozen=True, slots=True)
class Options(backends.Options):
    """What shapes rules: the flags, the family, and what this machine's iptables can do."""

    family: str = "IPv4"
    random_fully: bool = True
    large_cluster: bool = False
    conntrack_tcp_liberal: bool = False  # the kernel's nf_conntrack_tcp_be_liberal

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

    @property
    def from_pods(self) -> str:
        """The match on pods' traffic."""
        return f"-i {self.pod_interface}" if self.pod_interface else f"-s {self.cluster_cidr}"

    def not_from_pods(self, destination: str) -> str:
        """The match on all other traffic to a destination; iptables-save prints the source first, the interface last."""
        if self.pod_interface:
            return f"{destination} ! -i {self.pod_interface}"
        return f"! -s {self.cluster_cidr} {destination}"

    def endpoint_comment(self, text: str) -> str:
        """With a space behind it, or nothing in a large cluster."""
        return "" if self.large_cluster else f"{_comment(text)} "


@dataclass(slots=True)
class PortRules:
    """What one Service port adds to the shared chains, and the chains that are its own (all of these in the table nat)."""

    services: list[str] = field(default_factory=list)  # nat KUBE-SERVICES
    node_ports: list[str] = field(default_factory=list)  # nat KUBE-NODEPORTS
    internal_filter: list[str] = field(default_factory=list)  # filter KUBE-SERVICES
    external_filter: list[str] = field(default_factory=list)  # filter KUBE-EXTERNAL-SERVICES
    source_filter: list[str] = field(default_factory=list)  # filter KUBE-PROXY-FIREWALL
    health_filter: list[str] = field(default_factory=list)  # filter KUBE-NODEPORTS
    chains: Chains = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Rules in its own chains."""
        return sum(map(len, self.chains.values()))


# What the built-in chains must hold, inserted at the top where missing.
_PORTALS = 'comment --comment "kubernetes service portals"'
_VISIBLE = 'comment --comment "kubernetes externally-visible service portals"'
_BALANCER = 'comment --comment "kubernetes load balancer firewall"'
_NEW = "-m conntrack --ctstate NEW -m"
JUMPS: tuple[Jump, ...] = (
    ("nat", "PREROUTING", f"-m {_PORTALS} -j {SERVICES}"),
    ("nat", "OUTPUT", f"-m {_PORTALS} -j {SERVICES}"),
    ("nat", "POSTROUTING", f'-m comment --comment "kubernetes postrouting rules" -j {POSTROUTING}'),
    ("filter", "INPUT", f"-j {FIREWALL}"),
    ("filter", "INPUT", f"{_NEW} {_BALANCER} -j {PROXY_FIREWALL}"),
    ("filter", "INPUT", f'-m comment --comment "kubernetes health check service ports" -j {NODEPORTS}'),
    ("filter", "INPUT", f"{_NEW} {_VISIBLE} -j {EXTERNAL}"),
    ("filter", "FORWARD", f"{_NEW} {_BALANCER} -j {PROXY_FIREWALL}"),
    ("filter", "FORWARD", f'-m comment --comment "kubernetes forwarding rules" -j {FORWARD}'),
    ("filter", "FORWARD", f"{_NEW} {_PORTALS} -j {SERVICES}"),
    ("filter", "FORWARD", f"{_NEW} {_VISIBLE} -j {EXTERNAL}"),
    ("filter", "OUTPUT", f"-j {FIREWALL}"),
    ("filter", "OUTPUT", f"{_NEW} {_BALANCER} -j {PROXY_FIREWALL}"),
    ("filter", "OUTPUT", f"{_NEW} {_PORTALS} -j {SERVICES}"),
)


@functools.lru_cache(maxsize=1 << 16)
def _hash(text: str) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:16]


def chain_name(prefix: str, port: ServicePort) -> str:
    """KUBE-SVC-..., KUBE-SVL-..., KUBE-EXT-..., KUBE-FW-... of a service port."""
    return f"{prefix}-{_hash(port.full_name + port.protocol)}"


def endpoint_chain(port: ServicePort, endpoint: Endpoint) -> str:
    """KUBE-SEP-... of one endpoint."""
    return f"KUBE-SEP-{_hash(f'{port.full_name}{port.protocol}{endpoint}')}"


def _comment(text: str) -> str:
    return f'-m comment --comment "{text}"'


# --- rules that no service has a part in ----------------------------------------------------------


def fixed_nat(options: Options) -> Chains:
    """Masquerading: who is marked on the way in takes this node's address on the way out."""
    mark = f"{1 << options.masquerade_bit:#x}"
    masquerade = "-j MASQUERADE --random-fully" if options.random_fully else "-j MASQUERADE"
    return {
        CANARY: [],
        MARK_MASQ: [f"-j MARK --set-xmark {mark}/{mark}"],
        POSTROUTING: [
            f"-m mark ! --mark {mark}/{mark} -j RETURN",
            f"-j MARK --set-xmark {mark}/0x0",  # else it is masqueraded again when it comes through the stack anew
            f"{_comment('kubernetes service traffic requiring SNAT')} {masquerade}",
        ],
    }


def fixed_filter(options: Options) -> Chains:
    """What belongs to translated connections is let through, whatever the policy of FORWARD is."""
    mark = f"{1 << options.masquerade_bit:#x}"
    firewall = []
    if options.localhost_node_ports and options.family == "IPv4":
        # Node ports on 127.0.0.1 want route_localnet, which opens the loopback network to the neighbours: not to them.
        firewall.append(
            f"! -s 127.0.0.0/8 -d 127.0.0.0/8 {_comment('block incoming localnet connections')} "
            "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
        )
    # A packet that conntrack calls invalid keeps its untranslated address, and its receiver would reset the connection.
    invalid = [] if options.conntrack_tcp_liberal else ["-m conntrack --ctstate INVALID -j DROP"]
    return {
        CANARY: [],
        FIREWALL: firewall,
        FORWARD: [
            *invalid,
            f"{_comment('kubernetes forwarding rules')} -m mark --mark {mark}/{mark} -j ACCEPT",
            f"{_comment('kubernetes forwarding conntrack rule')} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ],
    }


def last_rules(options: Options) -> list[str]:
    """The end of KUBE-SERVICES: what is no cluster IP may be a node port."""
    note = _comment(LAST_RULE)
    if options.node_port_addresses is None:
        loopback_works = options.localhost_node_ports and options.family == "IPv4"
        outside = "" if loopback_works else f"! -d {options.loopback} "
        return [f"{outside}{note} -m addrtype --dst-type LOCAL -j {NODEPORTS}"]
    return [f"-d {options.host(address)} {note} -j {NODEPORTS}" for address in options.node_port_addresses]


# --- rules of one port ----------------------------------------------------------------------------


def port_rules(port: ServicePort, options: Options) -> PortRules:
    """Everything that is there because of this port."""
    result = PortRules()
    if port.health_port:
        note = _comment(f"{port.full_name} health check node port")
        result.health_filter.append(f"-p tcp {note} -m tcp --dport {port.health_port} -j ACCEPT")
    if port.has_endpoints:
        _add_chains(result, port, options)
    _add_cluster_ip(result, port, options)
    _add_external(result, port, options)
    return result


def _match(destination: str, port: ServicePort, note: str, number: int) -> str:
    """To an address and a port of it, as iptables-save orders the words."""
    return f"{destination} -p {port.protocol} {note} -m {port.protocol} --dport {number}"


def _verdict(port: ServicePort, options: Options) -> tuple[str, str]:
    """What becomes of traffic for which there is no endpoint: (comment, target).

    Refused at once where there is none at all; silence where there are some elsewhere, as if the node were not there.
    """
    if port.has_endpoints:
        return _comment(f"{port.full_name} has no local endpoints"), "DROP"
    kind = "icmp6-port-unreachable" if options.family == "IPv6" else "icmp-port-unreachable"
    return _comment(f"{port.full_name} has no endpoints"), f"REJECT --reject-with {kind}"


def _internal_chain(port: ServicePort) -> str:
    return chain_name("KUBE-SVL" if port.internal_local else "KUBE-SVC", port)


def _add_cluster_ip(result: PortRules, port: ServicePort, options: Options) -> None:
    destination = f"-d {options.host(port.cluster_ip)}"
    if port.internal_endpoints:
        note = _comment(f"{port.full_name} cluster IP")
        result.services.append(f"{_match(destination, port, note, port.port)} -j {_internal_chain(port)}")
    else:
        note, target = _verdict(port, options)
        result.internal_filter.append(f"{_match(destination, port, note, port.port)} -j {target}")


def _add_external(result: PortRules, port: ServicePort, options: Options) -> None:
    """External addresses, load balancers' addresses and the node port, all of which lead to KUBE-EXT."""
    external = chain_name("KUBE-EXT", port)
    balancer = chain_name("KUBE-FW", port) if port.source_ranges else external
    ways = [
        *((address, "external IP", external) for address in port.external_ips),
        *((address, "loadbalancer IP", balancer) for address in port.ingress_ips),
    ]
    refusal, verdict = _verdict(port, options)
    for address, kind, chain in ways:
        destination = f"-d {options.host(address)}"
        if port.has_endpoints:
            note = _comment(f"{port.full_name} {kind}")
            result.services.append(f"{_match(destination, port, note, port.port)} -j {chain}")
            if chain != external:
                note = _comment(f"{port.full_name} traffic not accepted by {chain}")
                result.source_filter.append(f"{_match(destination, port, note, port.port)} -j DROP")
        if not port.external_endpoints:
            result.external_filter.append(f"{_match(destination, port, refusal, port.port)} -j {verdict}")
    if not port.node_port:
        return
    protocol = port.protocol
    if port.has_endpoints:
        note = _comment(port.full_name)
        result.node_ports.append(f"-p {protocol} {note} -m {protocol} --dport {port.node_port} -j {external}")
    if not port.external_endpoints:
        local = "-m addrtype --dst-type LOCAL"
        result.external_filter.append(
            f"-p {protocol} {refusal} {local} -m {protocol} --dport {port.node_port} -j {verdict}"
        )


def _add_chains(result: PortRules, port: ServicePort, options: Options) -> None:
    """The chains of a port that has endpoints somewhere."""
    chains = result.chains
    if port.endpoints and port.uses_cluster_endpoints:
        chains[chain_name("KUBE-SVC", port)] = _balance(port, port.endpoints, options)
    if port.local_endpoints and port.uses_local_endpoints:
        chains[chain_name("KUBE-SVL", port)] = _balance(port, port.local_endpoints, options)
    if port.internal_endpoints:
        internal = _internal_chain(port)
        chains[internal] = [*_masquerade(port, options), *chains[internal]]
    if port.externally_accessible:
        chains[chain_name("KUBE-EXT", port)] = _external_rules(port, options)
        if port.ingress_ips and port.source_ranges:
            chains[chain_name("KUBE-FW", port)] = _source_rules(port, options)
    for endpoint in port.all_endpoints:
        chains[endpoint_chain(port, endpoint)] = _endpoint_rules(port, endpoint, options)


def _masquerade(port: ServicePort, options: Options) -> list[str]:
    """To the cluster IP from outside the pods' network: the answer must come back this way."""
    destination, note = f"-d {options.host(port.cluster_ip)}", _comment(f"{port.full_name} cluster IP")
    if options.masquerade_all:
        return [f"{_match(destination, port, note, port.port)} -j {MARK_MASQ}"]
    if options.detects_local:
        return [f"{_match(options.not_from_pods(destination), port, note, port.port)} -j {MARK_MASQ}"]
    return []


def _external_rules(port: ServicePort, options: Options) -> list[str]:
    """KUBE-EXT: who came from outside. With externalTrafficPolicy Local he keeps his address and stays on this node."""
    about = f"{port.full_name} external destinations"
    cluster = chain_name("KUBE-SVC", port)
    if not port.local_only:
        return [f"{_comment(f'masquerade traffic for {about}')} -j {MARK_MASQ}", f"-j {cluster}"]
    rules = []
    if options.detects_local:
        # As if a pod's traffic had gone out to the balancer and come back: no policy holds for it.
        rules.append(f"{options.from_pods} {_comment(f'pod traffic for {about}')} -j {cluster}")
    local = "-m addrtype --src-type LOCAL"
    # This node itself has the balancer's address, so that it would be the source.
    rules.append(f"{_comment(f'masquerade LOCAL traffic for {about}')} {local} -j {MARK_MASQ}")
    rules.append(f"{_comment(f'route LOCAL traffic for {about}')} {local} -j {cluster}")
    if port.local_endpoints:
        rules.append(f"-j {chain_name('KUBE-SVL', port)}")
    return rules


def _source_rules(port: ServicePort, options: Options) -> list[str]:
    """KUBE-FW: what comes to its end untranslated is dropped in the table filter."""
    note, external = _comment(f"{port.full_name} loadbalancer IP"), chain_name("KUBE-EXT", port)
    rules = [f"-s {source} {note} -j {external}" for source in port.source_ranges]
    if options.node_ip and any(_contains(source, options.node_ip) for source in port.source_ranges):
        # From a node that has the balancer's address it comes with that address as its source.
        rules += [f"-s {options.host(address)} {note} -j {external}" for address in port.ingress_ips]
    dropped = f"other traffic to {port.full_name} will be dropped by {PROXY_FIREWALL}"
    return [*rules, _comment(dropped)]


def _contains(network: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)


def _recent(chain: str, options: Options) -> str:
    mask = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" if options.family == "IPv6" else "255.255.255.255"
    return f"--name {chain} --mask {mask} --rsource"


def _balance(port: ServicePort, endpoints: Sequence[Endpoint], options: Options) -> list[str]:
    """KUBE-SVC, KUBE-SVL: whoever was sent to an endpoint lately goes there again; else all are equally likely."""
    targets = [
        (options.endpoint_comment(f"{port.full_name} -> {endpoint}"), endpoint_chain(port, endpoint))
        for endpoint in endpoints
    ]
    rules = []
    if port.affinity_seconds:
        seconds = f"--seconds {port.affinity_seconds} --reap"
        rules = [f"{note}-m recent --rcheck {seconds} {_recent(chain, options)} -j {chain}" for note, chain in targets]
    rules += [f"{note}{_chance(len(targets) - n)}-j {chain}" for n, (note, chain) in enumerate(targets)]
    return rules


@functools.lru_cache(maxsize=4096)
def _chance(left: int) -> str:
    """One of so many; as iptables-save prints the kernel's 31 bits."""
    if left == 1:
        return ""
    stored = round(float(f"{1 / left:.10f}") * 0x80000000)
    return f"-m statistic --mode random --probability {stored / 0x80000000:.11f} "


def _endpoint_rules(port: ServicePort, endpoint: Endpoint, options: Options) -> list[str]:
    note, protocol = options.endpoint_comment(port.full_name), port.protocol
    chain = endpoint_chain(port, endpoint)
    recent = f"-m recent --set {_recent(chain, options)} " if port.affinity_seconds else ""
    return [
        f"-s {options.host(endpoint.ip)} {note}-j {MARK_MASQ}",  # a pod that reaches itself through its service
        f"-p {protocol} {note}{recent}-m {protocol} -j DNAT --to-destination {endpoint}",
    ]


def count_endpoints(ports: Iterable[ServicePort]) -> int:
    """What makes a cluster a large one."""
    return sum(len(port.all_endpoints) for port in ports)
