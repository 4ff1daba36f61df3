"""What a Service port wants in the table kube-proxy, in the form that nft prints (upstream: pkg/proxy/nftables/proxier.go).

Names of chains, maps and sets, and the comments, are upstream's:

    nat-prerouting, nat-output -> services -+- @service-ips (address . protocol . port) -> service-*   endpoints anywhere ("Cluster")
                                            |                                              local-*     those on this node ("Local")
                                            |                                              external-*  what came to any other address
                                            +- @service-nodeports (protocol . port)     -> external-*      -> endpoint-*  one: DNAT
    filter-*-pre-dnat -> firewall-check - @firewall-ips -> firewall-*   what is from none of a balancer's source ranges is dropped
    filter-input, -forward, -output -> service-endpoints-check, nodeport-endpoints-check: nobody to send to: reject, or drop
                                    -> cluster-ips-check: all else to a cluster IP (another port, a ping) is rejected

One look-up finds a service whatever their number; a change of one touches its own chains and elements only.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ... import backends
from ...model import Endpoint, ServicePort

TABLE = "kube-proxy"
SERVICES, MASQUERADING, MARK_MASQ, REJECT = "services", "masquerading", "mark-for-masquerade", "reject-chain"
SERVICE_CHECK, NODE_PORT_CHECK = "service-endpoints-check", "nodeport-endpoints-check"
CLUSTER_IPS_CHECK, FIREWALL_CHECK = "cluster-ips-check", "firewall-check"
SERVICE_IPS, NODE_PORTS, FIREWALL_IPS = "service-ips", "service-nodeports", "firewall-ips"
NO_ENDPOINT_SERVICES, NO_ENDPOINT_NODE_PORTS = "no-endpoint-services", "no-endpoint-nodeports"
CLUSTER_IPS, NODE_PORT_IPS = "cluster-ips", "nodeport-ips"
# The prefix of sets of clients; whatever belongs to a port has a slash in its name, nothing else has.
AFFINITY = "affinity-"
LONGEST_NAME = 240  # the kernel's 256 less the longest prefix


@dataclass(frozen=True, slots=True)
class Options(backends.Options):
    """What shapes rules: the flags and the family."""

    family: str = "IPv4"

    @property
    def ip(self) -> str:
        """The family as nft calls it, in front of saddr and daddr, too."""
        return "ip6" if self.family == "IPv6" else "ip"

    @property
    def address_type(self) -> str:
        return "ipv6_addr" if self.family == "IPv6" else "ipv4_addr"

    @property
    def loopback(self) -> str:
        return "::1" if self.family == "IPv6" else "127.0.0.0/8"

    @property
    def detects_local(self) -> bool:
        """Whether pods' traffic can be told from other traffic."""
        return bool(self.cluster_cidr or self.pod_interface)

    def from_pods(self, equals: str = "") -> str:
        """The match on pods' traffic; with "!= " on all other."""
        if self.pod_interface:
            return f'iifname {equals}"{self.pod_interface.replace("+", "*")}"'
        return f"{self.ip} saddr {equals}{self.cluster_cidr}"


class Key(NamedTuple):
    """An element's place: the set or map that holds it, and its own key there."""

    container: str
    key: str


class Value(NamedTuple):
    """What a map says of a key; in a set both are empty."""

    verdict: str = ""
    comment: str = ""


@dataclass(slots=True)
class PortObjects:
    """All that is there because of one Service port."""

    elements: dict[Key, Value] = field(default_factory=dict)
    chains: dict[str, list[str]] = field(default_factory=dict)
    affinity: dict[str, int] = field(default_factory=dict)  # set -> seconds for which a client stays


# --- what no service has a part in ----------------------------------------------------------------

