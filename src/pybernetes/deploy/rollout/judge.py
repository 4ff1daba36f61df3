"""What is wrong with a file that describes a cluster, in words; pure. What only costs safety is a warning."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator

from pybernetes.api.field import quote
from pybernetes.api.names import dns1123_subdomain_errors, label_key_errors, label_value_errors
from pybernetes.loadbalancer import pools

from .. import endpoints
from ..configuration import BIND_PORT, ConfigurationError
from ..daemons.model import BALANCER, ETCD, MASTER, WORKER
from ..layout import pool_problem
from ..validation import check as check_kubeadms
from .clusterfile import BACKENDS, BALANCERS, ROLES, Description, HostEntry, cluster, implied_endpoint, roles

LARGEST_ROUTER_ID = 255
LARGEST_PORT = 65535
TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def check(description: Description) -> None:
    """ConfigurationError with all that is wrong, each with its path."""
    errors = list(problems(description))
    if not errors:
        check_kubeadms(cluster(description).configuration)
        errors = list(_overlaps(description))
    if errors:
        raise ConfigurationError("; ".join(errors))


def warnings(description: Description) -> Iterator[str]:
    """What works and is not wise."""
    hosts = description.entry.hosts
    members = [host for host in hosts if ETCD in roles(description, host)]
    if members and len(members) % 2 == 0:
        lost = len(members) // 2 - 1
        yield (
            f"{len(members)} members of etcd are no better than {len(members) - 1}: a majority is {len(members) // 2 + 1}, so {lost} "
            f"may be lost; make it {len(members) - 1} or {len(members) + 1}"
        )
    if not any(WORKER in host.roles for host in hosts) and all(host.taints is None for host in hosts):
        yield "no host is a worker: masters have a taint that keeps users' pods away, so these will wait"
    balancer = description.entry.balancer
    if balancer is not None and balancer.virtual_address and _balancers(description) == 1:
        yield "balancer.virtualAddress: one host alone holds it: nobody takes it over"


def problems(description: Description) -> Iterator[str]:
    """What cannot be."""
    entry = description.entry
    masters = [host for host in entry.hosts if MASTER in host.roles]
    if not entry.hosts:
        yield "hosts: want at least one"
        return
    for number, host in enumerate(entry.hosts):
        yield from _host(host, f"hosts[{number}]", description)
    for what, values in (
        ("name", [h.name for h in entry.hosts]),
        ("address", [_plain(h.address) for h in entry.hosts]),
    ):
        for value, count in Counter(values).items():
            if count > 1 and value:
                yield f"hosts: {count} hosts have the {what} {quote(value)}"
    if not masters:
        yield "hosts: none has the role master"
    if entry.program and not entry.program.startswith("/"):
        yield f"program: {quote(entry.program)}: want the whole path, as /usr/local/bin/pybernetes"
    if not 0 <= entry.ssh.port <= LARGEST_PORT:
        yield f"ssh.port: {entry.ssh.port}: want 1 to {LARGEST_PORT}"
    if entry.ssh.address:
        yield "ssh.address: hosts have addresses of their own: say it at the host"
    if entry.network.backend not in BACKENDS:
        yield f"network.backend: {quote(entry.network.backend)}: choose one of {', '.join(BACKENDS)}"
    yield from _twice_said(description)
    yield from _balancer(description)
    if problem := pool_problem(entry.addons):
        yield problem
    if (
        len(masters) > 1
        and not description.configuration.cluster.control_plane_endpoint
        and not implied_endpoint(description)
    ):
        yield (
            f"{len(masters)} masters need one address: give a balancer with a virtualAddress, or with onNodes: true, or the "
            "controlPlaneEndpoint of somebody else's in a ClusterConfiguration"
        )


def _host(host: HostEntry, path: str, description: Description) -> Iterator[str]:
    if not host.name:
        yield f"{path}.name: want the node's name"
    for error in dns1123_subdomain_errors(host.name) if host.name else ():
        yield f"{path}.name: {quote(host.name)}: {error}"
    if not endpoints.is_address(host.address):
        yield f"{path}.address: {quote(host.address)}: want an IP address"
    if not 0 <= host.ssh.port <= LARGEST_PORT:
        yield f"{path}.ssh.port: {host.ssh.port}: want 1 to {LARGEST_PORT}"
    if not host.roles:
        yield f"{path}.roles: want at least one of {', '.join(ROLES)}"
    for role in host.roles:
        if role not in ROLES:
            yield f"{path}.roles: {quote(role)}: choose of {', '.join(ROLES)}"
    if ETCD in host.roles and description.configuration.cluster.etcd.external is not None:
        yield f"{path}.roles: etcd is somebody else's by etcd.external of the ClusterConfiguration: no host here has the role"
    elif ETCD in host.roles and MASTER not in host.roles:
        yield f"{path}.roles: members of etcd are on masters here; give etcd.external in a ClusterConfiguration for others"
    if BALANCER in host.roles and (description.entry.balancer is None or description.entry.balancer.on_nodes):
        yield f"{path}.roles: a balancer, of which `balancer` says nothing"
    if (host.labels or host.taints) and not {MASTER, WORKER} & set(host.roles):
        yield f"{path}: labels and taints are a node's: want the role master or worker"
    for key, value in host.labels.items():
        for error in (*label_key_errors(key), *label_value_errors(value)):
            yield f"{path}.labels: {quote(key)}: {error}"
    for number, taint in enumerate(host.taints or ()):
        if not taint.get("key") or taint.get("effect") not in TAINT_EFFECTS or set(taint) - {"key", "value", "effect"}:
            yield f"{path}.taints[{number}]: want key, value and an effect of {', '.join(TAINT_EFFECTS)}"


def _twice_said(description: Description) -> Iterator[str]:
    network, networking = description.entry.network, description.configuration.cluster.networking
    for name, ours, theirs in (
        ("podSubnet", network.pod_subnet, networking.pod_subnet),
        ("serviceSubnet", network.service_subnet, networking.service_subnet),
    ):
        if ours and theirs and ours != theirs:
            yield f"network.{name}: {quote(ours)}, but the ClusterConfiguration says {quote(theirs)}"


def _balancer(description: Description) -> Iterator[str]:
    balancer = description.entry.balancer
    if balancer is None:
        return
    if balancer.kind not in BALANCERS:
        yield f"balancer.kind: {quote(balancer.kind)}: choose one of {', '.join(BALANCERS)}"
    if not 0 < balancer.router_id <= LARGEST_ROUTER_ID:
        yield f"balancer.routerID: {balancer.router_id}: want 1 to {LARGEST_ROUTER_ID}"
    if not 0 < balancer.port <= LARGEST_PORT:
        yield f"balancer.port: {balancer.port}: want 1 to {LARGEST_PORT}"
    on_masters = any(
        MASTER in host.roles and (balancer.on_nodes or BALANCER in roles(description, host))
        for host in description.entry.hosts
    )
    if on_masters and balancer.port == BIND_PORT:
        yield f"balancer.port: {BIND_PORT} is the API server's on the same host: take another one, 8443 say"
    endpoint = description.configuration.cluster.control_plane_endpoint
    implied = implied_endpoint(description)
    if not endpoint and not implied:
        yield "balancer: want a virtualAddress, or a controlPlaneEndpoint that leads to the balancers"
    if endpoint and balancer.on_nodes and not endpoints.is_loopback(endpoint):
        yield f"controlPlaneEndpoint: {quote(endpoint)}: with balancer.onNodes it is each host's own, {implied}: leave it out"
    yield from _virtual_address(description)


def _virtual_address(description: Description) -> Iterator[str]:
    balancer = description.entry.balancer
    if balancer is None or not balancer.virtual_address:
        return
    path, given = "balancer.virtualAddress", balancer.virtual_address
    if balancer.on_nodes:
        yield f"{path}: none is needed with onNodes"
        return
    try:
        address = ipaddress.ip_interface(given)
    except ValueError:
        yield f"{path}: {quote(given)}: want an IP address, with a prefix length or without"
        return
    holders = [host for host in description.entry.hosts if BALANCER in roles(description, host)]
    for host in holders:
        if not endpoints.is_address(host.address):
            continue
        own = ipaddress.ip_address(host.address)
        if own == address.ip:
            yield f"{path}: {quote(given)} is {host.name}'s own address: want one that nobody has"
        elif own.version != address.version or ("/" in given and own not in address.network):
            yield f"{path}: {quote(given)} is not in the network of {host.name} ({host.address}), which is to announce it"


def _overlaps(description: Description) -> Iterator[str]:
    """Ranges that are in each other's way, and hosts that are in one of them."""
    networking = cluster(description).configuration.cluster.networking
    ranges = [
        (name, ipaddress.ip_network(part.strip(), strict=False))
        for name, text in (("podSubnet", networking.pod_subnet), ("serviceSubnet", networking.service_subnet))
        for part in text.split(",")
        if part
    ]
    for place, (name, first) in enumerate(ranges):
        for other, second in ranges[place + 1 :]:
            if first.overlaps(second):
                yield f"{name} {first} and {other} {second} overlap"
        for host in description.entry.hosts:
            if ipaddress.ip_address(host.address) in first:
                yield f"{name} {first} has the address of {host.name}, {host.address}: want a range that no host is in"
        virtual = description.entry.balancer.virtual_address if description.entry.balancer is not None else ""
        if virtual and ipaddress.ip_interface(virtual).ip in first:
            yield f"{name} {first} has balancer.virtualAddress, {virtual}: want a range that it is not in"
    yield from _given_away(description)


def _given_away(description: Description) -> Iterator[str]:
    """Addresses that Services would get, and somebody has."""
    pool, balancer = pools.parse(description.entry.addons.address_pool), description.entry.balancer
    for host in description.entry.hosts:
        if host.address in pool:
            yield f"addons.addressPool has the address of {host.name}, {host.address}: want addresses that nobody has"
    virtual = balancer.virtual_address.partition("/")[0] if balancer is not None else ""
    if virtual and virtual in pool:
        yield f"addons.addressPool has balancer.virtualAddress, {virtual}: want addresses that nobody has"


def _balancers(description: Description) -> int:
    return sum(BALANCER in roles(description, host) for host in description.entry.hosts)


def _plain(address: str) -> str:
    """The same address in the same form."""
    return str(ipaddress.ip_address(address)) if endpoints.is_address(address) else address
