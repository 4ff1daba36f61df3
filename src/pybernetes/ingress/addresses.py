"""Where Ingresses are reached: flags say it, a Service, or the nodes of the controller's pods (upstream: internal/ingress/status/status.go)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from pybernetes.api.pods import is_ready
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import networking_v1 as networking
from pybernetes.api.wellknown import CONTROLLER_REVISION_HASH_LABEL
from pybernetes.client.types import Informers

from .model import Key

# Labels of a pod that those of an earlier or later revision do not share.
OF_REVISIONS = (CONTROLLER_REVISION_HASH_LABEL, "pod-template-generation", "pod-template-hash")

Addresses = list[networking.IngressLoadBalancerIngress]
Handler = Callable[[object | None, object | None], None]


class Source(Protocol):
    """Says which addresses there are."""

    def listen(self, handler: Handler) -> None:
        """To all that changes them."""
        ...

    def now(self) -> Addresses:
        """In upstream's order."""
        ...

    def others(self) -> bool:
        """Whether somebody else serves, and writes them, when this controller has ended."""
        ...


def of_addresses(addresses: Iterable[str]) -> Addresses:
    """IPs, else names of hosts."""
    return [_ingress(each) for each in sorted(set(addresses))]


def of_service(service: core.Service | None) -> Addresses:
    """What reaches it from outside, by its type."""
    if service is None:
        return []
    spec, given = service.spec, service.status.load_balancer.ingress
    if spec.type == "ExternalName":
        return [_ingress(spec.external_name)]
    if spec.type == "LoadBalancer":
        return of_addresses([*(each.ip or each.hostname for each in given), *spec.external_ips])
    if spec.external_ips:
        return of_addresses(spec.external_ips)
    return of_addresses([spec.cluster_ip]) if spec.cluster_ip not in ("", "None") else []


def of_pods(pods: Iterable[core.Pod], nodes: Mapping[str, core.Node], internal: bool) -> Addresses:
    """Of the nodes on which pods are ready; `internal`: never their ExternalIPs."""
    names = {pod.spec.node_name for pod in pods if pod.status.phase == "Running" and is_ready(pod)}
    return of_addresses(filter(None, (_address(nodes[name], internal) for name in names if name in nodes)))


def _address(node: core.Node, internal: bool) -> str:
    """The first ExternalIP, else the first InternalIP; "" where there is none (upstream: k8s.GetNodeIPOrName)."""
    by_type: dict[str, str] = {}
    for each in node.status.addresses:
        if each.address:
            by_type.setdefault(each.type, each.address)
    inner = by_type.get("InternalIP", "")
    return inner if internal else by_type.get("ExternalIP", inner)


def _ingress(text: str) -> networking.IngressLoadBalancerIngress:
    try:
        return networking.IngressLoadBalancerIngress(ip=str(ipaddress.ip_address(text)))
    except ValueError:
        return networking.IngressLoadBalancerIngress(hostname=text)


class Told:
    """By --publish-status-address."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = of_addresses(addresses)

    def listen(self, handler: Handler) -> None:
        """They never change."""

    def now(self) -> Addresses:
        return self._addresses

    def others(self) -> bool:
        return False


class OfService:
    """By --publish-service."""

    def __init__(self, service: Key, informers: Informers) -> None:
        self._namespace, self._name = service
        self._services = informers.informer(core.Service, self._namespace)

    def listen(self, handler: Handler) -> None:
        self._services.add_handler(handler)

    def now(self) -> Addresses:
        return of_service(self._services.get(self._name, self._namespace))

    def others(self) -> bool:
        return False


class OfPods:
    """Of the nodes of all pods that have the labels of this one (namespace, name)."""

    def __init__(self, pod: Key, internal: bool, informers: Informers) -> None:
        self._namespace, self._name = pod
        self._internal = internal
        self._pods = informers.informer(core.Pod, self._namespace)
        self._nodes = informers.informer(core.Node)

    def listen(self, handler: Handler) -> None:
        self._pods.add_handler(handler)
        self._nodes.add_handler(handler)

    def now(self) -> Addresses:
        return of_pods(self._alike(), {node.metadata.name: node for node in self._nodes.list()}, self._internal)

    def others(self) -> bool:
        return len(self._alike()) > 1

    def _alike(self) -> list[core.Pod]:
        own = self._pods.get(self._name, self._namespace)
        if own is None:
            return []
        labels = {item for item in own.metadata.labels.items() if item[0] not in OF_REVISIONS}
        return [pod for pod in self._pods.list() if labels <= pod.metadata.labels.items()]