# Filters come before the translation where they judge the address that the client meant, behind it where they judge what was left over.
BASE_CHAINS = {
    "filter-prerouting-pre-dnat": "type filter hook prerouting priority -110",
    "filter-output-pre-dnat": "type filter hook output priority -110",
    "filter-forward": "type filter hook forward priority 0",
    "filter-input": "type filter hook input priority 0",
    "filter-output": "type filter hook output priority 0",
    "nat-prerouting": "type nat hook prerouting priority -100",
    "nat-output": "type nat hook output priority -100",
    "nat-postrouting": "type nat hook postrouting priority 100",
}
REJECT_COMMENT = "helper for @no-endpoint-services / @no-endpoint-nodeports"


def containers(options: Options) -> dict[str, str]:
    """The declaration of each map and set that ports share."""
    by_address = f"{options.address_type} . inet_proto . inet_service : verdict"
    by_port = "inet_proto . inet_service : verdict"
    kinds = {
        CLUSTER_IPS: ("set", options.address_type, "Active ClusterIPs"),
        NODE_PORT_IPS: ("set", options.address_type, "IPs that accept NodePort traffic"),
        FIREWALL_IPS: ("map", by_address, "destinations that are subject to LoadBalancerSourceRanges"),
        NO_ENDPOINT_NODE_PORTS: (
            "map",
            by_port,
            "vmap to drop or reject packets to service nodeports with no endpoints",
        ),
        NO_ENDPOINT_SERVICES: ("map", by_address, "vmap to drop or reject packets to services with no endpoints"),
        SERVICE_IPS: ("map", by_address, "ClusterIP, ExternalIP and LoadBalancer IP traffic"),
        NODE_PORTS: ("map", by_port, "NodePort traffic"),
    }
    return {
        name: f'{kind} {options.ip} {TABLE} {name} {{ type {of} ; comment "{comment}" ; }}'
        for name, (kind, of, comment) in kinds.items()
    }


def fixed_chains(options: Options) -> dict[str, list[str]]:
    """The rules of the chains that all ports share."""
    ip, new = options.ip, "ct state new jump"
    mark = f"0x{1 << options.masquerade_bit:08x}"
    service = f"{ip} daddr . meta l4proto . th dport vmap"
    if options.node_port_addresses is None:
        outside = f"{ip} daddr != {options.loopback} meta l4proto . th dport vmap"
        dispatched, checked = f"fib daddr type local {outside}", outside
    else:
        dispatched = checked = f"{ip} daddr @{NODE_PORT_IPS} meta l4proto . th dport vmap"
    unallocated = _set(options.service_cidrs)
    return {
        "filter-prerouting-pre-dnat": [f"{new} {FIREWALL_CHECK}"],
        "filter-output-pre-dnat": [f"{new} {FIREWALL_CHECK}"],
        "filter-forward": [f"{new} {SERVICE_CHECK}", f"{new} {CLUSTER_IPS_CHECK}"],
        "filter-input": [f"{new} {NODE_PORT_CHECK}", f"{new} {SERVICE_CHECK}"],
        "filter-output": [f"{new} {SERVICE_CHECK}", f"{new} {CLUSTER_IPS_CHECK}"],
        "nat-prerouting": [f"jump {SERVICES}"],
        "nat-output": [f"jump {SERVICES}"],
        "nat-postrouting": [f"jump {MASQUERADING}"],
        SERVICES: [f"{service} @{SERVICE_IPS}", f"{dispatched} @{NODE_PORTS}"],
        SERVICE_CHECK: [f"{service} @{NO_ENDPOINT_SERVICES}"],
        NODE_PORT_CHECK: [f"{checked} @{NO_ENDPOINT_NODE_PORTS}"],
        FIREWALL_CHECK: [f"{service} @{FIREWALL_IPS}"],
        CLUSTER_IPS_CHECK: [
            f'{ip} daddr @{CLUSTER_IPS} reject comment "Reject traffic to invalid ports of ClusterIPs"',
            *(
                [f'{ip} daddr {unallocated} drop comment "Drop traffic to unallocated ClusterIPs"']
                if unallocated
                else []
            ),
        ],
        REJECT: ["reject"],
        MARK_MASQ: [f"meta mark set meta mark | {mark}"],
        MASQUERADING: [
            f"meta mark & {mark} == 0x00000000 return",
            f"meta mark set meta mark ^ {mark}",  # else it is masqueraded again when it comes through the stack anew
            "masquerade fully-random",
        ],
    }


