"""`pybernetes COMMAND [flags]`."""

from __future__ import annotations

import importlib
import sys

# name -> (module with main(arguments) -> exit code, what it does); modules load when asked for
COMMANDS = {
    "up": ("pybernetes.cli.up", "a running cluster on this machine"),
    "status": ("pybernetes.cli.status", "the health of its parts, nodes and add-ons; certificates' ends"),
    "doctor": ("pybernetes.cli.doctor", "what is wrong with this host, and what to do about it"),
    "logs": ("pybernetes.cli.logs", "the log of a part"),
    "down": ("pybernetes.cli.down", "ends the cluster and cleans the machine"),
    "supervise": ("pybernetes.cli.supervise", "runs the parts in the foreground, for a service manager"),
    "init": ("pybernetes.cli.init", "the first host of a cluster of several, with kubeadm's flags and phases"),
    "join": (
        "pybernetes.cli.join",
        "this host into a cluster, as worker or with --control-plane, with kubeadm's flags",
    ),
    "reset": ("pybernetes.cli.reset", "takes back what init or join has made on this host"),
    "deploy": (
        "pybernetes.cli.deploy",
        "all hosts of a cluster from one file, over SSH: deploy cluster.yaml --dry-run",
    ),
    "upgrade": ("pybernetes.cli.upgrade", "a cluster of several to this version: plan, apply, node, as kubeadm's"),
    "token": ("pybernetes.cli.token", "bootstrap tokens, with kubeadm's flags"),
    "certs": ("pybernetes.cli.certs", "certificates' ends and renewal, with kubeadm's flags"),
    "config": ("pybernetes.cli.config", "configuration files of init and join, images; with kubeadm's flags"),
    "etcd": ("pybernetes.cli.etcd", "members, health, snapshots, space and alarms of a cluster's etcd"),
    "backup": ("pybernetes.cli.backup", "objects, certificates and configuration of this host in one file"),
    "restore": ("pybernetes.cli.restore", "brings a backup back"),
    "node": ("pybernetes.cli.node", "drains a node, brings it back, or removes it with its member of etcd"),
    "kubeconfig": ("pybernetes.cli.kubeconfig", "a kubeconfig for a further user, with kubeadm's flags"),
    "kube-apiserver": ("pybernetes.cli.apiserver", "the API server, with upstream's flags"),
    "kube-controller-manager": ("pybernetes.cli.controllermanager", "the controllers, with upstream's flags"),
    "kube-scheduler": ("pybernetes.cli.scheduler", "places pods on nodes, with upstream's flags"),
    "store": ("pybernetes.cli.store", "copies all objects between SQLite, etcd and files: store copy FROM TO"),
    "testserver": ("pybernetes.cli.testserver", "a private API server on the memory store, for tests; needs no root"),
    "envtest-assets": (
        "pybernetes.cli.envtestassets",
        "a folder for KUBEBUILDER_ASSETS: etcd, kube-apiserver and kubectl for suites of controller-runtime",
    ),
    "kubelet": ("pybernetes.cli.kubelet", "pods on this node (Docker, or hollow), with upstream's flags"),
    "kube-proxy": ("pybernetes.cli.proxy", "services on this node (iptables), with upstream's flags"),
    "kube-network-policies": (
        "pybernetes.cli.networkpolicies",
        "network policies on this node (nftables), with upstream's flags",
    ),
    "service-load-balancer": (
        "pybernetes.cli.serviceloadbalancer",
        "addresses for services of type LoadBalancer where there is no cloud (pools by ARP and NDP, or the nodes' own)",
    ),
    "metrics-server": (
        "pybernetes.cli.metricsserver",
        "what nodes and pods use, as metrics.k8s.io (kubectl top, HPA), with upstream's flags",
    ),
    "local-path-provisioner": (
        "pybernetes.cli.localpath",
        "directories of this node as volumes for claims (StorageClass local-path)",
    ),
    "nginx-ingress-controller": (
        "pybernetes.cli.nginxingress",
        "ingresses by this host's nginx, with the flags of upstream's ingress-nginx",
    ),
    "flanneld": (
        "pybernetes.cli.flanneld",
        "a network for pods over several hosts (vxlan, host-gw, udp), with upstream's flags",
    ),
    "mk-docker-opts": ("pybernetes.cli.mkdockeropts", "dockerd's options for flannel's subnet.env"),
    "flannel-cni": (
        "pybernetes.cli.flannelcni",
        "the CNI plugin that hands flannel's subnet.env on to bridge and host-local",
    ),
    "coredns": ("pybernetes.cli.coredns", "cluster DNS, with a Corefile"),
    "balancer": (
        "pybernetes.cli.balancer",
        "has a host's nginx or HAProxy, and keepalived, know the control-plane hosts as they come and go",
    ),
    "image": ("pybernetes.cli.image", "packs this installation as a container image, for add-ons without a registry"),
    "version": ("pybernetes.cli.version", "prints the version"),
}


def usage() -> str:
    """The text of --help."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        ["Usage: pybernetes COMMAND [flags]", "", *lines, "", "pybernetes COMMAND --help shows a command's flags."]
    )


def main(arguments: list[str] | None = None) -> int:
    """Exit code 2 for a command line that cannot be understood."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("--help", "-h", "help"):
        print(usage())
        return 0 if given else 2
    if given[0] == "--version":
        given = ["version"]
    command = COMMANDS.get(given[0])
    if command is None:
        print(f"pybernetes: there is no command {given[0]!r}; see pybernetes --help", file=sys.stderr)
        return 2
    return int(importlib.import_module(command[0]).main(given[1:]))
