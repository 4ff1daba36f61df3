"""What endpoints and endpoint slices have in common; pure (upstream: pkg/api/v1/endpoints, endpointslice/util, pkg/controller/util/endpoint)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from pybernetes.api.pods import is_finished, is_ready, ready_since
from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import ENDPOINTS_LAST_CHANGE_TRIGGER_TIME, IS_HEADLESS_SERVICE
from pybernetes.client.types import Informer

from ..common import Key
from ..indexers import BY_LABEL, index_by_label

BY_SELECTOR = "selector"


PAUSE = 10.0  # times what the last sync took: many pods that start one by one cost no more than a tenth of a processor


# --- which pods, which services


def index_by_selector(service: core.Service) -> list[str]:
    """NAMESPACE/KEY=VALUE of one pair of the selector: every pod that it selects has this label."""
    if not service.spec.selector or service.spec.type == "ExternalName":
        return []
    key, value = min(service.spec.selector.items())
    return [f"{service.metadata.namespace}/{key}={value}"]


def services_of(services: Informer[core.Service], pod: core.Pod) -> list[core.Service]:
    """The services that select a pod."""
    labels = pod.metadata.labels.items()
    return [
        service
        for key in index_by_label(pod)
        for service in services.by_index(BY_SELECTOR, key)
        if service.spec.selector.items() <= labels
    ]


def pods_of(pods: Informer[core.Pod], service: core.Service) -> list[core.Pod]:
    """The pods that a service selects."""
    namespace, selector = service.metadata.namespace, service.spec.selector
    candidates = min((list(pods.by_index(BY_LABEL, f"{namespace}/{k}={v}")) for k, v in selector.items()), key=len)
    return [pod for pod in candidates if selector.items() <= pod.metadata.labels.items()]


def belongs(pod: core.Pod, include_terminating: bool) -> bool:
    """Whether a pod may be an endpoint at all, ready or not (ShouldPodBeInEndpoints)."""
    if is_finished(pod) or not (pod.status.pod_ip or pod.status.pod_ips):
        return False
    return include_terminating or pod.metadata.deletion_timestamp is None


def has_hostname(pod: core.Pod, service: core.Service) -> bool:
    """Whether the pod has a DNS name of its own in the service (ShouldSetHostname)."""
    return bool(pod.spec.hostname) and pod.spec.subdomain == service.metadata.name


def changed(old: core.Pod, new: core.Pod) -> bool:
    """Whether endpoints look different after the change (podEndpointsChanged)."""
    return _facts(old) != _facts(new)


def _facts(pod: core.Pod) -> tuple[Any, ...]:
    status = pod.status
    return (
        pod.metadata.deletion_timestamp is None,
        status.pod_ip,
        [ip.ip for ip in status.pod_ips],
        is_ready(pod),
        is_finished(pod),
        pod.spec.node_name,
        pod.spec.hostname,
        pod.spec.subdomain,
    )


def services_to_tell(services: Informer[core.Service], old: core.Pod | None, new: core.Pod | None) -> set[Key]:
    """Keys of the services that a change of a pod concerns (GetServicesToUpdateOnPodChange)."""
    present = [pod for pod in (old, new) if pod is not None]
    if not any(pod.status.pod_ip or pod.status.pod_ips for pod in present):
        return set()  # without an address it is in no endpoints, before and after
    if old is not None and new is not None:
        same_labels = old.metadata.labels == new.metadata.labels
        if same_labels and not changed(old, new):
            return set()
        if same_labels:
            present = [new]
    keys = [{(s.metadata.namespace, s.metadata.name) for s in services_of(services, pod)} for pod in present]
    if len(keys) == 2 and not (old and new and changed(old, new)):
        return keys[0] ^ keys[1]  # labels only: who has it before and after sees no difference
    return set().union(*keys)


# --- ports and addresses


def find_port(pod: core.Pod, port: core.ServicePort) -> int | None:
    """The number of a target port in a pod, None where it has no port of that name (podutil.FindPort)."""
    if isinstance(port.target_port, int):
        return port.target_port or port.port
    containers: Iterable[core.Container] = [
        *pod.spec.containers,
        *(c for c in pod.spec.init_containers if c.restart_policy == "Always"),
    ]
    for container in containers:
        for candidate in container.ports:
            if candidate.name == port.target_port and (candidate.protocol or "TCP") == (port.protocol or "TCP"):
                return candidate.container_port
    return None


def is_headless(service: core.Service) -> bool:
    return service.spec.cluster_ip in ("None", "")


def families(service: core.Service, pods: Sequence[core.Pod]) -> list[str]:
    """IPv4, IPv6: those of the service; of old headless ones that do not say, those of its pods."""
    if service.spec.ip_families:
        return list(service.spec.ip_families)
    if service.spec.cluster_ip not in ("", "None"):
        return [family(service.spec.cluster_ip)]
    versions = {family(ip.ip) for pod in pods for ip in pod.status.pod_ips}
    return sorted(versions) or ["IPv4"]


def family(address: str) -> str:
    """IPv4 or IPv6; the API server has seen to it that it is an address."""
    return "IPv6" if ":" in address else "IPv4"


def addresses_of(pod: core.Pod, address_type: str) -> list[str]:
    """The pod's addresses of a family."""
    every = [ip.ip for ip in pod.status.pod_ips] or ([pod.status.pod_ip] if pod.status.pod_ip else [])
    return [address for address in every if family(address) == address_type]