def fixed_elements(options: Options) -> dict[Key, Value]:
    """The node's addresses for node ports; on 127.0.0.1 they do not work in this mode (upstream neither)."""
    addresses = options.node_port_addresses or ()
    return {Key(NODE_PORT_IPS, a): Value() for a in addresses if not ipaddress.ip_address(a).is_loopback}


# --- what one port wants --------------------------------------------------------------------------


def port_objects(port: ServicePort, options: Options) -> PortObjects:
    """Chains, elements and sets of one port."""
    result = PortObjects()
    if port.has_endpoints:
        _add_chains(result, port, options)
    _add_elements(result, port)
    if port.ingress_ips and port.source_ranges:
        chain = chain_name("firewall", port)
        result.chains[chain] = _source_rules(port, options)
        for address in port.ingress_ips:
            result.elements[_to(FIREWALL_IPS, port, address)] = Value(f"goto {chain}")
    return result


def chain_name(prefix: str, port: ServicePort) -> str:
    """service-..., local-..., external-..., firewall-... of a service port."""
    return f"{prefix}-{_hashed(_path(port))}"


def endpoint_name(port: ServicePort, endpoint: Endpoint) -> str:
    """What stands behind endpoint- and affinity- for one endpoint. No colon may be in it."""
    return _hashed(f"{_path(port)}__{endpoint.ip.replace(':', '.')}/{endpoint.port}")


def _path(port: ServicePort) -> str:
    return f"{port.namespace}/{port.service}/{port.protocol}/{port.name}"


@functools.lru_cache(maxsize=1 << 12)
def _hashed(name: str) -> str:
    """A hash in front tells long names apart that are cut, and those apart that look alike."""
    digest = base64.b32encode(hashlib.sha256(name.encode()).digest()[:5]).decode()
    whole = f"{digest}-{name}"
    return whole if len(whole) <= LONGEST_NAME else f"{whole[: LONGEST_NAME - 3]}..."


def _to(container: str, port: ServicePort, address: str) -> Key:
    return Key(container, f"{address} . {port.protocol} . {port.port}")


def _add_elements(result: PortObjects, port: ServicePort) -> None:
    """How packets find the port's chains, or that there is nobody to send them to."""
    elements, name = result.elements, f"{port.namespace}/{port.service}" + (f":{port.name}" if port.name else "")
    # Rejected at once where there is no endpoint at all; silence where there are some elsewhere, as if the node were not there.
    nobody = Value("drop" if port.has_endpoints else f"goto {REJECT}", name)
    elements[Key(CLUSTER_IPS, port.cluster_ip)] = Value()
    if port.internal_endpoints:
        elements[_to(SERVICE_IPS, port, port.cluster_ip)] = Value(f"goto {_internal_chain(port)}")
    else:
        elements[_to(NO_ENDPOINT_SERVICES, port, port.cluster_ip)] = nobody
    external = Value(f"goto {chain_name('external', port)}")
    for address in (*port.external_ips, *port.ingress_ips):
        if port.has_endpoints:
            elements[_to(SERVICE_IPS, port, address)] = external
        if not port.external_endpoints:
            elements[_to(NO_ENDPOINT_SERVICES, port, address)] = nobody
    if port.node_port:
        key = f"{port.protocol} . {port.node_port}"
        if port.has_endpoints:
            elements[Key(NODE_PORTS, key)] = external
        if not port.external_endpoints:
            elements[Key(NO_ENDPOINT_NODE_PORTS, key)] = nobody


def _internal_chain(port: ServicePort) -> str:
    return chain_name("local" if port.internal_local else "service", port)


