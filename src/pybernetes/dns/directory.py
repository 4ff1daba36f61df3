"""The cluster's objects for DNS, kept by informers in the few fields that answers need (upstream: plugin/kubernetes/controller.go, object/)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from sys import intern
from typing import Any, Generic, Protocol, TypeVar

from pybernetes.api.pods import is_finished
from pybernetes.api.types import core_v1, discovery_v1
from pybernetes.api.wellknown import LABEL_SERVICE_NAME
from pybernetes.client.sliminformer import Kept
from pybernetes.client.types import Handler, Object

from .records import NO_PORT, Address, Endpoints, Port, Service

Key = tuple[str, str]  # name, namespace
P = TypeVar("P")
T = TypeVar("T")
Obj = TypeVar("Obj", bound=Object)


def _port(name: str, protocol: str | None, number: int) -> Port:
    return Port(name, (protocol or "TCP").lower(), number)


@lru_cache(maxsize=1024)
def _shared(ports: tuple[Port, ...]) -> tuple[Port, ...]:
    """The same for all Services that have such ones: most clusters know a handful."""
    return ports


def slim_service(service: core_v1.Service) -> Service:
    """The fields that DNS needs."""
    spec = service.spec
    ports = _shared(tuple(_port(p.name, p.protocol, p.port) for p in spec.ports))
    external = spec.external_name if spec.type == "ExternalName" else ""
    ips = tuple(spec.cluster_ips) or ((spec.cluster_ip,) if spec.cluster_ip else ())
    if not ports and ips[:1] != ("None",):
        ports = _shared((Port("", "", NO_PORT),))
    return Service(intern(service.metadata.namespace), intern(service.metadata.name), ips, ports, external)


def slim_slice(item: discovery_v1.EndpointSlice) -> Endpoints:
    """Ready addresses only; FQDN slices have none."""
    addresses = tuple(
        Address(
            ip,
            endpoint.hostname or "",
            endpoint.target_ref.name if endpoint.target_ref is not None and endpoint.target_ref.kind == "Pod" else "",
        )
        for endpoint in item.endpoints or ()
        if item.address_type != "FQDN" and (endpoint.conditions is None or endpoint.conditions.ready is not False)
        for ip in endpoint.addresses
    )
    ports = _shared(tuple(_port(p.name or "", p.protocol, p.port or NO_PORT) for p in item.ports or ()))
    service = item.metadata.labels.get(LABEL_SERVICE_NAME, "")
    return Endpoints(intern(item.metadata.namespace), intern(service), addresses, ports)


def pod_ip(pod: core_v1.Pod) -> str:
    """The address, "" of a pod that has ended or has none yet."""
    return "" if is_finished(pod) else pod.status.pod_ip


def nothing(namespace: core_v1.Namespace) -> None:
    """That it exists is enough."""


class Watcher(Protocol):
    """What the directory needs of `SlimInformers`."""

    def watch(
        self, kind: type[Obj], transform: Callable[[Obj], T], handler: Handler[Kept[T]], label_selector: str = ""
    ) -> None: ...


class _Buckets(Generic[P, T]):
    """Values by a place, each under the key of its object. Most places have one, which is kept without a dictionary of its own."""

    def __init__(self) -> None:
        self._table: dict[P, tuple[Key, T] | dict[Key, T]] = {}

    def put(self, place: P, key: Key, value: T) -> None:
        """Adds it, or replaces the key's."""
        bucket = self._table.get(place)
        if bucket is None or (isinstance(bucket, tuple) and bucket[0] == key):
            self._table[place] = (key, value)
        elif isinstance(bucket, tuple):
            self._table[place] = {bucket[0]: bucket[1], key: value}
        else:
            bucket[key] = value

    def drop(self, place: P, key: Key) -> None:
        """What is not there is dropped already."""
        bucket = self._table.get(place)
        if isinstance(bucket, dict):
            bucket.pop(key, None)
        if not bucket or (isinstance(bucket, tuple) and bucket[0] == key):
            self._table.pop(place, None)

    def change(self, key: Key, old: Iterable[P], new: Iterable[P], value: T | None) -> None:
        """An object is at other places now."""
        after = dict.fromkeys(new)
        for place in old:
            if place not in after:
                self.drop(place, key)
        if value is not None:
            for place in after:
                self.put(place, key, value)

    def get(self, place: P) -> Iterable[T]:
        """In the order in which they came."""
        bucket = self._table.get(place)
        if bucket is None:
            return ()
        return (bucket[1],) if isinstance(bucket, tuple) else bucket.values()


