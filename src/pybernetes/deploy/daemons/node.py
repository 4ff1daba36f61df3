"""kubelet, kube-proxy and flanneld of a host that runs pods (upstream: kubeadm app/phases/kubelet/flags.go)."""

from __future__ import annotations

from ..configuration import KUBERNETES_DIR
from .flags import command_line
from .model import Check, Cluster, Daemon, Host

KUBELET, PROXY, FLANNEL = "kubelet", "kube-proxy", "flanneld"
KUBELET_DIR = "/var/lib/kubelet"
KUBELET_CONFIG = f"{KUBELET_DIR}/config.yaml"
BOOTSTRAP_KUBECONFIG, KUBECONFIG = f"{KUBERNETES_DIR}/bootstrap-kubelet.conf", f"{KUBERNETES_DIR}/kubelet.conf"
PROXY_CONFIG, PROXY_KUBECONFIG = "/var/lib/kube-proxy/config.conf", f"{KUBERNETES_DIR}/kube-proxy.conf"
FLANNEL_KUBECONFIG, SUBNET_FILE = f"{KUBERNETES_DIR}/flannel.conf", "/run/flannel/subnet.env"
KUBELET_HEALTH_PORT, PROXY_HEALTH_PORT, FLANNEL_HEALTH_PORT = 10248, 10256, 8285


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


def flannel(cluster: Cluster, host: Host) -> Daemon:
    """Joins the pods' networks of the hosts; takes the node's podCIDR for its subnet."""
    arguments = {
        "healthz-ip": "127.0.0.1",
        "healthz-port": str(FLANNEL_HEALTH_PORT),
        "iface": host.address,
        "ip-masq": "true" if cluster.network.ip_masq else "false",
        "kube-subnet-mgr": "true",
        "kubeconfig-file": FLANNEL_KUBECONFIG,
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
        after=(KUBELET,),
        check=Check(url=f"http://127.0.0.1:{FLANNEL_HEALTH_PORT}/healthz"),
    )
