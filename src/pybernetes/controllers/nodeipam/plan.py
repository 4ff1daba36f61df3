"""Which networks are cut into parts for nodes, by the options; pure (upstream: pkg/controller/nodeipam, the range allocator)."""

from __future__ import annotations

import ipaddress

from pybernetes.api.types import core_v1 as core

from ..options import Options
from .cidrset import CIDRSet, Network


def sets_of(options: Options) -> list[CIDRSet]:
    """One for each cluster CIDR, without what services have; ValueError for options that do not fit."""
    sets = [CIDRSet(network, mask_of(network, options)) for network in networks(options.cluster_cidr)]
    if not sets or len(sets) > 2:
        raise ValueError(f"--cluster-cidr={options.cluster_cidr!r}: one network is needed, or one of each family")
    for services in networks(options.service_cluster_ip_range):
        for cidrs in sets:
            if services.version == cidrs.network.version and services.overlaps(cidrs.network):
                cidrs.occupy(services)
    return sets


def networks(text: str) -> list[Network]:
    """The networks of a comma-separated flag; ValueError where one cannot be read."""
    return [ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()]


def mask_of(network: Network, options: Options) -> int:
    """The prefix length of a node's part."""
    if options.node_cidr_mask_size:
        return options.node_cidr_mask_size
    return options.node_cidr_mask_size_ipv4 if network.version == 4 else options.node_cidr_mask_size_ipv6


def cidrs_of(node: core.Node) -> list[Network]:
    """What a node has; ValueError where it cannot be read."""
    return [ipaddress.ip_network(text) for text in node.spec.pod_cidrs or filter(None, [node.spec.pod_cidr])]
