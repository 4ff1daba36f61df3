"""metrics-server's flags (upstream: cmd/metrics-server/app/options)."""

from __future__ import annotations

from pybernetes.api.labels import Selector, parse_selector
from pybernetes.component import flags
from pybernetes.component.clientflags import client_flags
from pybernetes.component.command import VERBOSITY, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.component.servingflags import serving_flags

from .kubelets import ADDRESS_TYPES, PORT, Resolver

KUBELET = "Kubelet client"
MIN_RESOLUTION = 10.0  # seconds; upstream's: kubelets measure no more often

FLAGS = (
    Flag("metric-resolution", flags.duration, 60.0, "How often kubelets are asked; 10s or more."),
    Flag("kubelet-use-node-status-port", flags.boolean, False, "Take the port that a Node's status tells.", KUBELET),
    Flag("kubelet-port", flags.integer, PORT, "The port of kubelets.", KUBELET),
    Flag(
        "kubelet-preferred-address-types",
        flags.strings,
        list(ADDRESS_TYPES),
        "Which of a Node's addresses is taken, the first that it has.",
        KUBELET,
    ),
    Flag("kubelet-insecure-tls", flags.boolean, False, "Do not look at kubelets' serving certificates.", KUBELET),
    Flag(
        "kubelet-certificate-authority", flags.string, "", "Who signs those, PEM; default: the kubeconfig's.", KUBELET
    ),
    Flag("kubelet-client-certificate", flags.string, "", "What is shown to kubelets, PEM.", KUBELET),
    Flag("kubelet-client-key", flags.string, "", "Its key, PEM.", KUBELET),
    Flag("kubelet-request-timeout", flags.duration, 10.0, "How long a kubelet may take to answer.", KUBELET),
    Flag("node-selector", flags.string, "", "Only nodes with these labels.", KUBELET, short="l"),
    flags.ignored("authorization-always-allow-paths", flags.string, "health is open to all"),
    *client_flags(burst=10),
    *serving_flags(443, proxied=True),
    VERBOSITY,
)


def check(values: Values) -> None:
    """UsageError for what does not go together."""
    if values["metric-resolution"] < MIN_RESOLUTION:
        raise UsageError("--metric-resolution should be a time duration at least 10s")
    if values["kubelet-certificate-authority"] and values["kubelet-insecure-tls"]:
        raise UsageError("cannot use both --kubelet-certificate-authority and --kubelet-insecure-tls")
    if bool(values["kubelet-client-key"]) != bool(values["kubelet-client-certificate"]):
        raise UsageError("need both --kubelet-client-key and --kubelet-client-certificate")
    if values["kubelet-request-timeout"] <= 0:
        raise UsageError("--kubelet-request-timeout should be positive")
    if not 0 < values["kubelet-port"] < 65536:
        raise UsageError(f"--kubelet-port={values['kubelet-port']}: want 1 to 65535")


def resolver(values: Values) -> Resolver:
    """Where kubelets are asked."""
    types = values["kubelet-preferred-address-types"]
    return Resolver(tuple(types), values["kubelet-port"], values["kubelet-use-node-status-port"])


def node_selector(values: Values) -> Selector:
    """UsageError."""
    try:
        return parse_selector(values["node-selector"])
    except ValueError as error:
        raise UsageError(f"--node-selector={values['node-selector']}: {error}") from error
