"""metrics-server end to end: kubelets that say what a test wants, the aggregator, `kubectl top`, and an autoscaler that follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from pybernetes.aio.clock import RealClock
from pybernetes.aio.flowing import FlowingClock
from pybernetes.api import types
from pybernetes.api.errors import StatusError
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import autoscaling_v2 as autoscaling
from pybernetes.api.types import core_v1 as core
from pybernetes.client.kubeconfig import Config
from pybernetes.client.rest import RESTClient
from pybernetes.cluster import addons, apply
from pybernetes.cluster.credentials import kubeconfig
from pybernetes.component import flags, serving, servingflags
from pybernetes.component.clientflags import Clients
from pybernetes.component.metrics import Registry
from pybernetes.metricsserver import scraper
from pybernetes.metricsserver.api import MetricsAPI, ask
from pybernetes.metricsserver.kubelets import Resolver
from pybernetes.metricsserver.options import FLAGS
from pybernetes.metricsserver.scraper import Kubelets, Scraper
from pybernetes.pki.certificates import self_signed
from pybernetes.pki.contexts import ServerContext
from pybernetes.testing import TestCluster
from pybernetes.wire.http import Request, Response, serve

from ..clients import Kubectl, found
from ..ports import free_port

SECONDS = 60.0
RESOLUTION = 0.1
CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "horizontal-pod-autoscaler-controller",
    "serviceaccount-controller",
    "clusterrole-aggregation-controller",
)


@dataclass
class Node:
    """A kubelet's answer at /metrics/resource, as of the containers that run; `millicores` of each, and any more lines."""

    client: RESTClient
    clock: FlowingClock
    millicores: int = 100
    more: str = ""
    used: dict[str, float] = field(default_factory=dict)
    last: float = 0.0

    async def handle(self, _: Request) -> Response:
        now = self.clock.monotonic()
        stamp = int(self.clock.now().timestamp() * 1000)
        lines = [
            f"node_cpu_usage_seconds_total {now / 4 + 1} {stamp}",
            f"node_memory_working_set_bytes 104857600 {stamp}",
        ]
        for pod in (await self.client.list(core.Pod)).items:
            name = pod.metadata.name
            self.used[name] = self.used.get(name, 1.0) + (now - self.last) * self.millicores / 1000
            labels = f'{{container="c",namespace="{pod.metadata.namespace}",pod="{name}"}}'
            lines.append(f"container_cpu_usage_seconds_total{labels} {self.used[name]} {stamp}")
            lines.append(f"container_memory_working_set_bytes{labels} 10485760 {stamp}")
        self.last = now
        return Response(200, [("Content-Type", "text/plain")], ("\n".join(lines) + "\n" + self.more).encode())


@dataclass
class Bench:
    cluster: TestCluster
    client: RESTClient
    clock: FlowingClock
    kubectl: Kubectl
    node: Node
    scraper: Scraper

    async def top(self, *arguments: str, code: int = 0) -> str:
        return await asyncio.to_thread(self.kubectl, "top", *arguments, code=code)

    async def eventually(self, holds: Callable[[], Awaitable[bool]], passing: float = 0.0) -> None:
        async with asyncio.timeout(SECONDS):
            while not await holds():
                await (self.clock.advance(passing) if passing else asyncio.sleep(0.02))
                await asyncio.sleep(RESOLUTION / 5)

    async def deploy(self, replicas: int = 1) -> None:
        container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "100m"}}}
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        await self.client.create(
            types.from_json({"metadata": {"name": "web", "namespace": "default"}, "spec": spec}, apps.Deployment)
        )

    async def pods_are_told(self, count: int) -> None:
        async def told() -> bool:
            path = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods"
            try:
                return len(msgspec.json.decode(await self.client.raw("GET", path))["items"]) == count
            except StatusError:
                return False

        await self.eventually(told)


async def rights(client: RESTClient, port: int) -> None:
    """The add-on's own manifest, but for the pod: its account is who runs here, its Service leads to this process."""
    for manifest in addons.metrics_server_manifests("image", verified=False):
        if manifest["kind"] == "Deployment":
            continue
        if manifest["kind"] == "Service":
            manifest["spec"] = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}
        if manifest["kind"] == "APIService":
            manifest["spec"]["service"]["port"] = port
        await apply.apply(client, [manifest])


@asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    clock = FlowingClock()
    cluster = TestCluster(folder, hollow_nodes=2, controllers=CONTROLLERS, scheduler=True, clock=clock)
    running = await cluster.start()
    try:
        async with AsyncExitStack() as stack:
            client, port = cluster.client("admin"), free_port()
            await rights(client, port)
            account = "system:serviceaccount:kube-system:metrics-server"
            groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system"]
            config = folder / "metrics-server.conf"
            config.write_text(kubeconfig(running.url, running.ca, account, cluster.user(account, groups)[1]))
            node = Node(client, clock, last=clock.monotonic())
            context = ServerContext(self_signed("kubelet", ["kubelet"], ["127.0.0.1"], datetime.now(UTC)))
            kubelet = await serve(node.handle, "127.0.0.1", 0, context)
            stack.push_async_callback(kubelet.stop, 0)
            arguments = [f"--kubeconfig={config}", f"--secure-port={port}", "--bind-address=127.0.0.1"]
            values, registry = flags.parse("metrics-server", FLAGS, arguments), Registry()
            clients = Clients(stack, values, "metrics-server", registry)
            asks = Kubelets(
                Resolver(("InternalIP",), kubelet.port),
                replace(clients.config, server="https://kubelet", source=None, insecure_skip_tls_verify=True),
            )
            server = Scraper(asks, clients.client(), RESOLUTION, RealClock(), registry, Random(1))
            extension = serving.Extension(MetricsAPI(server, clock).routes(), ask)
            await servingflags.serve(stack, values, clients, registry, None, extension)
            work = asyncio.ensure_future(server.run())
            stack.callback(work.cancel)
            binary = found().get("kubectl")
            if binary is None:
                pytest.skip("kubectl is not there")
            yield Bench(cluster, client, clock, Kubectl(binary, running.kubeconfig), node, server)
    finally:
        await cluster.stop()


def run(folder: Path, story: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        async with bench(folder) as made:
            await story(made)

    asyncio.run(main())


def test_kubectl_top(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.deploy(2)
        await b.pods_are_told(2)
        lines = [line.split() for line in (await b.top("nodes")).splitlines()]
        assert lines[0] == ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]
        assert len(lines) == 3 and {line[3] for line in lines[1:]} == {"100Mi"}
        lines = [line.split() for line in (await b.top("pods", "--containers", "-l", "app=web")).splitlines()]
        assert [(line[1], line[3]) for line in lines[1:]] == [("c", "10Mi")] * 2
        assert "No resources found" in await b.top("pods", "-l", "app=other")
        await asyncio.to_thread(b.kubectl, "get", "nodes.metrics.k8s.io")  # a table
        # Who may see pods by the role "view" sees their use; others do not.
        _, lines_of = "jane", ["--as=jane", "pods"]
        assert "forbidden" in await b.top(*lines_of, code=1)
        await asyncio.to_thread(b.kubectl, "create", "rolebinding", "jane", "--clusterrole=view", "--user=jane")

        async def sees() -> bool:
            try:
                await b.top(*lines_of)
            except AssertionError:
                return False
            return True

        await b.eventually(sees)

    run(tmp_path, story)


def test_an_autoscaler_follows_the_load(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.deploy()
        await b.pods_are_told(1)
        about = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        metric = {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
        }
        spec: dict[str, Any] = {"scaleTargetRef": about, "minReplicas": 1, "maxReplicas": 4, "metrics": [metric]}
        await b.client.create(
            types.from_json(
                {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}, autoscaling.HorizontalPodAutoscaler
            )
        )

        async def replicas(holds: Callable[[int], bool]) -> bool:
            return holds((await b.client.get(apps.Deployment, "web", "default")).spec.replicas or 0)

        await b.eventually(lambda: replicas(lambda n: n >= 2), passing=15)  # 100m of 100m each: the double
        b.node.millicores = 1
        await b.eventually(lambda: replicas(lambda n: n == 1), passing=60)  # after five minutes of quiet

    run(tmp_path, story)


def test_nobody_is_believed_without_the_proxys_certificate(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        path = "/apis/metrics.k8s.io/v1beta1/nodes"
        told = await b.client.raw("GET", "/api/v1/namespaces/kube-system/services/metrics-server")
        port = msgspec.json.decode(told)["spec"]["ports"][0]["port"]
        config = Config(f"https://127.0.0.1:{port}", insecure_skip_tls_verify=True)
        stranger = RESTClient(config, "stranger")
        try:
            with pytest.raises(StatusError) as refused:
                await stranger.raw("GET", path, None, {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"})
            assert refused.value.code == 401
            assert await stranger.raw("GET", "/livez") == b"ok"
        finally:
            await stranger.close()

    run(tmp_path, story)


def test_a_kubelet_that_speaks_without_end_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scraper, "MAX_BYTES", 64 << 10)

    async def story(b: Bench) -> None:
        await b.deploy()
        await b.pods_are_told(1)
        b.node.more = "# nothing\n" * (8 << 10)

        async def silent() -> bool:
            return not b.scraper.storage.nodes and bool(b.scraper.storage_problem())

        await b.eventually(silent)
        assert "the answer is longer than" in caplog.text
        b.node.more = ""
        await b.pods_are_told(1)

    run(tmp_path, story)
