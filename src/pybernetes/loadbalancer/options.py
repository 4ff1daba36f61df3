"""service-load-balancer's flags."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from pybernetes.component import flags
from pybernetes.component.bindaddress import bind_address
from pybernetes.component.clientflags import client_flags
from pybernetes.component.command import VERBOSITY, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.component.leaderflags import leader_flags

from .controller import Config
from .pools import PoolError, parse

METRICS_PORT = 9081
# Of this host's daemons: a Service at the node's own address would take them away from who asks for them.
RESERVED = ["22", "2379", "2380", "6443", "10250", "10256"]
OF_NGINX = ["80", "443"]  # where it serves Ingresses on the nodes
LEASE = "pybernetes-service-load-balancer"

FLAGS = (
    Flag(
        "address-pool",
        flags.strings,
        [],
        "Addresses for services, as CIDRs or FIRST-LAST; without any, services get the nodes' own addresses.",
    ),
    Flag("announce", flags.boolean, True, "Whether this node announces addresses of the pools (ARP, NDP)."),
    Flag("hostname-override", flags.string, "", "The node's name, if it is not the host's."),
    Flag(
        "interface",
        flags.strings,
        [],
        "Where addresses are announced: names, or addresses of theirs; default: the default route's.",
    ),
    Flag("load-balancer-class", flags.string, "", "The loadBalancerClass to serve; empty: services that name none."),
    Flag(
        "metrics-bind-address",
        flags.string,
        f"127.0.0.1:{METRICS_PORT}",
        "Where metrics and health are served; empty: nowhere.",
    ),
    Flag(
        "reserved-ports", flags.strings, RESERVED, "Ports of the nodes that no service gets, where there are no pools."
    ),
    *client_flags(burst=10),
    *leader_flags(LEASE),
    VERBOSITY,
)


@dataclass(frozen=True, slots=True)
class LoadBalancerOptions:
    """`serving` is (host, port), None where nothing is served."""

    node: str
    config: Config
    interfaces: tuple[str, ...]
    announces: bool
    serving: tuple[str, int] | None


def load_balancer_options(values: Values) -> LoadBalancerOptions:
    """Checked values. UsageError with the flag's name."""
    try:
        pools = parse(values["address-pool"])
    except PoolError as error:
        raise UsageError(f"--address-pool: {error}") from None
    try:
        reserved = frozenset(int(text) for text in values["reserved-ports"])
    except ValueError as error:
        raise UsageError(f"--reserved-ports: {error}") from None
    return LoadBalancerOptions(
        node=(values["hostname-override"] or socket.gethostname()).strip().lower(),
        config=Config(pools, values["load-balancer-class"], reserved),
        interfaces=tuple(values["interface"]),
        announces=values["announce"] and bool(pools.ranges),
        serving=bind_address("metrics-bind-address", values["metrics-bind-address"], METRICS_PORT),
    )
