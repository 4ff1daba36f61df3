"""A node for the tests: API server and kubelet in this process, containers on the machine's Docker engine."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pybernetes.apiserver.admission.chain import ADMISSION
from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.client.http import HTTPClient
from pybernetes.client.informer import InformerFactory
from pybernetes.client.kubeconfig import Config
from pybernetes.client.rest import RESTClient
from pybernetes.kubelet import cleanup
from pybernetes.kubelet.app import Kubelet
from pybernetes.kubelet.machine.thresholds import thresholds
from pybernetes.kubelet.network.bridge import BridgeNetwork
from pybernetes.kubelet.options import Evictions, KubeletOptions
from pybernetes.kubelet.process import assemble, host_addresses
from pybernetes.kubelet.runtime.docker import DockerRuntime
from pybernetes.store.sqlite import SQLiteStore
from pybernetes.wire.http import serve

from ..api.golden import Administrator, tokens
from .engine import endpoint
from .images import BUSYBOX, REGISTRY_PORT, Registry, archives

NODE = "node1"
BRIDGE = "pybtest0"
CIDR = "10.244.250.0/24"  # not what a cluster on the same machine gives its first node
DNS = "10.96.0.10"
RESOLV_CONF = "nameserver 192.0.2.53\nsearch example.org\n"
# Admission of the recordings; what needs objects that these tests do not make is left out.
PLUGINS = tuple(
    p
    for p in ADMISSION
    if p in ("NamespaceLifecycle", "ServiceAccount", "Priority", "DefaultTolerationSeconds", "LimitRanger")
)


@dataclass(frozen=True, slots=True)
class TestNode:
    """What a test works with."""

    __test__ = False

    http: HTTPClient
    client: RESTClient
    runtime: DockerRuntime
    kubelet: Kubelet
    folder: Path
    ip: str
    url: str


async def ensure_images(runtime: DockerRuntime) -> None:
    """busybox comes from the node's registry, so that it has a digest, and is known by its own name alone."""
    pulled = f"localhost:{REGISTRY_PORT}/ok@{Registry().digest}"
    await runtime.pull_image(pulled)
    name, _, tag = BUSYBOX.partition(":")
    await runtime.api.post(f"/images/{pulled}/tag", None, {"repo": name, "tag": tag})
    for archive in archives():
        await runtime.api.post("/images/load", archive, {"quiet": True})


@asynccontextmanager
async def running_node(static_pods: bool = True) -> AsyncIterator[TestNode]:
    """A registered node; afterwards nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="pybernetes-node-"))
    (folder / "manifests").mkdir()
    (folder / "resolv.conf").write_text(RESOLV_CONF)
    addresses = host_addresses()
    options = KubeletOptions(
        NODE,
        addresses,
        root_dir=str(folder / "kubelet"),
        pod_logs_dir=str(folder / "logs"),
        pod_cidr=CIDR,
        cluster_dns=(DNS,),
        resolv_conf=str(folder / "resolv.conf"),
        pod_manifest_path=str(folder / "manifests") if static_pods else "",
        allowed_unsafe_sysctls=("kernel.msg*", "net.core.somaxconn"),
        evictions=Evictions(
            thresholds({"memory.available": "1Mi"}, {}, {}, {})
        ),  # how full the machine's disk is is no business of these tests
    )
    store = await SQLiteStore.open(":memory:")
    server = APIServer(
        store,
        Options(
            authentication=AuthenticationOptions([Administrator()], service_accounts=tokens()),
            enable_admission_plugins=PLUGINS,
        ),
    )
    await server.start()
    url = f"http://127.0.0.1:{server.port}"
    http, client, runtime = HTTPClient(url), RESTClient(Config(url), "kubelet"), DockerRuntime(endpoint())
    network = BridgeNetwork(options.root_dir, runtime.sandbox_pid, bridge=BRIDGE)
    registry = await serve(Registry().handle, "127.0.0.1", REGISTRY_PORT)
    informers = InformerFactory(client)
    try:
        kubelet = await assemble(runtime, options, client, informers, network)
        tasks = [asyncio.ensure_future(kubelet.run()), asyncio.ensure_future(informers.run())]
        try:
            yield TestNode(http, client, runtime, kubelet, folder, addresses[0], url)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        network.close()
        await registry.stop(0)
        await client.close()
        await http.close()
        await server.stop(0)
        await store.close()
        await cleanup.clean(runtime, options.root_dir, BRIDGE)
        await runtime.close()
        shutil.rmtree(folder)
