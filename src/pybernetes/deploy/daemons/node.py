"""kubelet, kube-proxy, flanneld and kube-network-policies of a host that runs pods (upstream: kubeadm app/phases/kubelet/flags.go)."""

from __future__ import annotations

import json

from ..configuration import KUBERNETES_DIR
from .flags import command_line
from .model import Check, Cluster, Daemon, File, Host

KUBELET, PROXY, FLANNEL, POLICIES = "kubelet", "kube-proxy", "flanneld", "kube-network-policies"
KUBELET_DIR = "/var/lib/kubelet"
KUBELET_CONFIG = f"{KUBELET_DIR}/config.yaml"
BOOTSTRAP_KUBECONFIG, KUBECONFIG = f"{KUBERNETES_DIR}/bootstrap-kubelet.conf", f"{KUBERNETES_DIR}/kubelet.conf"
PROXY_CONFIG = "/var/lib/kube-proxy/config.conf"
NETWORK_CONFIG, SUBNET_FILE = "/etc/kube-flannel/net-conf.json", "/run/flannel/subnet.env"
# The other daemons of a host come as its node: with a certificate that the kubelet renews, and no secret that would have to be handed on.
KUBELET_HEALTH_PORT, PROXY_HEALTH_PORT, FLANNEL_HEALTH_PORT, POLICIES_PORT = 10248, 10256, 8285, 9080


def kubelet(cluster: Cluster, host: Host) -> Daemon:
    """Comes with the bootstrap token once, with a certificate of its own from then on; pods' network is flannel's where there is one."""
    arguments = {
        "bootstrap-kubeconfig": BOOTSTRAP_KUBECONFIG,
        "config": KUBELET_CONFIG,
        "hostname-override": host.name,
        "kubeconfig": KUBECONFIG,
        "node-ip": host.address,
    }
    if cluster.network.backend:
        arguments["pod-subnet-file"] = SUBNET_FILE
    return Daemon(
        name=KUBELET,
        about="runs this host's pods",
        program=KUBELET,
        arguments=command_line(arguments, cluster.configuration.init.node_registration.kubelet_extra_args),
        ours=True,
        directories=(KUBELET_DIR,),
        check=Check(url=f"http://127.0.0.1:{KUBELET_HEALTH_PORT}/healthz"),
    )


def proxy(cluster: Cluster, host: Host) -> Daemon:
    """Leads to Services from this host and its pods."""
    arguments = {"config": PROXY_CONFIG, "hostname-override": host.name}
    return Daemon(
        name=PROXY,
        about="leads to Services from this host",
        program=PROXY,
        arguments=command_line(arguments),
        ours=True,
        check=Check(url=f"http://127.0.0.1:{PROXY_HEALTH_PORT}/healthz"),
    )


def network_config(cluster: Cluster) -> str:
    """flannel's net-conf.json: the pods' ranges, of which each node has a part, and the way between hosts."""
    ranges = [text.strip() for text in cluster.configuration.cluster.networking.pod_subnet.split(",") if text.strip()]
    content: dict[str, object] = {"Backend": {"Type": cluster.network.backend}}
    for one in ranges:
        content["IPv6Network" if ":" in one else "Network"] = one
    if any(":" in one for one in ranges):
        content |= {"EnableIPv6": True, "EnableIPv4": any(":" not in one for one in ranges)}
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def flannel(cluster: Cluster, host: Host) -> Daemon:
    """Joins the pods' networks of the hosts; takes the node's podCIDR for its subnet."""
    arguments = {
        "healthz-ip": "127.0.0.1",
        "healthz-port": str(FLANNEL_HEALTH_PORT),
        "iface": host.address,
        "ip-masq": "true" if cluster.network.ip_masq else "false",
        "kube-subnet-mgr": "true",
        "kubeconfig-file": KUBECONFIG,
        "net-config-path": NETWORK_CONFIG,
        "public-ip": host.address,
        "subnet-file": SUBNET_FILE,
    }
    return Daemon(
        name=FLANNEL,
        about="joins the pods' networks of the hosts",
        program=FLANNEL,
        arguments=command_line(arguments),
        ours=True,
        environment={"NODE_NAME": host.name},
        files=(File(NETWORK_CONFIG, network_config(cluster)),),
        after=(KUBELET,),
        check=Check(url=f"http://127.0.0.1:{FLANNEL_HEALTH_PORT}/healthz"),
    )


def network_policies(cluster: Cluster, host: Host) -> Daemon:
    """Has NetworkPolicies hold for this host's pods."""
    address = f"127.0.0.1:{POLICIES_PORT}"
    arguments = {"hostname-override": host.name, "kubeconfig": KUBECONFIG, "metrics-bind-address": address}
    return Daemon(
        name=POLICIES,
        about="has NetworkPolicies hold for this host's pods",
        program=POLICIES,
        arguments=command_line(arguments),
        ours=True,
        after=(KUBELET,),
        check=Check(url=f"http://{address}/healthz"),
    )
