"""Flags of `init` and `join`, and the work that they mean on this host."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from pybernetes.component import flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from pybernetes.cluster.assembly.hoststate import HostState

OURS = "Ours"
RUN_WITH = Flag(
    "run-with",
    flags.string,
    "",
    "Who runs the daemons: systemd or supervisor; default: systemd where it runs this host.",
    OURS,
)
STATIC_PODS = Flag(
    "static-pods",
    flags.boolean,
    False,
    "The control plane of this host in static pods of its kubelet, as kubeadm's; they run an image that is packed here.",
    OURS,
)
IGNORED_CHECKS = Flag(
    "ignore-preflight-errors",
    flags.strings,
    [],
    "Checks whose errors are shown as warnings, e.g. 'Port-6443,Disk'; 'all' ignores them all.",
)
SKIPPED = Flag("skip-phases", flags.strings, [], "Phases to be skipped, by their names or those of their groups.")
CERTIFICATE_KEY = Flag(
    "certificate-key", flags.string, "", "Key used to encrypt the control-plane certificates: 64 hexadecimal digits."
)
POD_CIDR = Flag(
    "pod-network-cidr",
    flags.string,
    "",
    "The range of IP addresses for the pods' network; flannel's default: 10.244.0.0/16.",
)
BALANCER = Flag(
    "balancer",
    flags.string,
    "none",
    "Before the API servers, on each control-plane host: nginx, haproxy or none.",
    OURS,
)
ON_NODES = Flag(
    "balancer-on-nodes",
    flags.boolean,
    False,
    "The balancer on each host for itself, at --control-plane-endpoint=127.0.0.1:PORT, without a virtual address.",
    OURS,
)
ROUTER_ID = Flag(
    "virtual-router-id", flags.integer, 51, "VRRP's, 1 to 255: another one for each cluster on a network.", OURS
)
BACKEND = Flag(
    "pod-network", flags.string, "vxlan", "flannel's backend: vxlan, host-gw, udp; none: somebody else's network.", OURS
)

METRICS_SERVER = Flag(
    "metrics-server", flags.boolean, False, "Whether `kubectl top` and autoscalers have figures.", OURS
)
LOCAL_PATH = Flag("local-path", flags.boolean, False, "Whether claims get directories of nodes as volumes.", OURS)
LOAD_BALANCER = Flag(
    "load-balancer", flags.boolean, False, "Whether services of type LoadBalancer get addresses.", OURS
)
ADDRESS_POOL = Flag(
    "address-pool",
    flags.strings,
    [],
    "Which: CIDRs or FIRST-LAST, announced by ARP and NDP; none: the nodes' own.",
    OURS,
)
INGRESS = Flag(
    "ingress",
    flags.boolean,
    False,
    "Whether nginx serves Ingresses at ports 80 and 443 of nodes that take users' pods.",
    OURS,
)
ADD_ONS = (METRICS_SERVER, LOCAL_PATH, LOAD_BALANCER, ADDRESS_POOL, INGRESS)


def state(command: str, values: Values, name: str, address: str, control_plane: bool) -> HostState:
    """What this host remembers of a run that was cut off, or a new one; nothing is written. UsageError, Failure."""
    from pybernetes.cluster.assembly import hoststate, runner

    way = values["run-with"]
    if way and way not in runner.WAYS:
        raise UsageError(f"--run-with={way}: choose one of {', '.join(runner.WAYS)}")
    try:
        present = hoststate.load()
    except hoststate.StateError as error:
        raise Failure(str(error)) from error
    if present is not None and present.command != command:
        raise Failure(f"`{present.command}` was begun on this host: `pybernetes reset` takes it back")
    if present is not None and way and way != present.run_with:
        raise Failure(
            f"--run-with={way}: the daemons of this host are run by {present.run_with}; `pybernetes reset` ends them"
        )
    if present is not None and (present.node_name, present.address) != (name, address):
        raise Failure(
            f"`{command}` was begun as {present.node_name} at {present.address}: `pybernetes reset` takes it back"
        )
    static_pods = bool(values.get("static-pods", False))
    if present is not None and static_pods and not present.static_pods:
        raise Failure("--static-pods: the control plane of this host is not run so; `pybernetes reset` ends it")
    if present is not None:
        return present
    return hoststate.HostState(
        command=command,
        run_with=way or runner.default_way(),
        node_name=name,
        address=address,
        control_plane=control_plane,
        static_pods=static_pods,
    )


def skipped(name: str, chosen: Collection[str]) -> bool:
    """Whether --skip-phases names a phase or its group."""
    return name in chosen or name.partition("/")[0] in chosen


def known(chosen: Sequence[str], names: Sequence[str]) -> None:
    """UsageError for a phase that there is not."""
    groups = {name.partition("/")[0] for name in names}
    for one in chosen:
        if one not in names and one not in groups:
            raise UsageError(f"--skip-phases={one}: invalid phase name; there are {', '.join(names)}")
