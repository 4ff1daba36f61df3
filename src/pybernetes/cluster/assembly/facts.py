"""A look at the host for `checks.py`."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from pybernetes.deploy.configuration import ETCD_DATA_DIR, KUBERNETES_DIR
from pybernetes.deploy.daemons import controlplane, etcd, node
from pybernetes.deploy.daemons.model import Cluster, Host
from pybernetes.loadbalancer.options import OF_NGINX
from pybernetes.net.addresses import outward_address
from pybernetes.net.routes import Router

from .. import host as machine
from . import hoststate
from .checks import ADDRESS_NEEDS, BALANCER_NEEDS, ETCD_NEED, INGRESS_NEED, NODE_NEEDS, POLICIES_NEED, Facts, Need

DOCKER = "unix:///var/run/docker.sock"
DOCKER_DIR, KUBELET_DIR = Path("/var/lib/docker"), Path(node.KUBELET_DIR)
NGINX_STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
KUBELET_PORT = 10250


def collect(cluster: Cluster, this: Host, control_plane: bool) -> Facts:
    """What there is to judge."""
    state = _state()
    ours = state is not None and not state.complete
    data = (
        Path(cluster.configuration.cluster.etcd.local.data_dir)
        if cluster.configuration.cluster.etcd.local
        else Path(ETCD_DATA_DIR)
    )
    needed = _ports(cluster, control_plane)
    ports = {} if ours else {port: problem for port in needed if (problem := machine.port_problem(port))}
    member = ""
    if state is not None and state.complete:
        member = f"this host is in a cluster already, as {'control-plane ' if state.control_plane else ''}node {state.node_name}"
    places = (KUBELET_DIR, DOCKER_DIR, *((data,) if control_plane else ()))
    return Facts(
        root=os.geteuid() == 0,
        node_name=this.name,
        address=this.address,
        addresses=addresses(),
        missing=missing(cluster, control_plane),
        ports=ports if not member else {},
        docker=machine.docker_version(DOCKER),
        free=machine.free_bytes(*places),
        leftovers=[] if state is not None else _leftovers(data, control_plane),
        member=member,
    )


def addresses() -> Sequence[str]:
    """Of both families, without loopback's."""
    with Router() as router:
        links = router.links()
    return [str(address) for link in links for address in (*link.addresses, *link.ipv6_addresses) if link.name != "lo"]


def interface_of(address: str) -> str:
    """The interface that has an address, "" where none has."""
    with Router() as router:
        links = router.links()
    return next((link.name for link in links if address in (*link.addresses, *link.ipv6_addresses)), "")


def node_name() -> str:
    """The host's, as the kubelet takes it."""
    return socket.gethostname().strip().lower()


def address() -> str:
    """That of the default route, "" where there is none."""
    return outward_address() or outward_address(6)


def _state() -> hoststate.HostState | None:
    try:
        return hoststate.load()
    except hoststate.StateError:
        return None  # what is on the disk is then somebody else's, and told as such


def missing(cluster: Cluster, control_plane: bool) -> list[Need]:
    """The programs that this host's daemons call, and that are not there."""
    return [need for need in _needs(cluster, control_plane) if not _present(need)]


def _ports(cluster: Cluster, control_plane: bool) -> list[int]:
    ports = [KUBELET_PORT, node.KUBELET_HEALTH_PORT]
    if cluster.balancer is not None and cluster.balancer.on_nodes:
        ports.append(cluster.balancer.port)
    if not control_plane:  # whose taint keeps the pods away that serve Ingresses
        return [*ports, *(map(int, OF_NGINX) if cluster.addons.ingress else ())]
    ports += [cluster.configuration.init.local_api_endpoint.bind_port]
    ports += [controlplane.CONTROLLER_MANAGER_PORT, controlplane.SCHEDULER_PORT]
    if cluster.configuration.cluster.etcd.external is None:
        ports += [etcd.CLIENTS, etcd.PEERS, etcd.METRICS]
    ours = cluster.balancer is not None and not cluster.balancer.on_nodes
    return [*ports, *([cluster.balancer.port] if cluster.balancer is not None and ours else [])]


def _needs(cluster: Cluster, control_plane: bool) -> list[Need]:
    needs = [*NODE_NEEDS, *((POLICIES_NEED,) if cluster.network.policies else ())]
    if cluster.addons.ingress:
        needs.append(INGRESS_NEED)
    if control_plane and cluster.configuration.cluster.etcd.external is None:
        needs.append(ETCD_NEED)
    if cluster.balancer is not None and (control_plane or cluster.balancer.on_nodes):
        needs += [*BALANCER_NEEDS[cluster.balancer.kind], *(ADDRESS_NEEDS if cluster.balancer.virtual_address else ())]
    return needs


def _present(need: Need) -> bool:
    streams = need in BALANCER_NEEDS["nginx"]
    return machine.find(need.program) is not None and (not streams or NGINX_STREAM.exists())


def _leftovers(data: Path, control_plane: bool) -> list[str]:
    """kubeadm refuses a folder with anything in it; certificates may have been put there on purpose."""
    names = ("kubelet.conf", "bootstrap-kubelet.conf", "manifests/kube-apiserver.yaml", "manifests/etcd.yaml")
    leftovers = [Path(KUBERNETES_DIR) / name for name in names] + ([data / "member"] if control_plane else [])
    return [str(path) for path in leftovers if path.exists()]
