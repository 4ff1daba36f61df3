"""Figures of a whole cluster: start, memory and CPU when idle, pods to Ready on Docker. Needs root and Docker.

./bench cluster
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.kubeconfig import ConfigError, load
from pybernetes.client.rest import RESTClient
from pybernetes.cluster import state
from pybernetes.cluster.layout import Layout

from .figures import Figures

IDLE_SECONDS = 30.0  # over which CPU is counted
SETTLE_SECONDS = 15.0  # after the last pod is Ready, before memory is read
PODS = 30
IMAGE = "pybernetes:local"


def pss(pid: int) -> float:
    """Proportional set size in MB: shared pages count their share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no Pss of {pid}")


def cpu(pid: int) -> float:
    """Seconds of CPU used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 120.0) -> float:
    """The moment (monotonic) at which the check first held; TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                if await check():
                    return time.monotonic()
            except (StatusError, ConnectionError, OSError, ConfigError):
                pass  # not there yet: that is what is waited for
            await asyncio.sleep(0.01)


def pod(name: str) -> core.Pod:
    container = core.Container(name="c", image=IMAGE, image_pull_policy="Never", command=["busybox", "sleep", "3600"])
    labels = {"app": "bench"}
    return core.Pod(
        metadata=meta.ObjectMeta(name=name, namespace="default", labels=labels),
        spec=core.PodSpec(containers=[container], termination_grace_period_seconds=0),
    )


async def pods_ready(client: RESTClient, names: list[str]) -> float:
    """Seconds from the first POST until all are Ready."""
    begin = time.monotonic()
    await asyncio.gather(*(client.create(pod(name)) for name in names))

    async def ready() -> bool:
        found = (await client.list(core.Pod, "default", label_selector="app=bench")).items
        done = [p for p in found if any(c.type == "Ready" and c.status == "True" for c in p.status.conditions)]
        return len(done) >= len(names)

    elapsed = await until(ready) - begin
    await asyncio.gather(*(client.delete(core.Pod, name, "default") for name in names))

    async def gone() -> bool:
        return not (await client.list(core.Pod, "default", label_selector="app=bench")).items

    await until(gone)
    return elapsed


async def measure(layout: Layout) -> Figures:
    """Starts a cluster in the directory; the caller takes it down."""
    figures: Figures = {}
    begin = time.monotonic()
    up = subprocess.Popen(
        [sys.executable, "-m", "pybernetes", "up", "--no-example", f"--data-dir={layout.root}"],
        stdout=subprocess.DEVNULL,
    )
    clients: list[RESTClient] = []

    def client() -> RESTClient:
        if not clients:
            clients.append(RESTClient(load(layout.kubeconfig("admin")), "bench"))
        return clients[0]

    async def ready() -> bool:
        return await client().raw("GET", "/readyz") == b"ok"

    async def node_ready() -> bool:
        nodes = (await client().list(core.Node)).items
        return any(c.type == "Ready" and c.status == "True" for node in nodes for c in node.status.conditions)

    figures["up_to_readyz"] = (await until(ready) - begin, "s")
    figures["up_to_node_ready"] = (await until(node_ready) - begin, "s")
    if await asyncio.to_thread(up.wait, 300):
        raise RuntimeError("up failed; see its output")
    figures["up_to_done"] = (time.monotonic() - begin, "s")
    figures["one_pod_ready"] = (min([await pods_ready(client(), [f"one-{n}"]) for n in range(3)]), "s")
    figures[f"{PODS}_pods_ready"] = (await pods_ready(client(), [f"many-{n}" for n in range(PODS)]), "s")
    await asyncio.sleep(SETTLE_SECONDS)
    figures |= await idle(layout)
    await client().close()
    return figures


async def idle(layout: Layout) -> Figures:
    """Memory, and CPU in percent of a core, of each part and of the control plane together."""
    found = state.read(layout)
    assert found is not None
    pids = {part.name: part.pid for part in found.parts if part.name != "dockerd"} | {"supervisor": found.pid}
    before = {name: cpu(pid) for name, pid in pids.items()}
    await asyncio.sleep(IDLE_SECONDS)
    figures: Figures = {}
    for name, pid in pids.items():
        figures[f"idle_pss_{name}"] = (pss(pid), "MB")
        figures[f"idle_cpu_{name}"] = (100 * (cpu(pid) - before[name]) / IDLE_SECONDS, "%")
    control_plane = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "supervisor")
    figures["idle_pss_control_plane"] = (sum(pss(pids[name]) for name in control_plane), "MB")
    return figures


def main() -> Figures:
    """In a directory of its own, which is taken away again."""
    with tempfile.TemporaryDirectory(prefix="pybernetes-bench-") as folder:
        layout = Layout(Path(folder) / "cluster")
        try:
            return asyncio.run(measure(layout))
        finally:
            down = [sys.executable, "-m", "pybernetes", "down", "--purge", f"--data-dir={layout.root}"]
            subprocess.run(down, check=True, stdout=subprocess.DEVNULL)
