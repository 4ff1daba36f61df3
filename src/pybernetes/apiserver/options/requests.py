"""Flags of kube-apiserver about requests: how many and how long, and the way to kubelets."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from pybernetes.apiserver.endpoints.connect.kubelet import KubeletConfig
    from pybernetes.apiserver.filters.maxinflight import Limits

ADDRESS_TYPES = ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP")
FLAGS = (
    Flag(
        "enable-priority-and-fairness",
        flags.boolean,
        True,
        "Requests wait and are refused by FlowSchemas and PriorityLevelConfigurations; false: by the two limits alone.",
    ),
    Flag(
        "max-requests-inflight",
        flags.integer,
        400,
        "Together with the next one the seats of the server; without priority and fairness so many requests that change nothing at a "
        "time, 0: no limit.",
    ),
    Flag(
        "max-mutating-requests-inflight",
        flags.integer,
        200,
        "See the one before; without priority and fairness so many requests that change something, 0: no limit.",
    ),
    Flag("request-timeout", flags.duration, 60.0, "How long a request may take that is not a watch or the like."),
    Flag(
        "kubelet-preferred-address-types",
        flags.strings,
        list(ADDRESS_TYPES),
        "Which of a node's addresses leads to its kubelet, in this order.",
    ),
    Flag("kubelet-client-certificate", flags.string, "", "What is shown to kubelets, PEM."),
    Flag("kubelet-client-key", flags.string, "", "Its key, PEM."),
    Flag("kubelet-certificate-authority", flags.string, "", "Who signs kubelets' certificates; empty: not checked."),
)


def options(values: Values) -> dict[str, Any]:
    """For apiserver.server.Options; UsageError for what cannot be."""
    limits, fair = _limits(values), values["enable-priority-and-fairness"]
    if fair and limits.total <= 0:
        raise UsageError(
            f"invalid configuration: MaxRequestsInFlight={limits.read_only} and MaxMutatingRequestsInFlight={limits.mutating}; "
            "they must add up to something positive"
        )
    return {
        "kubelet": _kubelet(values),
        "limits": limits,
        "priority_and_fairness": fair,
        "request_timeout": values["request-timeout"],
    }


def _limits(values: Values) -> Limits:
    from pybernetes.apiserver.filters.maxinflight import Limits

    for name in ("max-requests-inflight", "max-mutating-requests-inflight"):
        if values[name] < 0:
            raise UsageError(f"--{name} can not be negative value")
    return Limits(values["max-requests-inflight"], values["max-mutating-requests-inflight"])


def _kubelet(values: Values) -> KubeletConfig:
    from pybernetes.apiserver.endpoints.connect.kubelet import KubeletConfig

    unknown = [kind for kind in values["kubelet-preferred-address-types"] if kind not in ADDRESS_TYPES]
    if unknown:
        raise UsageError(f"--kubelet-preferred-address-types: {unknown[0]!r} is none of {', '.join(ADDRESS_TYPES)}")
    config = KubeletConfig(
        address_types=values["kubelet-preferred-address-types"],
        certificate=values["kubelet-client-certificate"],
        key=values["kubelet-client-key"],
        authority=values["kubelet-certificate-authority"],
    )
    try:
        config.context  # noqa: B018  # read now, so that a wrong file is a wrong start
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"the files of --kubelet-client-* and --kubelet-certificate-authority: {error}") from error
    return config
