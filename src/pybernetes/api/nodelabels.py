"""Which labels a node may set on itself (upstream: k8s.io/kubelet/pkg/apis/well_known_labels.go). Pure."""

from __future__ import annotations

from typing import Final

from .wellknown import (
    LABEL_ARCH,
    LABEL_ARCH_STABLE,
    LABEL_FAILURE_DOMAIN_BETA_REGION,
    LABEL_FAILURE_DOMAIN_BETA_ZONE,
    LABEL_HOSTNAME,
    LABEL_INSTANCE_TYPE,
    LABEL_INSTANCE_TYPE_STABLE,
    LABEL_OS,
    LABEL_OS_STABLE,
    LABEL_TOPOLOGY_REGION,
    LABEL_TOPOLOGY_ZONE,
)

LABELS: Final = frozenset(
    {
        LABEL_HOSTNAME,
        LABEL_OS_STABLE,
        LABEL_ARCH_STABLE,
        LABEL_OS,
        LABEL_ARCH,
        LABEL_INSTANCE_TYPE,
        LABEL_INSTANCE_TYPE_STABLE,
        LABEL_FAILURE_DOMAIN_BETA_ZONE,
        LABEL_FAILURE_DOMAIN_BETA_REGION,
        LABEL_TOPOLOGY_ZONE,
        LABEL_TOPOLOGY_REGION,
    }
)
DOMAINS: Final = ("kubelet.kubernetes.io", "node.kubernetes.io")
OF_KUBERNETES: Final = ("kubernetes.io", "k8s.io")


def within(domain: str, *parents: str) -> bool:
    """Whether a domain is one of these, or below one."""
    return any(domain == parent or domain.endswith("." + parent) for parent in parents)


def may_set(key: str) -> bool:
    """Labels of others are anybody's; of kubernetes.io and k8s.io these, and those of two domains (IsKubeletLabel)."""
    domain = key.rpartition("/")[0]
    return not within(domain, *OF_KUBERNETES) or key in LABELS or within(domain, *DOMAINS)
