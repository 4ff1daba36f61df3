"""The example workload (examples/hello), and the checks of it that a user would do."""

from __future__ import annotations

import asyncio
import importlib.resources
from collections.abc import Awaitable, Callable
from functools import partial

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import networking_v1 as networking
from pybernetes.client.execute import execute
from pybernetes.client.http import HTTPClient
from pybernetes.client.rest import RESTClient

from .apply import Manifest, load
from .settings import ClusterConfig

GREETING = b"hello from pybernetes"
CHECK_SECONDS = 5.0

Check = Callable[[], Awaitable[bool | None]]


def manifests(settings: ClusterConfig) -> list[Manifest]:
    """What examples/hello/hello.yaml holds, as far as the cluster has who serves it."""
    documents = load((importlib.resources.files("pybernetes") / "cluster/addons/hello.yaml").read_text())
    return [one for one in documents if _served(one, settings)]


def _served(document: Manifest, settings: ClusterConfig) -> bool:
    if document["kind"] == "Ingress":
        return settings.runs_ingress
    if document.get("spec", {}).get("type") == "LoadBalancer":
        return settings.runs_load_balancer
    return True


def checks(client: RESTClient, settings: ClusterConfig) -> list[tuple[str, Check]]:
    """(what is checked, the check): each way to the page, and last of all by name from inside a pod."""
    ways = [
        ("hello answers through its NodePort", partial(_node_port, client, settings.addresses[0])),
        ("hello answers through its ClusterIP", partial(_cluster_ip, client)),
    ]
    if settings.runs_load_balancer:
        ways.append(("hello answers through its load balancer", partial(_load_balancer, client)))
    if settings.runs_ingress:
        ways.append(("hello answers through its Ingress", partial(_ingress, client, settings.addresses[0])))
    return [*ways, ("hello answers by name, from inside a pod", partial(_by_name, client, settings.domain))]


async def _node_port(client: RESTClient, address: str) -> bool | None:
    service = await client.get(core.Service, "hello-nodeport", "default")
    return await _greets(f"http://{address}:{service.spec.ports[0].node_port}")


async def _cluster_ip(client: RESTClient) -> bool | None:
    service = await client.get(core.Service, "hello", "default")
    return await _greets(f"http://{service.spec.cluster_ip}:{service.spec.ports[0].port}")


async def _load_balancer(client: RESTClient) -> bool | None:
    service = await client.get(core.Service, "hello-balanced", "default")
    addresses = [one.ip for one in service.status.load_balancer.ingress if one.ip]
    return await _greets(f"http://{addresses[0]}:{service.spec.ports[0].port}") if addresses else None


async def _ingress(client: RESTClient, address: str) -> bool | None:
    ingress = await client.get(networking.Ingress, "hello", "default")
    return await _greets(f"http://{address}", ingress.spec.rules[0].host)


async def _greets(url: str, host: str = "") -> bool | None:
    """`host`: by which the page is asked for, where that is not the URL's."""
    http = HTTPClient(url)
    try:
        answer = await http.request("GET", "/", [("Host", host)] if host else [], timeout=CHECK_SECONDS)
    finally:
        await http.close()
    return True if answer.status == 200 and answer.body.startswith(GREETING) else None


async def _by_name(client: RESTClient, domain: str) -> bool | None:
    pods = await client.list(core.Pod, "default", label_selector="app=hello", field_selector="status.phase=Running")
    if not pods.items:
        return None
    command = ["wget", "-q", "-O", "-", f"http://hello.default.svc.{domain}"]
    async with asyncio.timeout(2 * CHECK_SECONDS):
        finished = await execute(client, "default", pods.items[0].metadata.name, command)
    return True if finished.code == 0 and finished.stdout.startswith(GREETING) else None
