"""The example workload (examples/hello), and the checks of it that a user would do."""

from __future__ import annotations

import asyncio
import importlib.resources
from collections.abc import Awaitable, Callable
from functools import partial

from pybernetes.api.types import core_v1 as core
from pybernetes.client.execute import execute
from pybernetes.client.http import HTTPClient
from pybernetes.client.rest import RESTClient

from .apply import Manifest, load
from .settings import ClusterConfig

GREETING = b"hello from pybernetes"
CHECK_SECONDS = 5.0

Check = Callable[[], Awaitable[bool | None]]


def manifests() -> list[Manifest]:
    """What examples/hello/hello.yaml holds."""
    return load((importlib.resources.files("pybernetes") / "cluster/addons/hello.yaml").read_text())


def checks(client: RESTClient, settings: ClusterConfig) -> list[tuple[str, Check]]:
    """(what is checked, the check): through the NodePort, the ClusterIP, and by name from inside a pod."""
    return [
        ("hello answers through its NodePort", partial(_node_port, client, settings.addresses[0])),
        ("hello answers through its ClusterIP", partial(_cluster_ip, client)),
        ("hello answers by name, from inside a pod", partial(_by_name, client, settings.domain)),
    ]


async def _node_port(client: RESTClient, address: str) -> bool | None:
    service = await client.get(core.Service, "hello-nodeport", "default")
    return await _greets(f"http://{address}:{service.spec.ports[0].node_port}")


async def _cluster_ip(client: RESTClient) -> bool | None:
    service = await client.get(core.Service, "hello", "default")
    return await _greets(f"http://{service.spec.cluster_ip}:{service.spec.ports[0].port}")


async def _greets(url: str) -> bool | None:
    http = HTTPClient(url)
    try:
        answer = await http.request("GET", "/", timeout=CHECK_SECONDS)
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