def _add_chains(result: PortObjects, port: ServicePort, options: Options) -> None:
    """The chains of a port that has endpoints somewhere."""
    chains = result.chains
    if port.endpoints and port.uses_cluster_endpoints:
        chains[chain_name("service", port)] = _balance(port, port.endpoints, options)
    if port.local_endpoints and port.uses_local_endpoints:
        chains[chain_name("local", port)] = _balance(port, port.local_endpoints, options)
    if port.internal_endpoints:
        internal = _internal_chain(port)
        chains[internal] = [*_masquerade(port, options), *chains[internal]]
    if port.externally_accessible:
        chains[chain_name("external", port)] = _external_rules(port, options)
    for endpoint in port.all_endpoints:
        name = endpoint_name(port, endpoint)
        chains[f"endpoint-{name}"] = _endpoint_rules(port, endpoint, name, options)
        if port.affinity_seconds:
            result.affinity[f"{AFFINITY}{name}"] = port.affinity_seconds


def _masquerade(port: ServicePort, options: Options) -> list[str]:
    """To the cluster IP from outside the pods' network: the answer must come back this way."""
    to_service = f"{options.ip} daddr {port.cluster_ip}"
    if options.masquerade_all:
        return [f"{to_service} jump {MARK_MASQ}"]
    if options.detects_local:
        return [f"{to_service} {options.from_pods('!= ')} jump {MARK_MASQ}"]
    return []


def _external_rules(port: ServicePort, options: Options) -> list[str]:
    """Who came from outside. With externalTrafficPolicy Local he keeps his address and stays on this node."""
    cluster = chain_name("service", port)
    if not port.local_only:
        return [f"jump {MARK_MASQ}", f"goto {cluster}"]
    rules = []
    if options.detects_local:
        # As if a pod's traffic had gone out to the balancer and come back: no policy holds for it.
        rules.append(f'{options.from_pods()} goto {cluster} comment "short-circuit pod traffic"')
    # This node itself has the balancer's address, so that it would be the source.
    rules.append(f'fib saddr type local jump {MARK_MASQ} comment "masquerade local traffic"')
    rules.append(f'fib saddr type local goto {cluster} comment "short-circuit local traffic"')
    if port.local_endpoints:
        rules.append(f"goto {chain_name('local', port)}")
    return rules


def _source_rules(port: ServicePort, options: Options) -> list[str]:
    sources = list(port.source_ranges)
    if options.node_ip and any(_contains(source, options.node_ip) for source in sources):
        # From a node that has the balancer's address it comes with that address as its source.
        sources += port.ingress_ips
    allowed = _set(sources)
    # A set of everything cannot be written as what something is not in.
    return [f"{options.ip} saddr != {allowed} drop"] if not allowed.endswith("/0") else []


def _contains(network: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)


def _set(networks: Iterable[str]) -> str:
    """As nft prints an anonymous set of one family: in order, one alone without braces. "" for none."""
    parsed = [ipaddress.ip_network(text, strict=False) for text in networks]
    merged = ipaddress.collapse_addresses(parsed)  # type: ignore[type-var]  # all of one family
    words = [str(n.network_address) if n.prefixlen == n.max_prefixlen else str(n) for n in merged]
    return words[0] if len(words) == 1 else f"{{ {', '.join(words)} }}" if words else ""


def _balance(port: ServicePort, endpoints: Sequence[Endpoint], options: Options) -> list[str]:
    """Whoever was sent to an endpoint lately goes there again; else all are equally likely."""
    names = [endpoint_name(port, endpoint) for endpoint in endpoints]
    rules = []
    if port.affinity_seconds:
        rules = [f"{options.ip} saddr @{AFFINITY}{name} goto endpoint-{name}" for name in names]
    ways = ", ".join(f"{number} : goto endpoint-{name}" for number, name in enumerate(names))
    return [*rules, f"numgen random mod {len(names)} vmap {{ {ways} }}"]


def _endpoint_rules(port: ServicePort, endpoint: Endpoint, name: str, options: Options) -> list[str]:
    affinity = [f"update @{AFFINITY}{name} {{ {options.ip} saddr }}"] if port.affinity_seconds else []
    return [
        f"{options.ip} saddr {endpoint.ip} jump {MARK_MASQ}",  # a pod that reaches itself through its service
        *affinity,
        f"meta l4proto {port.protocol} dnat to {endpoint}",
    ]
