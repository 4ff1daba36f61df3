"""What the answers of a cluster's parts mean, line by line; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from pybernetes.api.conditions import condition
from pybernetes.api.times import parse_rfc3339
from pybernetes.api.types import coordination_v1 as coordination
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.wellknown import LABEL_SERVICE_NAME
from pybernetes.pki.certificates import RENEW_BEFORE

from .etcd.health import Answer, leader_of
from .lines import Line
from .removal import CONTROL_PLANE

LEADERS = ("kube-controller-manager", "kube-scheduler")


def node_lines(nodes: Sequence[core.Node], leases: Mapping[str, coordination.Lease], now: datetime) -> list[Line]:
    """Ready or not, as the node controller says, and when the kubelet was last heard."""
    return [
        _node(node, leases.get(node.metadata.name), now) for node in sorted(nodes, key=lambda node: node.metadata.name)
    ]


def _node(node: core.Node, lease: coordination.Lease | None, now: datetime) -> Line:
    ready = condition(node.status.conditions, "Ready")
    role = "control plane" if CONTROL_PLANE in node.metadata.labels else "worker"
    words = [role, node.status.node_info.kubelet_version if node.status.node_info else ""]
    if node.spec.unschedulable:
        words.append("cordoned")
    renewed = renewed_at(lease)
    if renewed is not None:
        words.append(f"heard of {_ago(now - renewed)}")
    text = ", ".join(word for word in words if word)
    if ready is not None and ready.status == "True":
        return Line("node", node.metadata.name, True, f"Ready, {text}")
    return Line("node", node.metadata.name, False, f"NotReady ({text}): {ready.message if ready else 'no status yet'}")


def server_addresses(slices: Sequence[discovery.EndpointSlice]) -> list[tuple[str, int]]:
    """(address, port) of each API server: they keep the Service `kubernetes` themselves, by leases of 15 s."""
    addresses = set()
    for one in slices:
        if one.metadata.labels.get(LABEL_SERVICE_NAME) == "kubernetes":
            port = next((port.port for port in one.ports if port.port), 6443)
            addresses |= {(address, port) for endpoint in one.endpoints for address in endpoint.addresses}
    return sorted(addresses)


def server_lines(answers: Mapping[tuple[str, int], str], masters: Mapping[str, str]) -> list[Line]:
    """`answers`: "" where it is ready, else the problem; `masters`: node by address. A master that is missing among them is told."""
    lines = []
    for (address, port), problem in sorted(answers.items()):
        name = masters.get(address, "")
        lines.append(
            Line("kube-apiserver", f"{address}:{port}", not problem, problem or f"ready{f' ({name})' if name else ''}")
        )
    there = {address for address, _ in answers}
    for address, name in sorted(masters.items()):
        if address not in there:
            text = f"{name} is a control-plane host, and its API server has not renewed its place among the endpoints"
            lines.append(Line("kube-apiserver", address, False, text))
    return lines


def leader_lines(leases: Mapping[str, coordination.Lease], now: datetime) -> list[Line]:
    """Who leads, and whether the lease holds."""
    lines = []
    for name in LEADERS:
        lease = leases.get(name)
        spec = lease.spec if lease is not None else None
        if spec is None or not spec.holder_identity:
            lines.append(Line("leader", name, False, "nobody leads: start one"))
            continue
        holder, renewed = spec.holder_identity.rpartition("_")[0] or spec.holder_identity, renewed_at(lease)
        length = timedelta(seconds=spec.lease_duration_seconds or 15)
        if renewed is None or now - renewed > length:
            since = _ago(now - renewed) if renewed is not None else "never"
            lines.append(
                Line(
                    "leader",
                    name,
                    False,
                    f"{holder} has not renewed its lease since ({since}): it is dead, and no other runs",
                )
            )
        else:
            lines.append(Line("leader", name, True, f"{holder}, lease renewed {_ago(now - renewed)}"))
    return lines


def etcd_lines(answers: Sequence[Answer], names: Mapping[int, str], findings: Sequence[str]) -> list[Line]:
    """A line each member, then what is wrong with all together."""
    leader, lines = leader_of(answers), []
    for answer in answers:
        status = answer.status
        if status is None:
            lines.append(Line("etcd", answer.url, False, answer.problem))
            continue
        role = "learner" if status.learner else "leader" if status.member == leader else "follower"
        text = f"{role}, {status.version}, {status.size / (1 << 20):.0f} MiB, revision {status.revision}"
        lines.append(
            Line(
                "etcd",
                names.get(status.member) or answer.url,
                answer.healthy,
                f"{text}{f': {answer.problem}' if answer.problem else ''}",
            )
        )
    told = {answer.problem for answer in answers}
    return lines + [
        Line("etcd", "all", False, text)
        for text in findings
        if not any(problem and problem in text for problem in told)
    ]


def kubelet_line(name: str, problem: str) -> Line:
    """By the API server's way to it."""
    return Line("kubelet", name, not problem, problem or "healthy")


def certificate_line(name: str, end: datetime, now: datetime) -> Line:
    """When one ends."""
    if end <= now:
        return Line("certificate", name, False, f"ended on {end:%Y-%m-%d}: pybernetes certs renew")
    hint = ": pybernetes certs renew" if end - now < RENEW_BEFORE else ""
    return Line("certificate", name, True, f"ends in {(end - now).days} days, on {end:%Y-%m-%d}{hint}")


def address_line(
    virtual: str, masters: Mapping[str, str], own: Collection[str], host: str, neighbours: Mapping[str, str]
) -> Line | None:
    """Who has the virtual address: this host, or the one whose link-layer address answers for it (`neighbours`: by IP address)."""
    if not virtual or virtual in masters:
        return None
    if virtual in own:
        return Line("virtual address", virtual, True, f"here, on {host}")
    at = neighbours.get(virtual)
    if at is None:
        return Line("virtual address", virtual, True, "elsewhere: this host has no link to it, and cannot see on which")
    holder = next((name for address, name in masters.items() if neighbours.get(address) == at), "")
    return Line("virtual address", virtual, True, holder or f"at {at}, which is no control-plane host's")


def parse_arp(text: str) -> dict[str, str]:
    """The kernel's /proc/net/arp: link-layer address by IP address, complete entries alone."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return {row[0]: row[3] for row in rows if len(row) >= 6 and int(row[2], 16) & 2}


def renewed_at(lease: coordination.Lease | None) -> datetime | None:
    """When its holder was last heard; None where it never was, or wrote no time."""
    written = lease.spec.renew_time if lease is not None and lease.spec is not None else None
    try:
        return parse_rfc3339(written) if written else None
    except ValueError:
        return None


def _ago(age: timedelta) -> str:
    seconds = max(age.total_seconds(), 0.0)
    return f"{seconds:.0f}s ago" if seconds < 120 else f"{seconds / 60:.0f}m ago"
