"""Figures of the API server on etcd (Debian's etcd-server), which runs on this machine as well. Needs wrk.

./bench etcd

Where PYBERNETES_PEERS names a folder with upstream's kube-apiserver, the same requests go to that, after ours and on an etcd of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import uvloop
from tests.etcd import upstream
from tests.etcd.server import WHY_NOT, Member, etcd

from pybernetes.apiserver.options import FLAGS
from pybernetes.apiserver.options import store as store_options
from pybernetes.apiserver.server import APIServer
from pybernetes.component import flags

from .apiserver import CONFIG_MAP, PODS, create_pods, pod, pod_without_name, post, serving, wrk
from .figures import Figures

DURABLE = (
    "--unsafe-no-fsync=false",
    "--heartbeat-interval=100",
    "--election-timeout=1000",
)  # as etcd is run, not as tests run it


@asynccontextmanager
async def on(folder: Path, members: list[Member]) -> AsyncIterator[APIServer]:
    """A server as the command line makes it."""
    chosen = flags.parse("kube-apiserver", FLAGS, [f"--etcd-servers={','.join(member.url for member in members)}"])
    store = await store_options.opened(chosen)
    try:
        server = await serving(folder, store, **store_options.options(chosen))
        try:
            yield server
        finally:
            await server.stop(0)
    finally:
        await store.close()


async def writes(server: APIServer, folder: Path, prefix: str) -> Figures:
    """POST."""
    url = f"https://127.0.0.1:{server.port}"
    maps = await wrk(f"{prefix}_post_configmap", url, "-s", post(folder, "configmaps", CONFIG_MAP))
    return maps | await wrk(f"{prefix}_post_pod", url, "-s", post(folder, "pods", pod_without_name()))


async def measure() -> Figures:
    """One member, then three."""
    figures: Figures = {}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        members = await stack.enter_async_context(etcd(folder, 1, DURABLE))
        server = await stack.enter_async_context(on(folder, members))
        url = f"https://127.0.0.1:{server.port}"
        figures |= await writes(server, folder, "etcd")
        figures |= await wrk("etcd_get_namespace", f"{url}/api/v1/namespaces/default")
        await create_pods(server)
        figures |= await wrk("etcd_list_limit_500", f"{url}/api/v1/namespaces/default/pods?limit=500", connections=4)
        figures |= await wrk(f"etcd_list_{PODS}_pods", f"{url}/api/v1/namespaces/default/pods", connections=4)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        members = await stack.enter_async_context(etcd(folder, 3, DURABLE))
        figures |= await writes(await stack.enter_async_context(on(folder, members)), folder, "etcd_3_members")
    return figures


async def measure_upstream() -> Figures:
    """On one member, as ours."""
    figures: Figures = {}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        [member] = await stack.enter_async_context(etcd(folder, 1, DURABLE))
        peer = await stack.enter_async_context(upstream.upstream(folder, member))
        headers = ("-H", f"Authorization: Bearer {upstream.TOKEN}")

        def cpu() -> float:
            fields = Path(f"/proc/{peer.process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        await peer.send("POST", "/api/v1/namespaces", b'{"metadata":{"name":"bench"}}')
        for resource, body in (("configmaps", CONFIG_MAP), ("pods", pod_without_name())):
            script = post(folder, resource, body)
            figures |= await wrk(f"upstream_post_{resource[:-1]}", peer.url, *headers, "-s", script, cpu=cpu)
        figures |= await wrk("upstream_get_namespace", f"{peer.url}/api/v1/namespaces/default", *headers, cpu=cpu)
        pods = f"{peer.url}/api/v1/namespaces/default/pods"
        for number in range(PODS):
            await peer.send("POST", "/api/v1/namespaces/default/pods", json.dumps(pod(number)).encode())
        figures |= await wrk("upstream_list_limit_500", f"{pods}?limit=500", *headers, connections=4, cpu=cpu)
        # Four at once have no answer of 10,000 within the 5 s.
        figures |= await wrk(f"upstream_list_{PODS}_pods", pods, *headers, "--timeout=60", connections=2, cpu=cpu)
    return figures


async def both() -> Figures:
    """In one sitting."""
    return await measure() | ({} if upstream.WHY_NOT else await measure_upstream())


def main() -> Figures:
    """RuntimeError without wrk or etcd."""
    if WHY_NOT or shutil.which("wrk") is None:
        raise RuntimeError(WHY_NOT or "wrk is missing: apt-get install wrk")
    return uvloop.run(both())
