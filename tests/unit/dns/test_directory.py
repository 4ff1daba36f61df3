"""The cluster's objects as DNS keeps them, told by informers."""

from __future__ import annotations

from typing import Any

from pybernetes.api import types
from pybernetes.api.types import core_v1, discovery_v1
from pybernetes.dns.directory import ClusterDirectory
from pybernetes.dns.informers import keep
from pybernetes.dns.records import NO_PORT, Address, Endpoints, Port, Service


class Informer:
    """Tells what it is told."""

    def __init__(self, transform: Any, handler: Any) -> None:
        self._transform, self._handler = transform, handler

    def tell(self, old: Any, new: Any) -> None:
        self._handler(*(keep(obj, self._transform) if obj is not None else None for obj in (old, new)))


class Informers:
    """One informer a kind; selectors are remembered."""

    def __init__(self) -> None:
        self.made: dict[type, Informer] = {}
        self.selectors: dict[type, str] = {}

    def watch(self, kind: type, transform: Any, handler: Any, label_selector: str = "") -> None:
        self.selectors[kind] = label_selector
        self.made[kind] = Informer(transform, handler)


def service(**spec: Any) -> core_v1.Service:
    body = {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}
    return types.decode(types.encode(body), core_v1.Service)


def endpoint_slice(*endpoints: dict[str, Any], **fields: Any) -> discovery_v1.EndpointSlice:
    labels = {"kubernetes.io/service-name": "web"}
    body = {"metadata": {"name": "web-1", "namespace": "default", "labels": labels}, "addressType": "IPv4", **fields}
    return types.decode(types.encode({**body, "endpoints": list(endpoints)}), discovery_v1.EndpointSlice)


def test_services_come_change_and_go() -> None:
    informers, clock = Informers(), iter(range(100, 200))
    directory = ClusterDirectory(informers, lambda: float(next(clock)), labels="a=b", namespace_labels="c=d")
    told = informers.made[core_v1.Service]
    first = service(clusterIP="10.96.0.5", clusterIPs=["10.96.0.5", "fd00::5"], ports=[{"name": "http", "port": 80}])
    told.tell(None, first)
    slim = Service("default", "web", ("10.96.0.5", "fd00::5"), (Port("http", "tcp", 80),))
    assert directory.service("web", "default") == slim
    assert list(directory.services_of_ip("fd00::5")) == [slim]
    serial = directory.serial
    told.tell(first, first)
    assert directory.serial == serial, "nothing changed"
    moved = service(clusterIP="10.96.0.6", ports=[{"port": 80, "protocol": "UDP"}])
    told.tell(first, moved)
    assert list(directory.services_of_ip("10.96.0.5")) == []
    assert directory.serial > serial
    told.tell(moved, None)
    assert directory.service("web", "default") is None
    assert list(directory.services_of_ip("10.96.0.6")) == []
    assert informers.selectors == {
        core_v1.Namespace: "c=d",
        core_v1.Service: "a=b",
        discovery_v1.EndpointSlice: "a=b",
    }


def test_kinds_of_services() -> None:
    informers = Informers()
    directory = ClusterDirectory(informers, lambda: 1.0)
    told = informers.made[core_v1.Service]
    told.tell(None, service(type="ExternalName", externalName="ext.example"))
    found = directory.service("web", "default")
    assert found is not None and found.external_name == "ext.example"
    told.tell(service(type="ExternalName", externalName="ext.example"), service(clusterIP="None"))
    found = directory.service("web", "default")
    assert found is not None and found.headless and found.ports == ()


def test_only_ready_endpoints_are_there() -> None:
    informers = Informers()
    directory = ClusterDirectory(informers, lambda: 1.0)
    told = informers.made[discovery_v1.EndpointSlice]
    first = endpoint_slice(
        {"addresses": ["10.244.0.1"], "hostname": "a-0", "conditions": {"ready": True}},
        {"addresses": ["10.244.0.2"], "conditions": {}, "targetRef": {"kind": "Pod", "name": "b"}},
        {"addresses": ["10.244.0.3"], "conditions": {"ready": False}},
        ports=[{"name": "http", "port": 80}, {"name": "any"}],
    )
    told.tell(None, first)
    slim = Endpoints(
        "default",
        "web",
        (Address("10.244.0.1", "a-0"), Address("10.244.0.2", "", "b")),
        (Port("http", "tcp", 80), Port("any", "tcp", NO_PORT)),
    )
    assert list(directory.endpoints("web", "default")) == [slim]
    assert list(directory.endpoints_of_ip("10.244.0.2")) == [slim]
    assert list(directory.endpoints_of_ip("10.244.0.3")) == []
    second = endpoint_slice({"addresses": ["10.244.0.3"]})
    told.tell(first, second)
    assert list(directory.endpoints_of_ip("10.244.0.2")) == []
    assert [a.ip for e in directory.endpoints("web", "default") for a in e.addresses] == ["10.244.0.3"]
    told.tell(second, None)
    assert list(directory.endpoints("web", "default")) == []
    assert list(directory.endpoints_of_ip("10.244.0.3")) == []


def test_names_as_addresses_are_no_addresses() -> None:
    informers = Informers()
    directory = ClusterDirectory(informers, lambda: 1.0)
    informers.made[discovery_v1.EndpointSlice].tell(
        None, endpoint_slice({"addresses": ["a.example"]}, addressType="FQDN")
    )
    assert [e.addresses for e in directory.endpoints("web", "default")] == [()]


def pod(name: str, ip: str, phase: str = "Running") -> core_v1.Pod:
    body = {"metadata": {"name": name, "namespace": "default"}, "status": {"podIP": ip, "phase": phase}}
    return types.decode(types.encode(body), core_v1.Pod)


def test_pods_by_address() -> None:
    informers = Informers()
    directory = ClusterDirectory(informers, lambda: 1.0, pods=True)
    told = informers.made[core_v1.Pod]
    a, b = pod("a", "10.244.0.1"), pod("b", "10.244.0.1")
    told.tell(None, a)
    told.tell(None, b)
    assert directory.pod("10.244.0.1", "default")
    assert not directory.pod("10.244.0.1", "other")
    told.tell(a, pod("a", "10.244.0.1", "Succeeded"))
    assert directory.pod("10.244.0.1", "default")
    told.tell(b, None)
    assert not directory.pod("10.244.0.1", "default")


def test_namespaces() -> None:
    informers = Informers()
    directory = ClusterDirectory(informers, lambda: 1.0)
    made = types.decode(b'{"metadata":{"name":"default"}}', core_v1.Namespace)
    informers.made[core_v1.Namespace].tell(None, made)
    assert directory.namespace("default")
    informers.made[core_v1.Namespace].tell(made, None)
    assert not directory.namespace("default")
