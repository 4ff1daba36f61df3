"""What kubeadm's configuration has no words for: the balancer before the API servers, the pods' network, further add-ons; pure.

One document beside kubeadm's, in the same file:

    apiVersion: pybernetes.io/v1alpha1
    kind: ClusterLayout
    balancer:
      kind: nginx          # nginx, haproxy or none (somebody else's, or one control-plane host alone)
      routerID: 51         # VRRP's, another one for each cluster on a network
      onNodes: false       # one on each host, for itself alone, in place of those of control-plane hosts and a virtual address
    network:
      backend: vxlan       # flannel's: vxlan, host-gw, udp; none: somebody else's
      ipMasq: true
      policies: true       # whether NetworkPolicies hold, by our hands
    addons:                # what kubeadm does not bring, either
      metricsServer: false # figures for `kubectl top` and autoscalers
      localPath: false     # directories of nodes as volumes for claims
      loadBalancer: false  # addresses for Services of type LoadBalancer
      addressPool: []      # which: CIDRs or FIRST-LAST, announced by ARP and NDP; none: the nodes' own
      ingress: false       # Ingresses, by nginx at ports 80 and 443 of nodes that take users' pods
    kubeadmConfig: v1beta4 # in which version of kubeadm's the cluster remembers itself: v1beta3 where kubeadm before 1.31, v1beta2 where
                           # kubeadm before 1.22 is to have workers join

Where the balancer listens is kubeadm's controlPlaneEndpoint: its port, and its host for the virtual address, where that is an address.
The cluster keeps the document in kube-system/pybernetes-config, for the hosts that join. One without it (of kubeadm's own making) has its
network and kube-proxy in pods: hosts that join run a kubelet alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pybernetes.api.field import quote
from pybernetes.loadbalancer import pools

from . import configuration, endpoints
from .configuration import KEPT, LAYOUT, NEWEST, ConfigurationError, decoded, document
from .daemons.model import AddOns, Balancer, Network
from .types import DNS, ClusterConfiguration, Fields

VERSION, KIND = LAYOUT
CONFIG_MAP, CONFIG_KEY = "pybernetes-config", KIND
NONE = "none"
BALANCERS = ("nginx", "haproxy", NONE)
BACKENDS = ("vxlan", "host-gw", "udp", NONE)
POD_SUBNET = "10.244.0.0/16"  # flannel's own choice, where a network is asked for and no range is
LARGEST_ROUTER_ID = 255
IMAGE, INGRESS_IMAGE = "pybernetes", "pybernetes-ingress"


class BalancerLayout(Fields):
    """See the document above."""

    kind: str = NONE
    router_id: int = msgspec.field(default=51, name="routerID")
    on_nodes: bool = False


class NetworkLayout(Fields):
    """See the document above."""

    backend: str = "vxlan"
    ip_masq: bool = True
    policies: bool = True


class ClusterLayout(Fields):
    """The document."""

    balancer: BalancerLayout = msgspec.field(default_factory=BalancerLayout)
    network: NetworkLayout = msgspec.field(default_factory=NetworkLayout)
    addons: AddOns = msgspec.field(default_factory=AddOns)
    kubeadm_config: str = NEWEST


FOREIGN = ClusterLayout(network=NetworkLayout(backend=NONE, policies=False))  # of a cluster that says nothing of it


def parse(text: str) -> ClusterLayout | None:
    """Of a file that may hold other documents; None: it has none. ConfigurationError."""
    parsed = document(text, LAYOUT)
    if parsed is None:
        return None
    layout = decoded(ClusterLayout, parsed, f"{VERSION}, Kind={KIND}")
    assert isinstance(layout, ClusterLayout)
    return layout


def check(layout: ClusterLayout, cluster: ClusterConfiguration, bind_port: int) -> None:
    """ConfigurationError for what cannot be; says what to do."""
    balancer, network = layout.balancer, layout.network
    if layout.kubeadm_config not in KEPT:
        raise ConfigurationError(
            f"kubeadmConfig: {quote(layout.kubeadm_config)}: choose one of {', '.join(sorted(KEPT, reverse=True))}"
        )
    configuration.text(cluster, layout.kubeadm_config)
    if balancer.kind not in BALANCERS:
        raise ConfigurationError(f"balancer.kind: {quote(balancer.kind)}: choose one of {', '.join(BALANCERS)}")
    if network.backend not in BACKENDS:
        raise ConfigurationError(f"network.backend: {quote(network.backend)}: choose one of {', '.join(BACKENDS)}")
    if not 0 < balancer.router_id <= LARGEST_ROUTER_ID:
        raise ConfigurationError(f"balancer.routerID: {balancer.router_id}: want 1 to {LARGEST_ROUTER_ID}")
    if problem := pool_problem(layout.addons):
        raise ConfigurationError(problem)
    endpoint = endpoints.split_host_port(cluster.control_plane_endpoint)[0] if cluster.control_plane_endpoint else ""
    if endpoints.is_address(endpoint) and endpoint in pools.parse(layout.addons.address_pool):
        text = f"it has the address of controlPlaneEndpoint, {endpoint}: want addresses that nobody has"
        raise ConfigurationError(f"addons.addressPool: {text}")
    if balancer.kind == NONE:
        if balancer.on_nodes:
            raise ConfigurationError("balancer.onNodes: which one? Give --balancer=nginx or haproxy (balancer.kind)")
        return
    host, port = (
        endpoints.split_host_port(cluster.control_plane_endpoint) if cluster.control_plane_endpoint else ("", "")
    )
    if not host:
        raise ConfigurationError(
            "a balancer needs the address and port that all use: give --control-plane-endpoint=ADDRESS:PORT (controlPlaneEndpoint)"
        )
    if balancer.on_nodes != endpoints.is_loopback(host):
        there = quote(cluster.control_plane_endpoint)
        if balancer.on_nodes:
            text = f"a balancer on each node listens for this one alone: want 127.0.0.1:{port or 8443}"
        else:
            text = "others do not reach it: want an address that control-plane hosts can hand on, or --balancer-on-nodes (balancer.onNodes)"
        raise ConfigurationError(f"controlPlaneEndpoint: {there}: {text}")
    if int(port or bind_port) == bind_port:
        raise ConfigurationError(
            f"controlPlaneEndpoint: {quote(cluster.control_plane_endpoint)}: the API server of this host has port {bind_port}, so the balancer "
            f"before it needs another one: {endpoints.url(host, 8443).removeprefix('https://')}, say"
        )


def pool_problem(addons: AddOns) -> str:
    """What is wrong with the addresses of load balancers, "" where they can be."""
    try:
        pools.parse(addons.address_pool)
    except pools.PoolError as error:
        return f"addons.addressPool: {error}"
    if addons.address_pool and not addons.load_balancer:
        return "addons.addressPool: for whom? Give --load-balancer (addons.loadBalancer)"
    return ""


def images(dns: DNS, addons: AddOns) -> tuple[str, ...]:
    """The project's own images that pods of cluster DNS and of add-ons run, by their names."""
    of_dns = not dns.disabled and not dns.image_tag
    own = of_dns or addons.metrics_server or addons.local_path or addons.load_balancer
    return (*((IMAGE,) if own else ()), *((INGRESS_IMAGE,) if addons.ingress else ()))


