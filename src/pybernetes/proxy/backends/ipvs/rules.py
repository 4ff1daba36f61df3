"""What a Service port wants of IPVS, ipset, the interface kube-ipvs0 and iptables (upstream: pkg/proxy/ipvs/proxier.go).

Packets to a service's address end on this host, since kube-ipvs0 has it; in INPUT the kernel's IPVS sends them on to a real server. So
iptables has the same few rules whatever services there are: they mark what has to be masqueraded, by sets of addresses and ports, and
refuse what is no service of an address of kube-ipvs0:

    OUTPUT, PREROUTING (nat) -> KUBE-SERVICES -+-> KUBE-LOAD-BALANCER -+-> KUBE-MARK-MASQ    POSTROUTING -> KUBE-POSTROUTING
                                               +-> KUBE-NODE-PORT     -+
    INPUT (filter) -> KUBE-IPVS-FILTER; INPUT, FORWARD -> KUBE-PROXY-FIREWALL -> KUBE-SOURCE-RANGES-FIREWALL; OUTPUT -> KUBE-IPVS-OUT-FILTER

All of it is pure. `ruleset` puts ports together.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from pybernetes.net.ipvsmessages import MH_PORT, PERSISTENT, RealServer, Service, VirtualServer

from ... import backends
from ...model import Endpoint, ServicePort
from . import sets
from .sets import SETS, Entry, canonical, kernel_name, place

Chains = dict[str, list[str]]
Jump = tuple[str, str, str]  # table, built-in chain, rule

SERVICES, POSTROUTING, MARK_MASQ = "KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"
NODE_PORT, LOAD_BALANCER = "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER"
FORWARD, PROXY_FIREWALL, SOURCE_RANGES = "KUBE-FORWARD", "KUBE-PROXY-FIREWALL", "KUBE-SOURCE-RANGES-FIREWALL"
IPVS_FILTER, IPVS_OUT_FILTER = "KUBE-IPVS-FILTER", "KUBE-IPVS-OUT-FILTER"


def _comment(text: str) -> str:
    return f'-m comment --comment "{text}"'


JUMPS: tuple[Jump, ...] = (
    ("nat", "OUTPUT", f"{_comment('kubernetes service portals')} -j {SERVICES}"),
    ("nat", "PREROUTING", f"{_comment('kubernetes service portals')} -j {SERVICES}"),
    ("nat", "POSTROUTING", f"{_comment('kubernetes postrouting rules')} -j {POSTROUTING}"),
    ("filter", "FORWARD", f"{_comment('kubernetes forwarding rules')} -j {FORWARD}"),
    ("filter", "INPUT", f"{_comment('kubernetes ipvs access filter')} -j {IPVS_FILTER}"),
    ("filter", "INPUT", f"{_comment('kube-proxy firewall rules')} -j {PROXY_FIREWALL}"),
    ("filter", "INPUT", f"{_comment('kubernetes health check rules')} -j {NODE_PORT}"),
    ("filter", "FORWARD", f"{_comment('kube-proxy firewall rules')} -j {PROXY_FIREWALL}"),
    ("filter", "OUTPUT", f"{_comment('kubernetes ipvs access filter')} -j {IPVS_OUT_FILTER}"),
)


@dataclass(frozen=True, slots=True)
class Options(backends.Options):
    """What shapes the desired state: the flags, the family, and this machine."""

    family: str = "IPv4"
    random_fully: bool = True
    node_addresses: tuple[str, ...] = ()  # of all interfaces but kube-ipvs0

    @property
    def node_port_places(self) -> Sequence[str]:
        """Where node ports answer."""
        if self.node_port_addresses is None:
            return self.node_addresses
        return [address for address in self.node_addresses if address in self.node_port_addresses]

    def excludes(self, address: str) -> bool:
        """Whether virtual servers of the address are not removed, whoever made them."""
        parsed = ipaddress.ip_address(address)
        return any(parsed in ipaddress.ip_network(cidr, strict=False) for cidr in self.ipvs.exclude_cidrs)


@dataclass(frozen=True, slots=True)
class Serving:
    """How a virtual server is to serve, and by whom."""

    service: Service
    real: frozenset[RealServer]


@dataclass(slots=True)
class PortObjects:
    """What one Service port wants in the kernel."""

    servers: dict[VirtualServer, Serving] = field(default_factory=dict)
    addresses: set[str] = field(default_factory=set)  # of kube-ipvs0
    entries: set[Entry] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)  # rules of KUBE-IPVS-OUT-FILTER


def port_objects(port: ServicePort, options: Options) -> PortObjects:
    """Of a port; a Local policy that no endpoint here can keep is left to those elsewhere for external addresses only, as upstream."""
    objects, service = PortObjects(), _service(port, options)
    objects.entries.update(
        Entry(sets.LOOP_BACK, f"{place(e.ip, port.protocol, e.port)},{canonical(e.ip)}")
        for e in (*port.all_endpoints, *port.local_endpoints)
        if e.local
    )
    _serve(objects, port, port.cluster_ip, service, port.internal_endpoints, bound=True)
    objects.entries.add(Entry(sets.CLUSTER_IP, place(port.cluster_ip, port.protocol, port.port)))
    # Pods and this node may reach it all the same; who comes from outside gets no answer that he would take.
    external = port.external_endpoints or port.endpoints
    for address in port.external_ips:
        _serve(objects, port, address, service, external, bound=address not in options.node_addresses)
        kind = sets.EXTERNAL_IP_LOCAL if port.local_only else sets.EXTERNAL_IP
        objects.entries.add(Entry(kind, place(address, port.protocol, port.port)))
    for address in port.ingress_ips:
        _serve(objects, port, address, service, external, bound=address not in options.node_addresses)
        _balancer(objects, port, address, options)
    if port.node_port:
        _node_port(objects, port, service, external, options)
    if port.health_port:
        objects.entries.add(Entry(sets.HEALTH_CHECK, str(port.health_port)))
    return objects


def _service(port: ServicePort, options: Options) -> Service:
    scheduler = options.ipvs.scheduler
    flags = PERSISTENT if port.affinity_seconds else 0
    if scheduler == "mh":
        flags |= MH_PORT  # upstream's: by the port, too
    return Service(scheduler, flags, port.affinity_seconds)


def _serve(
    objects: PortObjects, port: ServicePort, address: str, service: Service, to: Iterable[Endpoint], *, bound: bool
) -> None:
    server = VirtualServer(canonical(address), port.port, port.protocol)
    objects.servers[server] = Serving(service, _real(to))
    if bound:
        objects.addresses.add(server.address)
        objects.entries.add(Entry(sets.BOUND, server.address))


def _real(endpoints: Iterable[Endpoint]) -> frozenset[RealServer]:
    return frozenset(RealServer(canonical(e.ip), e.port) for e in endpoints)


def _balancer(objects: PortObjects, port: ServicePort, address: str, options: Options) -> None:
    where = place(address, port.protocol, port.port)
    objects.entries.add(Entry(sets.LOAD_BALANCER, where))
    if port.local_only:
        objects.entries.add(Entry(sets.LOAD_BALANCER_LOCAL, where))
    if not port.source_ranges:
        return
    objects.entries.add(Entry(sets.LOAD_BALANCER_FW, where))
    for source in port.source_ranges:
        objects.entries.update(Entry(sets.SOURCE_CIDR, f"{where},{network}") for network in sets.networks(source))
    if options.node_ip and any(_contains(source, options.node_ip) for source in port.source_ranges):
        objects.entries.add(Entry(sets.SOURCE_IP, f"{where},{canonical(address)}"))  # so it comes from this node itself
    else:
        length = 128 if options.family == "IPv6" else 32
        number = {"tcp": 6, "udp": 17, "sctp": 132}[port.protocol]
        vip = canonical(address)
        match = f"-m ipvs --vproto {number} --vaddr {vip} --vport {port.port}"
        objects.denied.add(f"-s {vip}/{length} {match} -j DROP")


def _contains(network: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)


def _node_port(
    objects: PortObjects, port: ServicePort, service: Service, to: Sequence[Endpoint], options: Options
) -> None:
    places = options.node_port_places
    number = str(port.node_port)
    for address in places:
        server = VirtualServer(address, port.node_port, port.protocol)
        objects.servers[server] = Serving(service, _real(to))
    of_sctp = [place(address, port.protocol, port.node_port) for address in places]
    texts = of_sctp if port.protocol == "sctp" else [number] if places else []
    kinds = (sets.NODE_PORTS, sets.NODE_PORTS_LOCAL) if port.local_only else (sets.NODE_PORTS,)
    objects.entries.update(Entry(kind[port.protocol], text) for kind in kinds for text in texts)


# --- iptables -------------------------------------------------------------------------------------


# (set, table, chain, target, how the set is asked, protocol): written where the set has entries, in this order.
_BY_SET: tuple[tuple[str, str, str, str, str, str], ...] = (
    (sets.LOOP_BACK, "nat", POSTROUTING, "MASQUERADE", "dst,dst,src", ""),
    (sets.LOAD_BALANCER, "nat", SERVICES, LOAD_BALANCER, "dst,dst", ""),
    (sets.LOAD_BALANCER_LOCAL, "nat", LOAD_BALANCER, "RETURN", "dst,dst", ""),
    (sets.NODE_PORTS_LOCAL["tcp"], "nat", NODE_PORT, "RETURN", "dst", "tcp"),
    (sets.NODE_PORTS["tcp"], "nat", NODE_PORT, MARK_MASQ, "dst", "tcp"),
    (sets.NODE_PORTS_LOCAL["udp"], "nat", NODE_PORT, "RETURN", "dst", "udp"),
    (sets.NODE_PORTS["udp"], "nat", NODE_PORT, MARK_MASQ, "dst", "udp"),
    (sets.NODE_PORTS_LOCAL["sctp"], "nat", NODE_PORT, "RETURN", "dst,dst", "sctp"),
    (sets.NODE_PORTS["sctp"], "nat", NODE_PORT, MARK_MASQ, "dst,dst", "sctp"),
    (sets.LOAD_BALANCER_FW, "filter", PROXY_FIREWALL, SOURCE_RANGES, "dst,dst", ""),
    (sets.SOURCE_CIDR, "filter", SOURCE_RANGES, "RETURN", "dst,dst,src", ""),
    (sets.SOURCE_IP, "filter", SOURCE_RANGES, "RETURN", "dst,dst,src", ""),
)


def chains(options: Options, filled: Collection[str], denied: Iterable[str]) -> dict[str, Chains]:
    """Own chains of each table, in the form that iptables-save prints; `filled` are the sets that have entries."""
    nat: Chains = {SERVICES: [], POSTROUTING: [], NODE_PORT: [], LOAD_BALANCER: [], MARK_MASQ: []}
    filters: Chains = {chain: [] for chain in (FORWARD, NODE_PORT, PROXY_FIREWALL, SOURCE_RANGES)}
    nat[SERVICES].append(f"-s {'::1/128' if options.family == 'IPv6' else '127.0.0.0/8'} -j RETURN")
    for name, table, chain, target, how, protocol in _BY_SET:
        if name in filled:
            match = f"-p {protocol} " if protocol else ""
            rules = (nat if table == "nat" else filters)[chain]
            rules.append(f"{match}{_asked(name, how, options)} -j {target}")
    nat[SERVICES] += [*_cluster_ips(options, filled), *_external_ips(options, filled)]
    nat[SERVICES].append(f"-m addrtype --dst-type LOCAL -j {NODE_PORT}")
    # Whatever other rules follow, what goes to a virtual server is let through.
    nat[SERVICES] += [
        f"{_match(name, 'dst,dst', options)} -j ACCEPT"
        for name in (sets.CLUSTER_IP, sets.LOAD_BALANCER)
        if name in filled
    ]
    nat[LOAD_BALANCER].append(f"-j {MARK_MASQ}")
    mark = f"{1 << options.masquerade_bit:#x}"
    masquerade = "-j MASQUERADE --random-fully" if options.random_fully else "-j MASQUERADE"
    nat[POSTROUTING] += [
        f"-m mark ! --mark {mark}/{mark} -j RETURN",
        f"-j MARK --set-xmark {mark}/0x0",  # else it is masqueraded again when it comes through the stack anew
        f"{_comment('kubernetes service traffic requiring SNAT')} {masquerade}",
    ]
    nat[MARK_MASQ].append(f"-j MARK --set-xmark {mark}/{mark}")
    filters[SOURCE_RANGES].append("-j DROP")
    filters[FORWARD] = [
        f"{_comment('kubernetes forwarding rules')} -m mark --mark {mark}/{mark} -j ACCEPT",
        f"{_comment('kubernetes forwarding conntrack rule')} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ]
    filters[NODE_PORT].append(f"{_asked(sets.HEALTH_CHECK, 'dst', options)} -j ACCEPT")
    filters[IPVS_FILTER] = list(_access(options))
    filters[IPVS_OUT_FILTER] = sorted(denied)
    return {"nat": nat, "filter": filters}


def _match(name: str, how: str, options: Options) -> str:
    return f"-m set --match-set {kernel_name(name, options.family)} {how}"


def _asked(name: str, how: str, options: Options) -> str:
    quoted = SETS[name].comment.replace("'", "\\'")  # as iptables-save prints it
    return f"{_comment(quoted)} {_match(name, how, options)}"


def _cluster_ips(options: Options, filled: Collection[str]) -> list[str]:
    """Which traffic to cluster IPs is masqueraded."""
    if sets.CLUSTER_IP not in filled:
        return []
    to = _asked(sets.CLUSTER_IP, "dst,dst", options)
    if options.masquerade_all:
        return [f"{to} -j {MARK_MASQ}"]
    if options.pod_interface:
        return [f"! -i {options.pod_interface} {to} -j {MARK_MASQ}"]
    if options.cluster_cidr:
        return [f"! -s {options.cluster_cidr} {to} -j {MARK_MASQ}"]
    # This node has the address, so that it would be the source of what comes from the node itself.
    return [f"{_asked(sets.CLUSTER_IP, 'src,dst', options)} -j {MARK_MASQ}"]


def _external_ips(options: Options, filled: Collection[str]) -> list[str]:
    rules = []
    for name in (sets.EXTERNAL_IP, sets.EXTERNAL_IP_LOCAL):
        if name in filled:
            to = _asked(name, "dst,dst", options)
            if name == sets.EXTERNAL_IP:
                rules.append(f"{to} -j {MARK_MASQ}")
            rules.append(f"{to} -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT")
            rules.append(f"{to} -m addrtype --dst-type LOCAL -j ACCEPT")
    return rules


def _access(options: Options) -> Iterable[str]:
    """Ports of this host that are no service's do not answer on the addresses of kube-ipvs0."""
    for name in (sets.LOAD_BALANCER, sets.CLUSTER_IP, sets.EXTERNAL_IP, sets.EXTERNAL_IP_LOCAL):
        yield f"{_match(name, 'dst,dst', options)} -j RETURN"
    yield f"{_match(sets.HEALTH_CHECK, 'dst', options)} -j RETURN"
    refusal = "icmp6-port-unreachable" if options.family == "IPv6" else "icmp-port-unreachable"
    bound = _match(sets.BOUND, "dst", options)
    yield f"-m conntrack --ctstate NEW {bound} -j REJECT --reject-with {refusal}"