def pod_reference(pod: core.Pod) -> core.ObjectReference:
    """A targetRef; without resource version, so that not every change of the pod is one of the endpoints."""
    meta = pod.metadata
    return core.ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid)


def with_headless(labels: dict[str, str], headless: bool) -> dict[str, str]:
    """Labels with or without the mark of a headless service."""
    rest = {key: value for key, value in labels.items() if key != IS_HEADLESS_SERVICE}
    return {**rest, IS_HEADLESS_SERVICE: ""} if headless else rest


# --- the canonical form of subsets


def _port_hash(port: core.EndpointPort) -> bytes:
    # Go's dump of the struct: ports then stand in the order in which upstream writes them.
    protocol = f"(*string){port.app_protocol}" if port.app_protocol is not None else "(*string)<nil>"
    text = (
        f"(v1.EndpointPort){{Name:(string){port.name} Port:(int32){port.port} "
        f"Protocol:(v1.Protocol){port.protocol} AppProtocol:{protocol}}}"
    )
    return hashlib.md5(text.encode(), usedforsecurity=False).digest()


def _address_order(address: core.EndpointAddress) -> tuple[str, str]:
    return address.ip, address.target_ref.uid if address.target_ref is not None else ""


def repack(subsets: Iterable[core.EndpointSubset]) -> list[core.EndpointSubset]:
    """Each address under exactly its ports, each set of ports once (RepackSubsets). Not ready wins over ready."""
    addresses: dict[tuple[str, str], core.EndpointAddress] = {}
    by_port: dict[tuple[Any, ...], dict[tuple[str, str], bool]] = {}
    ports: dict[tuple[Any, ...], core.EndpointPort] = {}
    for subset in subsets:
        for port in subset.ports or [core.EndpointPort(port=-1)]:
            identity = (port.name, port.port, port.protocol, port.app_protocol)
            ports[identity] = port
            members = by_port.setdefault(identity, {})
            for ready, present in ((True, subset.addresses), (False, subset.not_ready_addresses)):
                for address in present:
                    key = _address_order(address)
                    addresses.setdefault(key, address)
                    members[key] = members.get(key, True) and ready
    groups: dict[frozenset[tuple[tuple[str, str], bool]], list[tuple[Any, ...]]] = {}
    for identity, members in by_port.items():
        groups.setdefault(frozenset(members.items()), []).append(identity)
    result = []
    for group, identities in groups.items():
        ordered = sorted((ports[identity] for identity in identities), key=_port_hash)
        result.append(
            core.EndpointSubset(
                addresses=[addresses[key] for key in sorted(key for key, ready in group if ready)],
                not_ready_addresses=[addresses[key] for key in sorted(key for key, ready in group if not ready)],
                ports=[port for port in ordered if port.port != -1],
            )
        )
    return sorted(result, key=lambda subset: [_port_hash(port) for port in subset.ports])


def without_versions(subsets: Iterable[core.EndpointSubset]) -> list[core.EndpointSubset]:
    """For comparison: older controllers wrote the pods' resource versions."""

    def clean(address: core.EndpointAddress) -> core.EndpointAddress:
        if address.target_ref is None or not address.target_ref.resource_version:
            return address
        reference = msgspec.structs.replace(address.target_ref, resource_version="")
        return msgspec.structs.replace(address, target_ref=reference)

    return [
        core.EndpointSubset(
            addresses=[clean(a) for a in subset.addresses],
            not_ready_addresses=[clean(a) for a in subset.not_ready_addresses],
            ports=subset.ports,
        )
        for subset in subsets
    ]


# --- the time of the change that is answered


@dataclass(slots=True)
class _Seen:
    service: datetime | None
    pods: dict[str, datetime] = field(default_factory=dict)


class TriggerTimes:
    """When the oldest change happened that the next write answers (endpointutil.TriggerTimeTracker); feeds the annotation."""

    def __init__(self) -> None:
        self._seen: dict[Key, _Seen] = {}

    def compute(self, service: core.Service, pods: Sequence[core.Pod]) -> datetime | None:
        """None if nothing that has a time changed since the last call."""
        key = (service.metadata.namespace, service.metadata.name)
        times = {pod.metadata.name: moment for pod in pods if (moment := ready_since(pod)) is not None}
        created = service.metadata.creation_timestamp
        former = self._seen.get(key)
        self._seen[key] = _Seen(created, times)
        if former is None:
            return min([*times.values(), *([created] if created else [])], default=None)
        fresh = [moment for name, moment in times.items() if former.pods.get(name) != moment]
        if created is not None and created != former.service:
            fresh.append(created)
        return min(fresh, default=None)

    def forget(self, key: Key) -> None:
        """Drops what is remembered of a service that is gone."""
        self._seen.pop(key, None)


def annotate(annotations: dict[str, str], moment: datetime | None) -> dict[str, str]:
    """With the trigger time, or without an old one."""
    rest = {key: value for key, value in annotations.items() if key != ENDPOINTS_LAST_CHANGE_TRIGGER_TIME}
    return rest if moment is None else {**rest, ENDPOINTS_LAST_CHANGE_TRIGGER_TIME: format_time(moment)}
