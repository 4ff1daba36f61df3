"""What a kubelet cannot be told; pure, in upstream's words (upstream: cmd/kubelet/app/options/options.go, pkg/kubelet/apis/config/validation).

Found at the start, for later nobody would: the API server refuses the Node again and again, or pods have a resolver that is none.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from pybernetes.api import nodelabels
from pybernetes.api.names import dns1123_subdomain_errors, label_key_errors, label_value_errors

from .options import KubeletConfiguration


def problems(chosen: KubeletConfiguration) -> list[str]:
    """A line for each; [] where a kubelet can begin."""
    return [
        *_labels(chosen.options.node_labels),
        *_taints(chosen),
        *_numbers(chosen),
        *_addresses(chosen),
        *_names(chosen),
    ]


def _labels(labels: Mapping[str, str]) -> Iterator[str]:
    unknown = sorted(key for key in labels if not nodelabels.may_set(key))
    if unknown:
        yield (
            f"unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: [{' '.join(unknown)}]; "
            f"--node-labels in the 'kubernetes.io' namespace must begin with an allowed prefix ({', '.join(nodelabels.DOMAINS)}) "
            f"or be in the specifically allowed set ({', '.join(sorted(nodelabels.LABELS))})"
        )
    for key, value in sorted(labels.items()):
        errors = [*label_key_errors(key), *label_value_errors(value)]
        if errors:
            yield f"invalid node labels: {key}={value}: {'; '.join(errors)}"


def _taints(chosen: KubeletConfiguration) -> Iterator[str]:
    seen = set[tuple[str, str]]()
    for taint in chosen.options.register_with_taints:
        shown = f"{taint.key}={taint.value}:{taint.effect}"
        if (taint.key, taint.effect) in seen:
            yield f"--register-with-taints: duplicated taints with the same key and effect: {shown}"
        seen.add((taint.key, taint.effect))
        if errors := [*label_key_errors(taint.key), *label_value_errors(taint.value)]:
            yield f"--register-with-taints: invalid taint spec: {shown}, {'; '.join(errors)}"


def _numbers(chosen: KubeletConfiguration) -> Iterator[str]:
    options, collection = chosen.options, chosen.options.image_gc
    high, low = collection.high_percent, collection.low_percent
    for flag, field, port in (
        ("port", "port", options.port),
        ("healthz-port", "healthzPort", chosen["healthz-port"]),
    ):
        if not 0 <= port <= 65535:
            yield f"{field} (--{flag}) {port} must be between 1 and 65535, inclusive; 0: none"
    for flag, field, number in (
        ("max-pods", "maxPods", options.max_pods),
        ("pods-per-core", "podsPerCore", options.pods_per_core),
    ):
        if number < 0:
            yield f"{field} (--{flag}) {number} must not be a negative number"
    for flag, field, percent in (
        ("image-gc-high-threshold", "imageGCHighThresholdPercent", high),
        ("image-gc-low-threshold", "imageGCLowThresholdPercent", low),
    ):
        if not 0 <= percent <= 100:
            yield f"{field} (--{flag}) {percent} must be between 0 and 100, inclusive"
    if low >= high:
        yield (
            f"imageGCLowThresholdPercent (--image-gc-low-threshold) {low} must be less than "
            f"imageGCHighThresholdPercent (--image-gc-high-threshold) {high}"
        )
    if collection.maximum_age and collection.maximum_age <= collection.minimum_age:
        yield (
            f"imageMaximumGCAge {collection.maximum_age.total_seconds():g}s must be greater than "
            f"imageMinimumGCAge {collection.minimum_age.total_seconds():g}s"
        )
    if options.max_images < -1:
        yield f"nodeStatusMaxImages (--node-status-max-images) must be -1 or greater: {options.max_images}"


def _addresses(chosen: KubeletConfiguration) -> Iterator[str]:
    options = chosen.options
    addresses = [*map(_address, options.node_ip)]
    if None in addresses or any(one is not None and one.is_unspecified for one in addresses):
        yield f"bad --node-ip {','.join(options.node_ip)!r}: want addresses of this machine"
    elif len(addresses) > 2 or len({one.version for one in addresses if one is not None}) < len(addresses):
        yield f"bad --node-ip {','.join(options.node_ip)!r}; must contain either a single IP or a dual-stack pair of IPs"
    for server in options.cluster_dns:
        if _address(server) is None:
            yield f"clusterDNS (--cluster-dns): Invalid DNS ip {server!r}"
    if options.pod_cidr:
        try:
            ipaddress.ip_network(options.pod_cidr, strict=False)
        except ValueError:
            yield f"podCIDR (--pod-cidr) {options.pod_cidr!r}: invalid CIDR address"


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _names(chosen: KubeletConfiguration) -> Iterator[str]:
    options = chosen.options
    if errors := dns1123_subdomain_errors(options.hostname_override):
        yield f"--hostname-override={options.hostname_override}: {'; '.join(errors)}"
    if options.cluster_domain and (errors := dns1123_subdomain_errors(options.cluster_domain.rstrip("."))):
        yield f"clusterDomain (--cluster-domain) {options.cluster_domain!r}: {'; '.join(errors)}"
