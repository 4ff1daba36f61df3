"""Addresses and node ports of Services, over HTTP: given, refused, freed, kept over a restart, shared by two servers."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.apiserver.services import ranges
from pybernetes.apiserver.services.options import ServiceOptions
from pybernetes.client.http import HTTPClient
from pybernetes.store.sqlite import SQLiteStore
from pybernetes.store.types import Store

from .golden import Administrator

DEFAULT = "/api/v1/namespaces/default/services"


class Client:
    """JSON in, (code, JSON) out."""

    def __init__(self, port: int) -> None:
        self._http = HTTPClient(f"http://127.0.0.1:{port}")

    async def close(self) -> None:
        await self._http.close()

    async def send(self, method: str, path: str, body: Any = None, media: str = "application/json") -> tuple[int, Any]:
        data = b"" if body is None else json.dumps(body).encode()
        answer = await self._http.request(method, path, [("Content-Type", media)], data, timeout=60)
        return answer.status, json.loads(answer.body)

    async def raw(self, method: str, path: str, body: Any, accept: str = "application/json") -> tuple[int, Any]:
        """As `send`, with a header Accept, and of an answer that is no JSON its text."""
        headers = [("Content-Type", "application/json"), ("Accept", accept)]
        answer = await self._http.request(method, path, headers, json.dumps(body).encode(), timeout=60)
        try:
            return answer.status, json.loads(answer.body)
        except ValueError:
            return answer.status, answer.body.decode()

    async def text(self, path: str) -> str:
        return (await self._http.request("GET", path, timeout=60)).body.decode()

    async def warnings(self, method: str, path: str, body: Any = None) -> str | None:
        data = b"" if body is None else json.dumps(body).encode()
        answer = await self._http.request(method, path, [("Content-Type", "application/json")], data, timeout=60)
        return answer.headers.get("warning")

    async def create(self, name: str, query: str = "", **spec: Any) -> tuple[int, Any]:
        spec.setdefault("ports", [{"port": 80}])
        return await self.send("POST", DEFAULT + query, {"metadata": {"name": name}, "spec": spec})

    async def merge(self, name: str, **spec: Any) -> tuple[int, Any]:
        return await self.send("PATCH", f"{DEFAULT}/{name}", {"spec": spec}, "application/merge-patch+json")

    async def names(self, path: str) -> set[str]:
        _, found = await self.send("GET", path)
        return {item["metadata"]["name"] for item in found["items"]}

    async def addresses(self) -> set[str]:
        return await self.names("/apis/networking.k8s.io/v1/ipaddresses")


@asynccontextmanager
async def running(store: Store, networks: str = "10.0.0.0/24", ports: str = "30000-32767") -> AsyncIterator[Client]:
    services = ServiceOptions(
        networks=ranges.parse_networks(networks), ports=ranges.parse_ports(ports), advertise="192.0.2.10"
    )
    server = APIServer(store, Options(authentication=AuthenticationOptions([Administrator()]), services=services))
    await server.start()
    client = Client(server.port)
    try:
        yield client
    finally:
        await client.close()
        await server.stop(0)


def play(case: Callable[[Client], Awaitable[None]], **options: str) -> None:
    async def main() -> None:
        store = await SQLiteStore.open(":memory:")
        async with running(store, **options) as client:
            await case(client)
        await store.close()

    asyncio.run(main())


def causes(answer: Any) -> list[tuple[str, str]]:
    return [(cause["field"], cause["message"]) for cause in answer["details"]["causes"]]


def test_the_service_kubernetes_is_there() -> None:
    async def case(client: Client) -> None:
        _, service = await client.send("GET", f"{DEFAULT}/kubernetes")
        assert service["spec"]["clusterIP"] == "10.0.0.1"
        assert service["spec"]["ports"][0]["port"] == 443
        port = service["spec"]["ports"][0]["targetPort"]
        _, endpoints = await client.send("GET", "/api/v1/namespaces/default/endpoints/kubernetes")
        assert endpoints["subsets"] == [
            {"addresses": [{"ip": "192.0.2.10"}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}
        ]
        path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
        _, found = await client.send("GET", path)
        assert found["endpoints"] == [{"addresses": ["192.0.2.10"], "conditions": {"ready": True}}]
        _, cidr = await client.send("GET", "/apis/networking.k8s.io/v1/servicecidrs/kubernetes")
        assert cidr["spec"]["cidrs"] == ["10.0.0.0/24"]
        assert cidr["status"]["conditions"][0]["status"] == "True"

    play(case)


def test_addresses_are_given_and_freed() -> None:
    async def case(client: Client) -> None:
        _, made = await client.create("a")
        spec = made["spec"]
        assert ipaddress.ip_address(spec["clusterIP"]) in ipaddress.ip_network("10.0.0.0/24")
        assert spec["clusterIPs"] == [spec["clusterIP"]]
        assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
        assert await client.addresses() == {"10.0.0.1", spec["clusterIP"]}
        await client.send("DELETE", f"{DEFAULT}/a")
        assert await client.addresses() == {"10.0.0.1"}

    play(case)


def test_a_finalizer_keeps_the_address() -> None:
    async def case(client: Client) -> None:
        metadata = {"name": "a", "finalizers": ["example.com/hold"]}
        await client.send(
            "POST", DEFAULT, {"metadata": metadata, "spec": {"clusterIP": "10.0.0.77", "ports": [{"port": 1}]}}
        )
        await client.send("DELETE", f"{DEFAULT}/a")
        assert await client.addresses() == {"10.0.0.1", "10.0.0.77"}
        body = {"metadata": {"finalizers": None}}
        await client.send("PATCH", f"{DEFAULT}/a", body, "application/merge-patch+json")
        assert await client.addresses() == {"10.0.0.1"}

    play(case)


def test_a_requested_address() -> None:
    async def case(client: Client) -> None:
        code, made = await client.create("a", clusterIP="10.0.0.77")
        assert (code, made["spec"]["clusterIPs"]) == (201, ["10.0.0.77"])
        code, refused = await client.create("b", clusterIP="10.0.0.77")
        text = 'Invalid value: ["10.0.0.77"]: failed to allocate IP 10.0.0.77: provided IP is already allocated'
        assert (code, causes(refused)) == (422, [("spec.clusterIPs", text)])
        code, refused = await client.create("b", clusterIP="10.0.0.255")
        assert code == 422
        assert "the provided IP (10.0.0.255) is not in the valid range" in refused["message"]
        code, refused = await client.create("b", clusterIP="11.0.0.1")
        assert code == 422
        assert "the provided network does not match the current range" in refused["message"]
        code, _ = await client.create("b", clusterIP="None")
        assert code == 201
        assert await client.addresses() == {"10.0.0.1", "10.0.0.77"}

    play(case)


def test_what_fails_or_is_tried_only_takes_nothing() -> None:
    async def case(client: Client) -> None:
        code, made = await client.create("a", "?dryRun=All", type="NodePort")
        assert (code, made["spec"]["clusterIP"], made["spec"]["ports"][0]["nodePort"]) == (201, "10.0.0.0", 32769)
        code, _ = await client.create("A_", clusterIP="10.0.0.77")
        assert code == 422
        await client.create("b", clusterIP="10.0.0.78")
        code, _ = await client.create("b", clusterIP="10.0.0.79")
        assert code == 409
        code, _ = await client.create(
            "c", type="NodePort", ports=[{"port": 80, "nodePort": 30001}], clusterIP="10.0.0.78"
        )
        assert code == 422
        assert await client.addresses() == {"10.0.0.1", "10.0.0.78"}
        code, _ = await client.create("c", type="NodePort", ports=[{"port": 80, "nodePort": 30001}])
        assert code == 201

    play(case)


def test_a_service_becomes_external_and_comes_back() -> None:
    async def case(client: Client) -> None:
        await client.create("a", clusterIP="10.0.0.77")
        code, made = await client.merge("a", type="ExternalName", externalName="example.com")
        assert (code, "clusterIP" in made["spec"], "ipFamilies" in made["spec"]) == (200, False, False)
        assert await client.addresses() == {"10.0.0.1"}
        code, made = await client.merge("a", type="ClusterIP", externalName=None)
        assert code == 200
        assert await client.addresses() == {"10.0.0.1", made["spec"]["clusterIP"]}

    play(case)


def test_the_address_stays() -> None:
    async def case(client: Client) -> None:
        _, made = await client.create("a", clusterIP="10.0.0.77")
        code, refused = await client.merge("a", clusterIP="10.0.0.78", clusterIPs=["10.0.0.78"])
        assert (code, refused["details"]["causes"][0]["field"]) == (422, "spec.clusterIPs[0]")
        del made["spec"]["clusterIP"], made["spec"]["clusterIPs"]
        code, made = await client.send("PUT", f"{DEFAULT}/a", made)
        assert (code, made["spec"]["clusterIP"]) == (200, "10.0.0.77")

    play(case)


def test_node_ports() -> None:
    async def case(client: Client) -> None:
        both = [{"name": "t", "port": 53}, {"name": "u", "port": 53, "protocol": "UDP"}, {"name": "w", "port": 80}]
        _, made = await client.create("a", type="NodePort", ports=both)
        tcp, udp, web = (port["nodePort"] for port in made["spec"]["ports"])
        assert tcp == udp != web
        assert all(30000 <= number <= 32767 for number in (tcp, web))
        code, refused = await client.create("b", type="NodePort", ports=[{"port": 1, "nodePort": web}])
        text = f"Invalid value: {web}: provided port is already allocated"
        assert (code, causes(refused)) == (422, [("spec.ports[0].nodePort", text)])
        code, refused = await client.create("b", type="NodePort", ports=[{"port": 1, "nodePort": 80}])
        assert "provided port is not in the valid range. The range of valid ports is 30000-32767" in refused["message"]
        _, made = await client.merge("a", type="ClusterIP")
        assert not any("nodePort" in port for port in made["spec"]["ports"])
        code, _ = await client.create("b", type="NodePort", ports=[{"port": 1, "nodePort": web}])
        assert code == 201

    play(case)


def test_the_health_check_port() -> None:
    async def case(client: Client) -> None:
        _, made = await client.create("a", type="LoadBalancer", externalTrafficPolicy="Local")
        health = made["spec"]["healthCheckNodePort"]
        code, _ = await client.create("b", type="NodePort", ports=[{"port": 1, "nodePort": health}])
        assert code == 422
        _, made = await client.merge("a", externalTrafficPolicy="Cluster")
        assert "healthCheckNodePort" not in made["spec"]
        code, _ = await client.create("b", type="NodePort", ports=[{"port": 1, "nodePort": health}])
        assert code == 201

    play(case)


def test_a_full_range() -> None:
    async def case(client: Client) -> None:
        codes = [(await client.create(f"s{number}"))[0] for number in range(6)]
        assert codes == [201, 201, 201, 201, 201, 500]
        _, refused = await client.create("more")
        assert refused["message"] == "Internal error occurred: failed to allocate a serviceIP: range is full"

    play(case, networks="10.0.0.0/29")


def test_node_ports_run_out() -> None:
    async def case(client: Client) -> None:
        codes = [(await client.create(f"s{number}", type="NodePort"))[0] for number in range(3)]
        assert codes == [201, 201, 500]
        assert len(await client.addresses()) == 3

    play(case, ports="30000-30001")


@pytest.mark.parametrize(
    ("spec", "families", "policy"),
    [
        ({}, ["IPv4"], "SingleStack"),
        ({"ipFamilyPolicy": "PreferDualStack"}, ["IPv4", "IPv6"], "PreferDualStack"),
        ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]}, ["IPv6", "IPv4"], "RequireDualStack"),
        ({"clusterIP": "fd00::77"}, ["IPv6"], "SingleStack"),
        ({"clusterIP": "None"}, ["IPv4", "IPv6"], "RequireDualStack"),
        ({"clusterIP": "None", "selector": {"a": "b"}}, ["IPv4"], "SingleStack"),
    ],
)
def test_two_families(spec: dict[str, Any], families: list[str], policy: str) -> None:
    async def case(client: Client) -> None:
        code, made = await client.create("a", **spec)
        assert code == 201
        assert (made["spec"]["ipFamilies"], made["spec"]["ipFamilyPolicy"]) == (families, policy)
        if spec.get("clusterIP") != "None":
            found = [f"IPv{ipaddress.ip_address(text).version}" for text in made["spec"]["clusterIPs"]]
            assert found == families

    play(case, networks="10.0.0.0/24,fd00::/112")


def test_a_second_family_comes_and_goes() -> None:
    async def case(client: Client) -> None:
        _, made = await client.create("a")
        _, made = await client.merge("a", ipFamilyPolicy="PreferDualStack")
        assert len(made["spec"]["clusterIPs"]) == 2
        assert len(await client.addresses()) == 3
        _, made = await client.merge("a", ipFamilyPolicy="SingleStack")
        assert (len(made["spec"]["clusterIPs"]), made["spec"]["ipFamilies"]) == (1, ["IPv4"])
        assert len(await client.addresses()) == 2

    play(case, networks="10.0.0.0/24,fd00::/112")


def test_a_family_that_there_is_not() -> None:
    async def case(client: Client) -> None:
        code, refused = await client.create("a", ipFamilyPolicy="RequireDualStack")
        why = 'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services'
        assert (code, causes(refused)) == (422, [("spec.ipFamilyPolicy", why)])
        code, refused = await client.create("a", ipFamilies=["IPv6"])
        assert causes(refused) == [("spec.ipFamilies[0]", 'Invalid value: "IPv6": not configured on this cluster')]

    play(case)


def test_another_range() -> None:
    async def case(client: Client) -> None:
        for number in range(5):
            await client.create(f"s{number}")
        path = "/apis/networking.k8s.io/v1/servicecidrs"
        await client.send("POST", path, {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.1.0.0/24"]}})
        _, made = await client.create("a")
        assert made["spec"]["clusterIP"].startswith("10.1.0.")

    play(case, networks="10.0.0.0/29")


def test_a_restart_and_two_servers() -> None:
    async def main() -> None:
        store = await SQLiteStore.open(":memory:")
        async with running(store, networks="10.0.0.0/27") as one:
            await one.create("a", type="NodePort", ports=[{"port": 80, "nodePort": 30007}])
        async with running(store, networks="10.0.0.0/27") as one, running(store, networks="10.0.0.0/27") as two:
            made = await asyncio.gather(*((one, two)[n % 2].create(f"s{n}") for n in range(20)))
            assert [code for code, _ in made] == [201] * 20
            assert len({answer["spec"]["clusterIP"] for _, answer in made}) == 20
            code, _ = await two.create("b", type="NodePort", ports=[{"port": 80, "nodePort": 30007}])
            assert code == 422
        await store.close()

    asyncio.run(main())


def test_what_a_crash_left_is_put_right() -> None:
    async def main() -> None:
        store = await SQLiteStore.open(":memory:")
        async with running(store) as client:
            _, made = await client.create("a", type="NodePort")
        spec = made["spec"]
        await store.delete(f"/registry/networking.k8s.io/ipaddresses/{spec['clusterIP']}")
        await store.delete(f"/registry/ranges/servicenodeports/{spec['ports'][0]['nodePort']}")
        stale = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IPAddress",
            "metadata": {
                "name": "10.0.0.99",
                "creationTimestamp": "2020-01-01T00:00:00Z",
                "labels": {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"},
            },
            "spec": {"parentRef": {"group": "", "resource": "services", "namespace": "default", "name": "gone"}},
        }
        await store.put(
            "/registry/networking.k8s.io/ipaddresses/10.0.0.99", json.dumps(stale, separators=(",", ":")).encode()
        )
        async with running(store) as client:
            assert await client.addresses() == {"10.0.0.1", spec["clusterIP"]}
            code, _ = await client.create(
                "b", type="NodePort", ports=[{"port": 1, "nodePort": spec["ports"][0]["nodePort"]}]
            )
            assert code == 422
        await store.close()

    asyncio.run(main())


def test_what_is_given_is_counted() -> None:
    async def case(client: Client) -> None:
        await client.create("a", clusterIP="10.0.0.77", type="NodePort")
        await client.create("b", clusterIP="10.0.0.77")
        await client.create("c")
        lines = set((await client.text("/metrics")).splitlines())
        prefix, port = "kube_apiserver_clusterip_allocator", "kube_apiserver_nodeport_allocator"
        assert {
            prefix + '_allocated_ips{cidr="10.0.0.0/24"} 3',
            prefix + '_available_ips{cidr="10.0.0.0/24"} 251',
            prefix + '_allocation_total{cidr="10.0.0.0/24",scope="dynamic"} 1',
            prefix + '_allocation_total{cidr="10.0.0.0/24",scope="static"} 2',
            prefix + '_allocation_errors_total{cidr="10.0.0.0/24",scope="static"} 1',
            port + "_allocated_ports 1",
            port + "_available_ports 2767",
            port + '_allocation_total{scope="dynamic"} 1',
        } <= lines

    play(case)


def test_what_is_odd_is_told_in_a_header() -> None:
    async def case(client: Client) -> None:
        body = {"metadata": {"name": "a"}, "spec": {"externalName": "x", "ports": [{"port": 1}]}}
        told = await client.warnings("POST", DEFAULT, body)
        assert told == '299 - "spec.externalName is ignored when spec.type is not \\"ExternalName\\""'
        told = await client.warnings("GET", "/api/v1/endpoints")
        assert told == '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
        assert await client.warnings("GET", DEFAULT) is None

    play(case)