def balancer_of(layout: ClusterLayout, cluster: ClusterConfiguration) -> Balancer | None:
    """What stands before the API servers by our hands; None: nothing. An endpoint that is a name has its address from elsewhere."""
    if layout.balancer.kind == NONE:
        return None
    host, port = endpoints.split_host_port(cluster.control_plane_endpoint)
    on_nodes = layout.balancer.on_nodes
    virtual = host if endpoints.is_address(host) and not on_nodes else ""
    return Balancer(layout.balancer.kind, int(port), virtual, layout.balancer.router_id, on_nodes)


def network_of(layout: ClusterLayout) -> Network:
    """The pods' network in the words of who runs it."""
    backend = layout.network.backend
    return Network("" if backend == NONE else backend, layout.network.ip_masq, layout.network.policies)


def of_addons(addons: AddOns) -> dict[str, Any]:
    """All fields said."""
    return {
        "metricsServer": addons.metrics_server,
        "localPath": addons.local_path,
        "loadBalancer": addons.load_balancer,
        "addressPool": addons.address_pool,
        "ingress": addons.ingress,
    }


def text(layout: ClusterLayout) -> str:
    """The document, all fields said, but for the version of kubeadm's where it is today's: releases before have no such field."""
    import yaml

    fields: Mapping[str, Any] = {
        "balancer": {
            "kind": layout.balancer.kind,
            "routerID": layout.balancer.router_id,
            "onNodes": layout.balancer.on_nodes,
        },
        "network": {
            "backend": layout.network.backend,
            "ipMasq": layout.network.ip_masq,
            "policies": layout.network.policies,
        },
        "addons": of_addons(layout.addons),
    }
    if layout.kubeadm_config != NEWEST:
        fields = {**fields, "kubeadmConfig": layout.kubeadm_config}
    return yaml.safe_dump({"apiVersion": VERSION, "kind": KIND, **fields})
