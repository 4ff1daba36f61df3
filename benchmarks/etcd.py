"""Figures of the API server on etcd (Debian's etcd-server), which runs on this machine as well. Needs wrk.

./bench etcd
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import uvloop
from tests.etcd.server import WHY_NOT, Member, etcd

from pybernetes.apiserver.options import FLAGS
from pybernetes.apiserver.options import store as store_options
from pybernetes.apiserver.server import APIServer
from pybernetes.component import flags

from .apiserver import CONFIG_MAP, PODS, create_pods, pod_without_name, post, serving, wrk
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


def main() -> Figures:
    """RuntimeError without wrk or etcd."""
    if WHY_NOT or shutil.which("wrk") is None:
        raise RuntimeError(WHY_NOT or "wrk is missing: apt-get install wrk")
    return uvloop.run(measure())
