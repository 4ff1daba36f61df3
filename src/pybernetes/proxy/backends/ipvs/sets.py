"""The ipsets of the mode, by the names of their IPv4 ones (upstream: pkg/proxy/ipvs/ipset.go). Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

LOOP_BACK, CLUSTER_IP = "KUBE-LOOP-BACK", "KUBE-CLUSTER-IP"
EXTERNAL_IP, EXTERNAL_IP_LOCAL = "KUBE-EXTERNAL-IP", "KUBE-EXTERNAL-IP-LOCAL"
LOAD_BALANCER, LOAD_BALANCER_LOCAL = "KUBE-LOAD-BALANCER", "KUBE-LOAD-BALANCER-LOCAL"
LOAD_BALANCER_FW = "KUBE-LOAD-BALANCER-FW"
SOURCE_IP, SOURCE_CIDR = "KUBE-LOAD-BALANCER-SOURCE-IP", "KUBE-LOAD-BALANCER-SOURCE-CIDR"
HEALTH_CHECK, BOUND = "KUBE-HEALTH-CHECK-NODE-PORT", "KUBE-IPVS-IPS"
NODE_PORTS = {"tcp": "KUBE-NODE-PORT-TCP", "udp": "KUBE-NODE-PORT-UDP", "sctp": "KUBE-NODE-PORT-SCTP-HASH"}
NODE_PORTS_LOCAL = {
    "tcp": "KUBE-NODE-PORT-LOCAL-TCP",
    "udp": "KUBE-NODE-PORT-LOCAL-UDP",
    "sctp": "KUBE-NODE-PORT-LOCAL-SCTP-HASH",
}
LONGEST_NAME = 31  # the kernel's

_ADDRESS, _PORT, _PORT_IP, _PORT_NET = "hash:ip", "hash:ip,port", "hash:ip,port,ip", "hash:ip,port,net"
_BITMAP = "bitmap:port"


@dataclass(frozen=True, slots=True)
class SetKind:
    """What a set holds, and what upstream's rules say of it."""

    type: str
    comment: str

    def declaration(self, family: str) -> str:
        """The rest of ipset's create."""
        if self.type == _BITMAP:
            return f"{self.type} range 0-65535"
        return f"{self.type} family {'inet6' if family == 'IPv6' else 'inet'} hashsize 1024 maxelem 65536"


_LOCAL = "with externalTrafficPolicy=local"
SETS = {
    LOOP_BACK: SetKind(_PORT_IP, "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose"),
    CLUSTER_IP: SetKind(_PORT, "Kubernetes service cluster ip + port for masquerade purpose"),
    EXTERNAL_IP: SetKind(_PORT, "Kubernetes service external ip + port for masquerade and filter purpose"),
    EXTERNAL_IP_LOCAL: SetKind(_PORT, f"Kubernetes service external ip + port {_LOCAL}"),
    LOAD_BALANCER: SetKind(_PORT, "Kubernetes service lb portal"),
    LOAD_BALANCER_FW: SetKind(_PORT, "Kubernetes service load balancer ip + port for load balancer with sourceRange"),
    LOAD_BALANCER_LOCAL: SetKind(_PORT, f"Kubernetes service load balancer ip + port {_LOCAL}"),
    SOURCE_IP: SetKind(_PORT_IP, "Kubernetes service load balancer ip + port + source IP for packet filter purpose"),
    SOURCE_CIDR: SetKind(
        _PORT_NET, "Kubernetes service load balancer ip + port + source cidr for packet filter purpose"
    ),
    NODE_PORTS["tcp"]: SetKind(_BITMAP, "Kubernetes nodeport TCP port for masquerade purpose"),
    NODE_PORTS_LOCAL["tcp"]: SetKind(_BITMAP, f"Kubernetes nodeport TCP port {_LOCAL}"),
    NODE_PORTS["udp"]: SetKind(_BITMAP, "Kubernetes nodeport UDP port for masquerade purpose"),
    NODE_PORTS_LOCAL["udp"]: SetKind(_BITMAP, f"Kubernetes nodeport UDP port {_LOCAL}"),
    # A bitmap of ports does not know SCTP.
    NODE_PORTS["sctp"]: SetKind(_PORT, "Kubernetes nodeport SCTP port for masquerade purpose with type 'hash ip:port'"),
    NODE_PORTS_LOCAL["sctp"]: SetKind(_PORT, f"Kubernetes nodeport SCTP port {_LOCAL} with type 'hash ip:port'"),
    HEALTH_CHECK: SetKind(_BITMAP, "Kubernetes health check node port"),
    BOUND: SetKind(_ADDRESS, "Addresses on the ipvs interface"),
}


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """`text` in the set, as ipset prints it."""

    set: str  # a key of SETS
    text: str


def kernel_name(name: str, family: str) -> str:
    """The sets of IPv6 have the prefix KUBE-6-, and are cut off where the kernel would refuse."""
    return name if family == "IPv4" else f"KUBE-6-{name.removeprefix('KUBE-')}"[:LONGEST_NAME]


def place(address: str, protocol: str, port: int) -> str:
    return f"{canonical(address)},{protocol}:{port}"


def canonical(address: str) -> str:
    """As the kernel's programs print it."""
    return str(ipaddress.ip_address(address)) if ":" in address else address


def networks(cidr: str) -> Sequence[str]:
    """As entries hold them. No set takes the network of everything, so that is two halves; a single address has no length."""
    network = ipaddress.ip_network(cidr, strict=False)
    parts: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]
    parts = list(network.subnets()) if network.prefixlen == 0 else [network]
    return [str(p.network_address) if p.prefixlen == p.max_prefixlen else str(p) for p in parts]


def parse(lines: Iterable[str], family: str) -> dict[str, set[str]]:
    """Our sets of a family and their entries, of what `ipset save` prints."""
    names = {kernel_name(name, family): name for name in SETS}
    held: dict[str, set[str]] = {}
    for line in lines:
        verb, _, rest = line.strip().partition(" ")
        name, _, more = rest.partition(" ")
        if name in names and verb in ("create", "add"):
            entries = held.setdefault(names[name], set())
            if verb == "add":
                entries.add(more)
    return held


def creation(names: Iterable[str], family: str) -> Iterator[str]:
    """Lines of `ipset restore`."""
    return (f"create {kernel_name(name, family)} {SETS[name].declaration(family)}" for name in names)


def changes(verb: str, entries: Iterable[Entry], family: str) -> Iterator[str]:
    """Lines of `ipset restore`; `verb` is add or del. A service is never of source ranges while none of them is there."""
    adds = verb == "add"
    ordered = sorted(entries, key=lambda entry: (entry.set == LOAD_BALANCER_FW) is adds)
    return (f"{verb} {kernel_name(entry.set, family)} {entry.text}" for entry in ordered)
