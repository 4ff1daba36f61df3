"""`pybernetes up`: a running cluster, from whatever is there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.component import command, flags
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from pybernetes.cluster.up import UpOptions

PROGRAM = "pybernetes up"
FLAGS = (
    Flag(
        "data-dir",
        flags.string,
        "",
        "Where the cluster's state lies (default: /var/lib/pybernetes as root, else ~/.local/share/pybernetes).",
    ),
    Flag("no-install", flags.boolean, False, "Install nothing from Debian; only say what is missing."),
    Flag("hollow-nodes", flags.integer, 0, "So many nodes whose pods run without containers, instead of Docker."),
    Flag("port", flags.integer, None, "The API server's port (default 6443)."),
    Flag("node-name", flags.string, None, "The node's name (default: the host's)."),
    Flag("service-cidr", flags.string, None, "Addresses of Services (default 10.96.0.0/12)."),
    Flag("pod-cidr", flags.string, None, "Addresses of pods (default 10.244.0.0/16)."),
    Flag("docker", flags.string, None, "The Docker daemon's socket (default unix:///var/run/docker.sock)."),
    Flag("network-policies", flags.boolean, None, "Whether NetworkPolicies hold (default true); needs nftables."),
    Flag("load-balancer", flags.boolean, None, "Whether services of type LoadBalancer get addresses (default true)."),
    Flag(
        "address-pool",
        flags.strings,
        None,
        "Which: CIDRs or FIRST-LAST, announced by ARP and NDP (default: the node's own).",
    ),
    Flag("metrics-server", flags.boolean, None, "Whether `kubectl top` and autoscalers have figures (default true)."),
    Flag("local-path", flags.boolean, None, "Whether claims get directories of the node as volumes (default true)."),
    Flag(
        "ingress",
        flags.boolean,
        None,
        "Whether nginx serves Ingresses at ports 80 and 443 (default false); needs nginx.",
    ),
    Flag(
        "network-plugin", flags.string, None, "Who connects pods: kubenet, a bridge of ours (default), or cni, plugins."
    ),
    Flag("cni-conf-dir", flags.string, None, "Where networks for plugins are described (default /etc/cni/net.d)."),
    Flag("cni-bin-dir", flags.strings, None, "Where plugins are (default /opt/cni/bin,/usr/lib/cni)."),
    Flag("no-example", flags.boolean, False, "Leave examples/hello out."),
)
SETTINGS = (
    "port",
    "node-name",
    "service-cidr",
    "pod-cidr",
    "docker",
    "network-policies",
    "load-balancer",
    "address-pool",
    "metrics-server",
    "local-path",
    "network-plugin",
    "cni-conf-dir",
    "cni-bin-dir",
    "ingress",
)


def main(arguments: list[str]) -> int:
    """0 when the cluster serves."""
    return command.once(PROGRAM, FLAGS, run, arguments)


def run(values: Values) -> int:
    from pybernetes.cluster.progress import Progress
    from pybernetes.cluster.up import Up

    from .status import print_status

    up = Up(options(values), Progress())
    settings = up.run()
    code = print_status(up.layout, settings)
    config = up.layout.kubeconfig("admin")
    print(f"\nkubeconfig: {config}\n\nnext:\n  export KUBECONFIG={config}")
    command = Path(sys.argv[0]) if Path(sys.argv[0]).name == "pybernetes" else Path(sys.prefix) / "bin" / "pybernetes"
    print(f"  kubectl get pods -A -o wide\n  {command} status        # and: logs PART, down")
    return code


def options(values: Values) -> UpOptions:
    """The command line as the cluster takes it."""
    from pybernetes.cluster.layout import data_dir
    from pybernetes.cluster.up import UpOptions

    changes = {name.replace("-", "_"): values[name] for name in SETTINGS if values[name] is not None}
    return UpOptions(
        data_dir(values["data-dir"]),
        not values["no-install"],
        values["hollow-nodes"],
        not values["no-example"],
        changes,
    )
