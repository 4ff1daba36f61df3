"""Which subsets the Endpoints of a service should have; pure (upstream: pkg/controller/endpoint)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from pybernetes.api.pods import is_ready
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.wellknown import ENDPOINTS_LABEL_MANAGED_BY, ENDPOINTS_OVER_CAPACITY

from ..endpointslice import endpoints as util

MAX_ADDRESSES = 1000  # more would make objects that no client can bear
TRUNCATED = "truncated"
MANAGER = "endpoint-controller"


def subsets_of(service: core.Service, pods: Sequence[core.Pod]) -> list[core.EndpointSubset]:
    """The addresses of the pods under the ports that each of them really has."""
    unready = service.spec.publish_not_ready_addresses
    family = util.families(service, pods)[0]
    subsets: list[core.EndpointSubset] = []
    for pod in pods:
        if not util.belongs(pod, unready):
            continue
        addresses = util.addresses_of(pod, family)
        if not addresses:
            continue
        ports = _ports_of(service, pod)
        if not ports and not (util.is_headless(service) and not service.spec.ports):
            continue
        address = core.EndpointAddress(
            ip=addresses[0],
            node_name=pod.spec.node_name or None,
            target_ref=util.pod_reference(pod),
            hostname=pod.spec.hostname if util.has_hostname(pod, service) else "",
        )
        subset = core.EndpointSubset(ports=ports)
        (subset.addresses if unready or is_ready(pod) else subset.not_ready_addresses).append(address)
        subsets.append(subset)
    return util.repack(subsets)


def _ports_of(service: core.Service, pod: core.Pod) -> list[core.EndpointPort]:
    numbers = ((port, util.find_port(pod, port)) for port in service.spec.ports)
    return [
        core.EndpointPort(name=port.name, port=number, protocol=port.protocol, app_protocol=port.app_protocol)
        for port, number in numbers
        if number is not None
    ]


def truncate(subsets: Sequence[core.EndpointSubset]) -> tuple[list[core.EndpointSubset], bool]:
    """No more than the limit, ready ones first, each subset its share; whether something was left out (truncateEndpoints)."""
    ready = sum(len(subset.addresses) for subset in subsets)
    unready = sum(len(subset.not_ready_addresses) for subset in subsets)
    if ready + unready <= MAX_ADDRESSES:
        return list(subsets), False
    ready_shares = _shares([len(subset.addresses) for subset in subsets], MAX_ADDRESSES)
    room = MAX_ADDRESSES - sum(ready_shares)
    unready_shares = _shares([len(subset.not_ready_addresses) for subset in subsets], room)
    result = [
        core.EndpointSubset(
            addresses=subset.addresses[:some],
            not_ready_addresses=subset.not_ready_addresses[:others],
            ports=subset.ports,
        )
        for subset, some, others in zip(subsets, ready_shares, unready_shares, strict=True)
    ]
    return [subset for subset in result if subset.addresses or subset.not_ready_addresses], True


def _shares(sizes: Sequence[int], room: int) -> list[int]:
    total = sum(sizes)
    if total <= room:
        return list(sizes)
    shares = [size * room // total for size in sizes]
    for index, size in enumerate(sizes):  # what rounding left over
        more = min(room - sum(shares), size - shares[index])
        shares[index] += max(0, more)
    return shares


def desired(
    service: core.Service, current: core.Endpoints | None, pods: Sequence[core.Pod], moment: datetime | None
) -> core.Endpoints | None:
    """What to write, None where it is so already; `moment` is the time of the change that is answered."""
    subsets, over = truncate(subsets_of(service, pods))
    labels = {
        **util.with_headless(service.metadata.labels, util.is_headless(service)),
        ENDPOINTS_LABEL_MANAGED_BY: MANAGER,
    }
    if current is not None and (
        util.without_versions(current.subsets) == subsets
        and current.metadata.labels == labels
        and (current.metadata.annotations.get(ENDPOINTS_OVER_CAPACITY) == TRUNCATED) == over
    ):
        return None
    if current is None:
        identity = meta.ObjectMeta(name=service.metadata.name, namespace=service.metadata.namespace)
        current = core.Endpoints(metadata=identity)
    notes = util.annotate(current.metadata.annotations, moment)
    notes.pop(ENDPOINTS_OVER_CAPACITY, None)
    if over:
        notes[ENDPOINTS_OVER_CAPACITY] = TRUNCATED
    metadata = msgspec.structs.replace(current.metadata, labels=labels, annotations=notes)
    return core.Endpoints(metadata=metadata, subsets=subsets)
