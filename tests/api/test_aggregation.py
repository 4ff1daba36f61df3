"""Aggregation end to end: a cluster, and beside it an extension API server with a group of its own, over TLS."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.authentication.requestheader import RequestHeader
from pybernetes.apiserver.generic.options import WriteOptions
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.client.rest import RESTClient
from pybernetes.pki.bundles import Authorities
from pybernetes.pki.certificates import Authority, Subject
from pybernetes.store.backends import Location, open_store
from pybernetes.testing import TestCluster
from pybernetes.wire.http import Request

from ..clients import Kubectl, found

Object = dict[str, Any]
GROUP = "wardle.example.com"
FLUNDERS = f"/apis/{GROUP}/v1/namespaces/default/flunders"
APISERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
SECONDS = 60.0
DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"flunders.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "flunders", "kind": "Flunder"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@dataclass
class Extension:
    """The extension API server: ours, with one custom resource; `asked` is what came in."""

    server: APIServer
    ca: bytes
    port: int = 0
    asked: list[Request] = field(default_factory=list)

    def users(self, path: str) -> set[str | None]:
        return {request.header("x-remote-user") for request in self.asked if request.raw_path.decode() == path}


@dataclass
class Bench:
    """Both."""

    client: RESTClient
    cluster: TestCluster
    kubeconfig: str
    extension: Extension

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Object:
        """StatusError."""
        data = json.dumps(body).encode() if body is not None else None
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        answer: Object = json.loads(await self.client.raw(method, path, data, given))
        return answer

    async def register(self, **spec: Any) -> None:
        await self.ask("POST", APISERVICES, api_service(self.extension, **spec))

    async def service(self) -> None:
        """Of a type that leads to this machine, as endpoints may not."""
        ports = [{"port": self.extension.port}]
        spec = {"type": "ExternalName", "externalName": "localhost", "ports": ports}
        await self.ask("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": "wardle"}, "spec": spec})

    async def condition(self, reason: str) -> Object:
        """Waits until the APIService says so."""
        async with asyncio.timeout(SECONDS):
            while True:
                service = await self.ask("GET", f"{APISERVICES}/v1.{GROUP}")
                conditions: list[Object] = (service.get("status") or {}).get("conditions") or []
                if conditions and conditions[0]["reason"] == reason:
                    return conditions[0]
                await asyncio.sleep(0.02)

    async def eventually(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(SECONDS):
            while not await holds():
                await asyncio.sleep(0.02)


def api_service(extension: Extension, **spec: Any) -> Object:
    place = {"namespace": "default", "name": "wardle", "port": extension.port}
    told = {"caBundle": base64.b64encode(extension.ca).decode()}
    told |= {"group": GROUP, "version": "v1", "groupPriorityMinimum": 2000, "versionPriority": 10, "service": place}
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1.{GROUP}"},
        "spec": {name: value for name, value in {**told, **spec}.items() if value is not None},
    }


@asynccontextmanager
async def extension(folder: Path, proxies: bytes) -> AsyncIterator[Extension]:
    """Believes who shows a certificate of the authority `proxies`."""
    authority = Authority.create("wardle-ca", datetime.now(UTC))
    pair = authority.issue(Subject("wardle", (), ("wardle.default.svc",), (), server=True), datetime.now(UTC))
    (folder / "wardle.pem").write_bytes(pair.key + pair.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "wardle.pem")
    context.load_verify_locations(cadata=proxies.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    front = RequestHeader(Authorities(proxies).issued, ["front-proxy-client"])
    store = await open_store(Location(("memory:",)))
    options = Options(ssl_context=context, authentication=AuthenticationOptions([front]), authorization_modes=("RBAC",))
    made = Extension(APIServer(store, options), authority.pem)
    handle = made.server.handle

    def recorded(request: Request) -> Any:
        made.asked.append(request)
        return handle(request)

    made.server.handle = recorded  # type: ignore[method-assign]
    await made.server.start()
    made.port = made.server.port
    definitions = made.server.store("apiextensions.k8s.io", "v1", "customresourcedefinitions")
    plain, _ = definitions.schema.normalize(DEFINITION)
    await definitions.create(plain, "", WriteOptions(admission=False))
    try:
        yield made
    finally:
        await made.server.stop(0)
        await store.close()


def run(folder: Path, story: Callable[[Bench], Awaitable[None]], controllers: str = "") -> None:
    async def main() -> None:
        cluster = TestCluster(folder, controllers=controllers)
        running = await cluster.start()
        client = cluster.client("admin")
        text = await client.raw("GET", "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")
        proxies = json.loads(text)["data"]["requestheader-client-ca-file"].encode()
        try:
            async with extension(folder, proxies) as beside:
                await story(Bench(client, cluster, running.kubeconfig, beside))
        finally:
            await cluster.stop()

    asyncio.run(main())


def flunder(name: str) -> Object:
    return {"apiVersion": f"{GROUP}/v1", "kind": "Flunder", "metadata": {"name": name}, "spec": {"reference": "x"}}


def test_requests_are_led_through_in_the_name_of_who_asks(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.service()
        await b.register()
        passed = await b.condition("Passed")
        assert (passed["status"], passed["message"]) == ("True", "all checks passed")
        made = await b.ask("POST", FLUNDERS, flunder("a"))
        assert made["spec"] == {"reference": "x"} and made["metadata"]["uid"]
        assert [item["metadata"]["name"] for item in (await b.ask("GET", FLUNDERS))["items"]] == ["a"]
        table = await b.ask("GET", FLUNDERS, Accept="application/json;as=Table;v=v1;g=meta.k8s.io")
        assert table["kind"] == "Table"
        assert b.extension.users(FLUNDERS) == {"admin"}
        groups = {v for r in b.extension.asked for v in r.header_values("x-remote-group") if r.method == "POST"}
        assert groups == {"system:masters", "system:authenticated"}
        assert not any(request.header("authorization") for request in b.extension.asked)
        # Its refusals come as they are, and who it does not know may nothing.
        with pytest.raises(StatusError, match=r'"b" not found'):
            await b.ask("GET", f"{FLUNDERS}/b")
        with pytest.raises(StatusError) as refused:
            await b.ask("GET", FLUNDERS, Impersonate_User="jane")
        assert refused.value.code == 403

    run(tmp_path, story)


def test_watches_are_led_through(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.service()
        await b.register()
        await b.condition("Passed")
        seen: list[str] = []

        async def follow() -> None:
            async for _, obj in b.client.watch_raw(f"{FLUNDERS}?watch=true"):
                seen.append(json.loads(obj)["metadata"]["name"])

        task = asyncio.ensure_future(follow())
        await b.ask("POST", FLUNDERS, flunder("a"))

        async def told() -> bool:
            return seen == ["a"]

        await b.eventually(told)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(tmp_path, story)


def test_discovery_and_openapi_have_what_it_serves(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.service()
        await b.register()
        await b.condition("Passed")
        groups = [group["name"] for group in (await b.ask("GET", "/apis"))["groups"]]
        assert groups[-1] == GROUP  # after the built-in ones by its priority
        assert (await b.ask("GET", f"/apis/{GROUP}"))["preferredVersion"]["version"] == "v1"
        assert (await b.ask("GET", f"/apis/{GROUP}/v1"))["resources"][0]["name"] == "flunders"
        aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

        async def current() -> bool:
            items = (await b.ask("GET", "/apis", Accept=aggregated))["items"]
            version = next(item for item in items if item["metadata"]["name"] == GROUP)["versions"][0]
            names = [resource["resource"] for resource in version["resources"]]
            return (version["freshness"], names) == ("Current", ["flunders"])

        await b.eventually(current)
        url = (await b.ask("GET", "/openapi/v3"))["paths"][f"apis/{GROUP}/v1"]["serverRelativeURL"]
        schemas = (await b.ask("GET", url))["components"]["schemas"]
        assert any(name.endswith("Flunder") for name in schemas)

    run(tmp_path, story)


def test_kubectl_works_with_it(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.service()
        await b.register()
        await b.condition("Passed")
        for name, binary in found().items():
            kubectl = Kubectl(binary, b.kubeconfig)
            manifest = json.dumps(flunder(name))
            await asyncio.to_thread(kubectl, "apply", "-f", "-", stdin=manifest)
            assert name in await asyncio.to_thread(kubectl, "get", "flunders")
            assert "wardle" in await asyncio.to_thread(kubectl, "get", "apiservice", f"v1.{GROUP}")
            await asyncio.to_thread(kubectl, "delete", "flunder", name)

    run(tmp_path, story)


def test_a_dead_server_harms_nobody_else(tmp_path: Path) -> None:
    """Neighbours: a Service that is not there, a port that it has not, one without endpoints, a wrong authority, a server that is gone."""

    async def story(b: Bench) -> None:
        await b.register()
        missing = await b.condition("ServiceNotFound")
        assert (missing["status"], missing["message"]) == ("False", 'service/wardle in "default" is not present')
        with pytest.raises(StatusError) as refused:
            await b.ask("GET", FLUNDERS)
        assert (refused.value.code, "service unavailable" in str(refused.value)) == (503, True)
        assert GROUP in [group["name"] for group in (await b.ask("GET", "/apis"))["groups"]]
        assert (await b.ask("GET", "/api/v1/namespaces"))["kind"] == "NamespaceList"
        services = "/api/v1/namespaces/default/services"
        spec: Object = {"ports": [{"port": 443}]}
        made = await b.ask("POST", services, {"metadata": {"name": "wardle"}, "spec": spec})
        text = f'service/wardle in "default" is not listening on port {b.extension.port}'
        assert (await b.condition("ServicePortError"))["message"] == text
        made["spec"]["ports"] = [{"name": "https", "port": b.extension.port}]
        await b.ask("PUT", f"{services}/wardle", made)
        text = 'cannot find endpointslices for service/wardle in "default"'
        assert (await b.condition("EndpointsNotFound"))["message"] == text
        slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        labels = {"kubernetes.io/service-name": "wardle"}
        endpoint = {"addresses": ["192.0.2.1"], "conditions": {"ready": False}}
        piece: Object = {"metadata": {"name": "w", "labels": labels}, "addressType": "IPv4", "endpoints": [endpoint]}
        piece["ports"] = [{"name": "https", "port": b.extension.port}]
        await b.ask("POST", slices, piece)
        text = 'endpointslices for service/wardle in "default" have no addresses with port name "https"'
        assert (await b.condition("MissingEndpoints"))["message"] == text
        await b.ask("DELETE", f"{services}/wardle")
        await b.service()
        await b.condition("Passed")
        await b.extension.server.stop(0)
        # It is asked every half minute; a change of its Service is reason to look at once.
        await b.ask("PATCH", f"{services}/wardle", {"metadata": {"labels": {"a": "b"}}}, **MERGE)
        failed = await b.condition("FailedDiscoveryCheck")
        url = f"https://localhost:{b.extension.port}/apis/{GROUP}/v1"
        assert failed["message"].startswith(f'failing or missing response from {url}: Get "{url}": dial tcp')
        metrics = (await b.client.raw("GET", "/metrics")).decode().splitlines()
        assert f'aggregator_unavailable_apiservice{{name="v1.{GROUP}"}} 1' in metrics
        await b.ask("DELETE", f"{APISERVICES}/v1.{GROUP}")

        async def gone() -> bool:
            return GROUP not in [group["name"] for group in (await b.ask("GET", "/apis"))["groups"]]

        await b.eventually(gone)

    run(tmp_path, story)


MERGE = {"Content_Type": "application/merge-patch+json"}


def test_its_certificate_has_to_fit(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.service()
        other = Authority.create("other", datetime.now(UTC)).pem
        await b.register(caBundle=base64.b64encode(other).decode())
        failed = await b.condition("FailedDiscoveryCheck")
        assert failed["message"].endswith(
            "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        )
        await b.ask("PATCH", f"{APISERVICES}/v1.{GROUP}", {"spec": {"caBundle": "bm9uZQ=="}}, **MERGE)

        async def said() -> bool:
            return "unable to load root certificates" in (await b.condition("FailedDiscoveryCheck"))["message"]

        await b.eventually(said)
        skip = {"spec": {"caBundle": None, "insecureSkipTLSVerify": True}}
        await b.ask("PATCH", f"{APISERVICES}/v1.{GROUP}", skip, **MERGE)
        await b.condition("Passed")
        assert (await b.ask("GET", FLUNDERS))["kind"] == "FlunderList"

    run(tmp_path, story)


def test_a_namespace_ends_with_what_it_has_there(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.service()
        await b.register()
        await b.condition("Passed")
        await b.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
        spaces = b.extension.server.store("", "v1", "namespaces")
        await spaces.create({"metadata": {"name": "n"}}, "", WriteOptions(admission=False))
        path = f"/apis/{GROUP}/v1/namespaces/n/flunders"
        await b.ask("POST", path, flunder("a"))
        await b.ask("DELETE", "/api/v1/namespaces/n")

        async def gone() -> bool:
            try:
                await b.ask("GET", "/api/v1/namespaces/n")
            except StatusError as error:
                return error.code == 404
            return False

        await b.eventually(gone)
        assert (await b.ask("GET", path))["items"] == []

    run(tmp_path, story, "namespace-controller")