class ClusterDirectory:
    """See `records.Directory`. `now` gives seconds since the epoch, for the serial."""

    def __init__(
        self,
        informers: Watcher,
        now: Callable[[], float],
        pods: bool = False,
        labels: str = "",
        namespace_labels: str = "",
        endpoints: bool = True,
    ) -> None:
        self._now = now
        self.serial = int(now())
        self.generation = 0
        self._services: dict[Key, Service] = {}
        self._by_service = _Buckets[Key, Endpoints]()
        self._namespaces: set[str] = set()
        self._pods: dict[str, tuple[str, ...]] = {}  # namespaces by address: pods of the host's network share one
        self._service_ips, self._slice_ips = _Buckets[str, Service](), _Buckets[str, Endpoints]()
        informers.watch(core_v1.Namespace, nothing, self._on_namespace, namespace_labels)
        informers.watch(core_v1.Service, slim_service, self._on_service, labels)
        if endpoints:
            informers.watch(discovery_v1.EndpointSlice, slim_slice, self._on_slice, labels)
        if pods:
            informers.watch(core_v1.Pod, pod_ip, self._on_pod)

    def namespace(self, name: str) -> bool:
        return name in self._namespaces

    def service(self, name: str, namespace: str) -> Service | None:
        return self._services.get((name, namespace))

    def endpoints(self, name: str, namespace: str) -> Iterable[Endpoints]:
        return self._by_service.get((name, namespace))

    def services_of_ip(self, ip: str) -> Iterable[Service]:
        return self._service_ips.get(ip)

    def endpoints_of_ip(self, ip: str) -> Iterable[Endpoints]:
        return self._slice_ips.get(ip)

    def pod(self, ip: str, namespace: str) -> bool:
        return namespace in self._pods.get(ip, ())

    def namespace_of_pod(self, ip: str) -> str:
        return self._pods.get(ip, ("",))[0]

    def _on_namespace(self, old: Kept[None] | None, new: Kept[None] | None) -> None:
        self.generation += 1
        if new is not None:
            self._namespaces.add(new.metadata.name)
        elif old is not None:
            self._namespaces.discard(old.metadata.name)

    def _on_service(self, old: Kept[Service] | None, new: Kept[Service] | None) -> None:
        self.generation += 1
        key, before, after = _key(old, new), _value(old), _value(new)
        if after is not None:
            self._services[key] = after
        else:
            self._services.pop(key, None)
        if before != after:
            self.serial = int(self._now())
            self._service_ips.change(key, ips_of(before), ips_of(after), after)

    def _on_slice(self, old: Kept[Endpoints] | None, new: Kept[Endpoints] | None) -> None:
        self.generation += 1
        key, before, after = _key(old, new), _value(old), _value(new)
        self._by_service.change(key, service_of(before), service_of(after), after)
        if before != after:
            self.serial = int(self._now())
            self._slice_ips.change(key, addresses_of(before), addresses_of(after), after)

    def _on_pod(self, old: Kept[str] | None, new: Kept[str] | None) -> None:
        self.generation += 1
        namespace, before, after = _key(old, new)[1], _value(old), _value(new)
        if before == after:
            return
        if before:
            left = list(self._pods[before])
            left.remove(namespace)
            if left:
                self._pods[before] = tuple(left)
            else:
                del self._pods[before]
        if after:
            self._pods[after] = (*self._pods.get(after, ()), namespace)


def ips_of(service: Service | None) -> tuple[str, ...]:
    """Under which it is looked for; a headless one has none."""
    return () if service is None or service.headless else service.cluster_ips


def service_of(endpoints: Endpoints | None) -> tuple[Key, ...]:
    """The Service of a slice."""
    return () if endpoints is None else ((endpoints.service, endpoints.namespace),)


def addresses_of(endpoints: Endpoints | None) -> list[str]:
    """Of a slice, those that are ready."""
    return [] if endpoints is None else [address.ip for address in endpoints.addresses]


def _key(old: Kept[Any] | None, new: Kept[Any] | None) -> Key:
    item = new or old
    assert item is not None  # informers tell of something
    return (item.metadata.name, item.metadata.namespace)


def _value(kept: Kept[T] | None) -> T | None:
    return kept.value if kept is not None else None
