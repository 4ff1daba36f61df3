"""The cluster's objects as DNS keeps them, told by informers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import types
from pybernetes.api.types import core_v1, discovery_v1
from pybernetes.client.memory import MemoryClient
from pybernetes.client.sliminformer import SlimInformers
from pybernetes.dns.directory import ClusterDirectory
from pybernetes.dns.records import NO_PORT, Address, Endpoints, Port, Service


@contextlib.asynccontextmanager
async def following(**options: Any) -> AsyncIterator[tuple[MemoryClient, VirtualClock, ClusterDirectory]]:
    """A directory of the objects of a client; it has heard of changes once the clock is settled."""
    clock = VirtualClock(100.0)
    client = MemoryClient(clock=clock)
    informers = SlimInformers(client)
    directory = ClusterDirectory(informers, clock.monotonic, **options)
    running = asyncio.ensure_future(informers.run())
    try:
        await informers.wait_synced()
        yield client, clock, directory
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def service(**spec: Any) -> core_v1.Service:
    body = {"metadata": {"name": "web", "namespace": "default", "labels": {"a": "b"}}, "spec": spec}
    return types.decode(types.encode(body), core_v1.Service)


def endpoint_slice(*endpoints: dict[str, Any], **fields: Any) -> discovery_v1.EndpointSlice:
    labels = {"kubernetes.io/service-name": "web"}
    body = {"metadata": {"name": "web-1", "namespace": "default", "labels": labels}, "addressType": "IPv4", **fields}
    return types.decode(types.encode({**body, "endpoints": list(endpoints)}), discovery_v1.EndpointSlice)


def pod(name: str, ip: str, phase: str = "Running") -> core_v1.Pod:
    body = {"metadata": {"name": name, "namespace": "default"}, "status": {"podIP": ip, "phase": phase}}
    return types.decode(types.encode(body), core_v1.Pod)


def played(scenario: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """A test of what is played on a loop of its own."""

    @functools.wraps(scenario)
    def test() -> None:
        async def main() -> None:
            await scenario()

        asyncio.run(main())

    return test


@played
async def test_services_come_change_and_go() -> None:
    async with following(labels="a=b", namespace_labels="c=d") as (client, clock, directory):
        first = service(
            clusterIP="10.96.0.5", clusterIPs=["10.96.0.5", "fd00::5"], ports=[{"name": "http", "port": 80}]
        )
        client.put(first)
        await clock.advance(1)
        slim = Service("default", "web", ("10.96.0.5", "fd00::5"), (Port("http", "tcp", 80),))
        assert directory.service("web", "default") == slim
        assert list(directory.services_of_ip("fd00::5")) == [slim]
        serial = directory.serial
        client.put(first)
        await clock.advance(1)
        assert directory.serial == serial, "nothing changed"
        client.put(service(clusterIP="10.96.0.6", ports=[{"port": 80, "protocol": "UDP"}]))
        await clock.advance(1)
        assert directory.service("web", "default") == Service("default", "web", ("10.96.0.6",), (Port("", "udp", 80),))
        assert list(directory.services_of_ip("10.96.0.5")) == []
        assert directory.serial > serial
        client.drop(first)
        await clock.advance(1)
        assert directory.service("web", "default") is None
        assert list(directory.services_of_ip("10.96.0.6")) == []
        selectors = {request.kind: request.options["label_selector"] for request in client.asked("list")}
        assert selectors == {core_v1.Namespace: "c=d", core_v1.Service: "a=b", discovery_v1.EndpointSlice: "a=b"}
        assert selectors == {request.kind: request.options["label_selector"] for request in client.asked("watch")}


@played
async def test_kinds_of_services() -> None:
    async with following() as (client, clock, directory):
        client.put(service(type="ExternalName", externalName="ext.example"))
        await clock.settle()
        found = directory.service("web", "default")
        assert found is not None and found.external_name == "ext.example"
        client.put(service(clusterIP="None"))
        await clock.settle()
        found = directory.service("web", "default")
        assert found is not None and found.headless and found.ports == ()


@played
async def test_only_ready_endpoints_are_there() -> None:
    async with following() as (client, clock, directory):
        first = endpoint_slice(
            {"addresses": ["10.244.0.1"], "hostname": "a-0", "conditions": {"ready": True}},
            {"addresses": ["10.244.0.2"], "conditions": {}, "targetRef": {"kind": "Pod", "name": "b"}},
            {"addresses": ["10.244.0.3"], "conditions": {"ready": False}},
            ports=[{"name": "http", "port": 80}, {"name": "any"}],
        )
        client.put(first)
        await clock.settle()
        slim = Endpoints(
            "default",
            "web",
            (Address("10.244.0.1", "a-0"), Address("10.244.0.2", "", "b")),
            (Port("http", "tcp", 80), Port("any", "tcp", NO_PORT)),
        )
        assert list(directory.endpoints("web", "default")) == [slim]
        assert list(directory.endpoints_of_ip("10.244.0.2")) == [slim]
        assert list(directory.endpoints_of_ip("10.244.0.3")) == []
        client.put(endpoint_slice({"addresses": ["10.244.0.3"]}))
        await clock.settle()
        assert list(directory.endpoints_of_ip("10.244.0.2")) == []
        assert [a.ip for e in directory.endpoints("web", "default") for a in e.addresses] == ["10.244.0.3"]
        client.drop(first)
        await clock.settle()
        assert list(directory.endpoints("web", "default")) == []
        assert list(directory.endpoints_of_ip("10.244.0.3")) == []


@played
async def test_names_as_addresses_are_no_addresses() -> None:
    async with following() as (client, clock, directory):
        client.put(endpoint_slice({"addresses": ["a.example"]}, addressType="FQDN"))
        await clock.settle()
        assert [e.addresses for e in directory.endpoints("web", "default")] == [()]


@played
async def test_pods_by_address() -> None:
    async with following(pods=True) as (client, clock, directory):
        client.put(pod("a", "10.244.0.1"), pod("b", "10.244.0.1"))
        await clock.settle()
        assert directory.pod("10.244.0.1", "default")
        assert not directory.pod("10.244.0.1", "other")
        client.put(pod("a", "10.244.0.1", "Succeeded"))
        await clock.settle()
        assert directory.pod("10.244.0.1", "default")
        client.drop(pod("b", "10.244.0.1"))
        await clock.settle()
        assert not directory.pod("10.244.0.1", "default")


@played
async def test_namespaces() -> None:
    async with following() as (client, clock, directory):
        made = types.decode(b'{"metadata":{"name":"default"}}', core_v1.Namespace)
        client.put(made)
        await clock.settle()
        assert directory.namespace("default")
        client.drop(made)
        await clock.settle()
        assert not directory.namespace("default")


def test_without_endpoints_none_are_listed() -> None:
    async def run() -> None:
        async with following(endpoints=False) as (client, clock, directory):
            client.put(endpoint_slice())
            await clock.settle()
            assert list(directory.endpoints("web", "default")) == []

    asyncio.run(run())


def test_pods_that_share_an_address() -> None:
    def pod(name: str, namespace: str, ip: str = "192.0.2.1") -> core_v1.Pod:
        body = {"metadata": {"name": name, "namespace": namespace}, "status": {"podIP": ip, "phase": "Running"}}
        return types.decode(types.encode(body), core_v1.Pod)

    async def run() -> None:
        async with following(pods=True) as (client, clock, directory):
            for each in (pod("a", "one"), pod("b", "two"), pod("c", "two")):
                client.put(each)
            await clock.settle()
            assert directory.namespace_of_pod("192.0.2.1") in ("one", "two")
            assert directory.pod("192.0.2.1", "one")
            client.put(pod("a", "one", "192.0.2.2"))
            client.put(pod("b", "two", "192.0.2.3"))
            await clock.settle()
            assert not directory.pod("192.0.2.1", "one")
            assert directory.pod("192.0.2.1", "two")
            assert directory.namespace_of_pod("192.0.2.2") == "one"
            assert directory.namespace_of_pod("192.0.2.9") == ""

    asyncio.run(run())
