"""All daemons of a host, in the order of their start."""

from __future__ import annotations

from .balancer import balancers
from .controlplane import api_server, controller_manager, scheduler
from .etcd import etcd
from .model import ETCD, MASTER, WORKER, Cluster, Daemon, Host
from .node import flannel, kubelet, network_policies, proxy


def daemons(cluster: Cluster, host: Host) -> list[Daemon]:
    """What the host's roles ask for. Masters are nodes too, as kubeadm's: with a taint that keeps pods of users away."""
    of_host: list[Daemon] = []
    if ETCD in host.roles and cluster.configuration.cluster.etcd.external is None:
        of_host.append(etcd(cluster, host))
    if MASTER in host.roles:
        of_host += [make(cluster, host) for make in (api_server, controller_manager, scheduler)]
    is_node = MASTER in host.roles or WORKER in host.roles
    if is_node or (cluster.balancer is not None and not cluster.balancer.on_nodes):
        of_host += balancers(cluster, host)
    if is_node:
        of_host.append(kubelet(cluster, host))
        if not cluster.configuration.cluster.proxy.disabled:
            of_host.append(proxy(cluster, host))
        if cluster.network.backend:
            of_host.append(flannel(cluster, host))
        if cluster.network.policies:
            of_host.append(network_policies(cluster, host))
    return of_host
