"""kube-network-policies' flags (upstream: cmd/main.go; those of the queue of packets are not there)."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from pybernetes.component import flags
from pybernetes.component.bindaddress import bind_address
from pybernetes.component.clientflags import client_flags
from pybernetes.component.command import VERBOSITY, UsageError
from pybernetes.component.flags import Flag, Values

METRICS_PORT = 9080  # upstream's

FLAGS = (
    Flag("cleanup", flags.boolean, False, "Remove the table of policies from the kernel and exit."),
    Flag("hostname-override", flags.string, "", "The node's name, if it is not the host's."),
    Flag(
        "metrics-bind-address",
        flags.string,
        f"127.0.0.1:{METRICS_PORT}",
        "Where metrics and health are served; empty: nowhere.",
    ),
    Flag("sync-period", flags.duration, 30.0, "How often the table is compared with what it should be, and repaired."),
    *client_flags(burst=10),
    VERBOSITY,
)


@dataclass(frozen=True, slots=True)
class PolicyAgentOptions:
    """`serving` is (host, port), None where nothing is served; times in seconds."""

    node: str
    sync_period: float
    serving: tuple[str, int] | None


def policy_agent_options(values: Values) -> PolicyAgentOptions:
    """Checked values. UsageError with the flag's name."""
    if values["sync-period"] <= 0:
        raise UsageError("--sync-period: must be greater than 0")
    return PolicyAgentOptions(
        node=(values["hostname-override"] or socket.gethostname()).strip().lower(),
        sync_period=values["sync-period"],
        serving=bind_address("metrics-bind-address", values["metrics-bind-address"], METRICS_PORT),
    )
