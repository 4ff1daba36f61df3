"""Flags of kube-apiserver about requests: how many and how long, and the way to kubelets."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from pybernetes.apiserver.endpoints.connect.kubelet import KubeletConfig

ADDRESS_TYPES = ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP")
FLAGS = (
    Flag("max-requests-inflight", flags.integer, 400, "So many requests that change nothing at a time; 0: no limit."),
    Flag("max-mutating-requests-inflight", flags.integer, 200, "So many requests that change something; 0: no limit."),
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
    from pybernetes.apiserver.filters.maxinflight import Limits

    return {
        "kubelet": _kubelet(values),
        "limits": Limits(values["max-requests-inflight"], values["max-mutating-requests-inflight"]),
        "request_timeout": values["request-timeout"],
    }


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
