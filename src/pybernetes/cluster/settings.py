"""What a cluster of `up` is made of; kept in the data directory, so that a later `up` without options goes on with the same."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pybernetes.kubelet.network.cni.directory import PLUGIN_DIRS
from pybernetes.loadbalancer import pools

NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")  # a DNS-1123 subdomain
NAME_LENGTH = 253
KUBENET, CNI = "kubenet", "cni"  # a bridge of the kubelet's own, or plugins


class ClusterConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Addresses are text; `hollow_nodes` 0 means containers on Docker."""

    node_name: str
    addresses: list[str]  # of the host; the first is the node's
    port: int = 6443
    service_cidr: str = "10.96.0.0/12"
    pod_cidr: str = "10.244.0.0/16"
    domain: str = "cluster.local"
    hollow_nodes: int = 0
    docker: str = "unix:///var/run/docker.sock"
    own_docker: bool = False  # whether the Docker daemon is ours to run
    controller_manager_port: int = 10257
    scheduler_port: int = 10259
    kubelet_health_port: int = 10248
    network_policies_port: int = 9080
    load_balancer_port: int = 9081
    ingress_port: int = 10254
    network_policies: bool = True  # whether they are asked for
    load_balancer: bool = True  # whether Services of type LoadBalancer get addresses
    address_pool: list[str] = []  # which; none: the node's own
    metrics_server: bool = True  # whether metrics.k8s.io is served
    local_path: bool = True  # whether claims get directories of the node
    network_plugin: str = KUBENET  # the kubelet's word for who connects pods
    cni_conf_dir: str = "/etc/cni/net.d"  # with cni: where networks are described
    cni_bin_dir: list[str] = msgspec.field(default_factory=lambda: [*PLUGIN_DIRS])  # and where the plugins are
    ingress: bool = False  # whether Ingresses are served at ports 80 and 443
    nft: bool = True  # whether the host has it, without which nobody can bring them about

    @property
    def service_ip(self) -> str:
        """Of the Service `kubernetes`: the first of the range."""
        return nth_address(self.service_cidr, 1)

    @property
    def dns_ip(self) -> str:
        """Of the Service `kube-dns`: the tenth, as kubeadm has it."""
        return nth_address(self.service_cidr, 10)

    @property
    def runs_network_policies(self) -> bool:
        return self.network_policies and self.nft and not self.hollow

    @property
    def runs_load_balancer(self) -> bool:
        return self.load_balancer and not self.hollow

    @property
    def runs_ingress(self) -> bool:
        return self.ingress and not self.hollow

    @property
    def uses_cni(self) -> bool:
        return self.network_plugin == CNI and not self.hollow

    @property
    def hollow(self) -> bool:
        return self.hollow_nodes > 0


def nth_address(cidr: str, number: int) -> str:
    """10.96.0.10 is the 10th of 10.96.0.0/12."""
    return str(ipaddress.ip_network(cidr)[number])


def problems(settings: ClusterConfig) -> list[str]:
    """What makes settings unusable, in words for the user."""
    findings = []
    networks = {}
    for flag, cidr in (("--service-cidr", settings.service_cidr), ("--pod-cidr", settings.pod_cidr)):
        try:
            networks[flag] = ipaddress.ip_network(cidr)
        except ValueError as error:
            findings.append(f"{flag}={cidr}: {error}")
            continue
        if networks[flag].num_addresses < 256:
            findings.append(f"{flag}={cidr}: too small, want /24 or larger")
    if len(networks) == 2:
        service, pod = networks.values()
        if service.version == pod.version and service.overlaps(pod):
            findings.append(f"--service-cidr={service} and --pod-cidr={pod} overlap: choose ranges apart")
        for flag, network in networks.items():
            inside = [a for a in settings.addresses if ipaddress.ip_address(a) in network]
            if inside:
                findings.append(f"{flag}={network} holds the host's own address {inside[0]}: choose another range")
    if not 0 < settings.port < 65536:
        findings.append(f"--port={settings.port}: want 1 to 65535")
    if settings.hollow_nodes < 0:
        findings.append(f"--hollow-nodes={settings.hollow_nodes}: want 1 or more; 0 is for containers on Docker")
    try:
        pools.parse(settings.address_pool)
    except pools.PoolError as error:
        findings.append(f"--address-pool: {error}")
    if settings.network_plugin not in (KUBENET, CNI):
        findings.append(f"--network-plugin={settings.network_plugin}: it is {KUBENET} or {CNI}")
    if not NODE_NAME.fullmatch(settings.node_name) or len(settings.node_name) > NAME_LENGTH:
        findings.append(
            f"--node-name={settings.node_name}: want lower-case letters, digits, - and ., as in a host's name"
        )
    return findings


def merged(stored: ClusterConfig | None, fresh: ClusterConfig, given: Mapping[str, Any]) -> ClusterConfig:
    """Today's host (`fresh`) with what was chosen before and what is asked now; `given` holds options the user typed."""
    kept = {} if stored is None else {name: getattr(stored, name) for name in (*PERMANENT, *KEPT)}
    return msgspec.structs.replace(fresh, **{**kept, **given})


def conflicts(stored: ClusterConfig, given: Mapping[str, Any]) -> list[str]:
    """Options that cannot change in a cluster that exists."""
    return [
        f"--{name.replace('_', '-')}={given[name]}: the cluster was made with {getattr(stored, name)}, which cannot change;"
        " start over with `pybernetes down --purge`"
        for name in PERMANENT
        if name in given and given[name] != getattr(stored, name)
    ]


# Pods that run stay in the network in which they began.
PERMANENT: Sequence[str] = ("node_name", "service_cidr", "pod_cidr", "domain", "network_plugin")
KEPT: Sequence[str] = (
    "port",
    "docker",
    "controller_manager_port",
    "scheduler_port",
    "kubelet_health_port",
    "network_policies_port",
    "load_balancer_port",
    "ingress_port",
    "network_policies",
    "load_balancer",
    "address_pool",
    "metrics_server",
    "local_path",
    "cni_conf_dir",
    "cni_bin_dir",
    "ingress",
)
