"""The iptables rules of a node's pods: masquerade, forwarding, host ports (upstream: CNI's bridge and portmap plugins, kubenet)."""

from __future__ import annotations

from collections.abc import Sequence

from .addresses import Lease

POSTROUTING = "PYBERNETES-POSTROUTING"
FORWARD = "PYBERNETES-FORWARD"
HOST_PORTS = "PYBERNETES-HOSTPORTS"
MULTICAST = "224.0.0.0/4"

# (table, built-in chain, rule): what leads into the chains above.
JUMPS = (
    ("nat", "POSTROUTING", f'-m comment --comment "pybernetes pod traffic" -j {POSTROUTING}'),
    ("nat", "PREROUTING", f"-m addrtype --dst-type LOCAL -j {HOST_PORTS}"),
    ("nat", "OUTPUT", f"-m addrtype --dst-type LOCAL -j {HOST_PORTS}"),
    ("filter", "FORWARD", f'-m comment --comment "pybernetes pod traffic" -j {FORWARD}'),
)
CHAINS = (("nat", POSTROUTING), ("nat", HOST_PORTS), ("filter", FORWARD))


def masquerade(pod_cidr: str, cluster_cidr: str) -> list[str]:
    """What leaves the pods' network takes the node's address."""
    return [
        f"-A {POSTROUTING} -s {pod_cidr} -d {cluster_cidr or pod_cidr} -j RETURN",
        f"-A {POSTROUTING} -s {pod_cidr} -d {MULTICAST} -j RETURN",
        f"-A {POSTROUTING} -s {pod_cidr} -j MASQUERADE --random-fully",
    ]


def host_ports(leases: Sequence[Lease]) -> tuple[list[str], list[str]]:
    """The rules that send a node's port to a pod, and those that bring the answers back the same way."""
    to_pods, back = [], []
    for lease in sorted(leases, key=lambda lease: lease.address):
        for port in lease.ports:
            protocol = port.protocol.lower()
            where = f" -d {port.host_ip}/32" if port.host_ip not in ("", "0.0.0.0") else ""
            comment = f'-m comment --comment "{lease.pod_uid}"'
            to_pods.append(
                f"-A {HOST_PORTS}{where} -p {protocol} -m {protocol} --dport {port.host_port} {comment} "
                f"-j DNAT --to-destination {lease.address}:{port.container_port}"
            )
            for source in (f"{lease.address}/32", "127.0.0.0/8"):
                back.append(
                    f"-A {POSTROUTING} -s {source} -d {lease.address}/32 -p {protocol} -m {protocol} "
                    f"--dport {port.container_port} {comment} -j MASQUERADE"
                )
    return to_pods, back


def restore_input(pod_cidr: str, cluster_cidr: str, leases: Sequence[Lease], masquerades: bool = True) -> str:
    """The text for iptables-restore --noflush: the three chains as they should be, nobody else's touched.

    Without `masquerades` somebody else gives what leaves the pods' network its address.
    """
    to_pods, back = host_ports(leases)
    leaving = masquerade(pod_cidr, cluster_cidr) if masquerades else []
    nat = [f":{POSTROUTING} - [0:0]", f":{HOST_PORTS} - [0:0]", *back, *leaving, *to_pods]
    forward = [f":{FORWARD} - [0:0]", f"-A {FORWARD} -s {pod_cidr} -j ACCEPT", f"-A {FORWARD} -d {pod_cidr} -j ACCEPT"]
    return "\n".join(["*nat", *nat, "COMMIT", "*filter", *forward, "COMMIT", ""])
