"""How many pods a second are placed: 5,000 pods on 1,000 and on 5,000 nodes that are objects only.

./bench scheduler

API server (SQLite in a file, TLS) and scheduler are processes of their own, with upstream's flags; pods come through the API. Two
figures for each number of nodes: `waiting` (the pods are there before the scheduler is; from its first binding to its last) and `arriving`
(the scheduler runs while the pods are created, as fast as the server takes them; from the first creation to the last binding).
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from pybernetes.api.errors import StatusError
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.kubeconfig import Config
from pybernetes.client.rest import RESTClient
from pybernetes.client.types import WatchEvent
from pybernetes.cluster.credentials import kubeconfig
from pybernetes.testing.certificates import Authority

from .figures import Figures

PODS = 5000
NODES = (1000, 5000)
PORT = 21510
AT_ONCE = 32  # requests of the load generator
PATIENCE = 90.0  # seconds
TICKS = 100.0  # of CPU time a second


def node(number: int) -> core.Node:
    """8 CPUs, 32 GiB, in one of ten zones."""
    name = f"hollow-{number:05}"
    size = {"cpu": Quantity.parse("8"), "memory": Quantity.parse("32Gi"), "pods": Quantity.parse("110")}
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{number % 10}"}
    ready = core.NodeCondition(type="Ready", status="True", reason="KubeletReady")
    return core.Node(
        metadata=meta.ObjectMeta(name=name, labels=labels),
        status=core.NodeStatus(capacity=size, allocatable=size, conditions=[ready]),
    )


def pod(number: int) -> core.Pod:
    """100m CPU, 500 MB."""
    requests = {"cpu": Quantity.parse("100m"), "memory": Quantity.parse("500M")}
    container = core.Container(
        name="c", image="registry.example/app:1", resources=core.ResourceRequirements(requests=requests)
    )
    own = meta.ObjectMeta(name=f"p-{number:05}", namespace="default", labels={"app": "web"})
    return core.Pod(metadata=own, spec=core.PodSpec(containers=[container]))


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A part that ends with the block."""
    running = subprocess.Popen([sys.executable, "-m", "pybernetes", *arguments])
    try:
        yield running
    finally:
        running.terminate()
        running.wait()


def cpu_seconds(running: subprocess.Popen[bytes]) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(running: subprocess.Popen[bytes]) -> float:
    """PSS in MiB."""
    for line in Path(f"/proc/{running.pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel tells no PSS")


async def create_all(client: RESTClient, objects: Sequence[Any]) -> None:
    """All of them, some at a time."""
    rest = iter(objects)

    async def some() -> None:
        for obj in rest:
            await client.create(obj)

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def bound_times(client: RESTClient, version: str) -> list[float]:
    """When each of the pods got its node."""
    times: list[float] = []
    async with asyncio.timeout(PATIENCE):
        # Only the metadata would do, but then the node's name would be missing; the selector leaves out pods that wait.
        async for event in client.watch(core.Pod, resource_version=version, field_selector="spec.nodeName!="):
            if isinstance(event, WatchEvent) and event.type == "ADDED":
                times.append(time.perf_counter())
                if len(times) == PODS:
                    return times
    raise RuntimeError("the watch ended early")


class Bench:
    """One server, one number of nodes, one figure."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self._folder, self._nodes = folder, nodes
        self._url = f"https://127.0.0.1:{PORT}"
        authority = Authority("bench", datetime.now(UTC))
        admin = authority.client("admin", ["system:masters"])
        serving = authority.serving(["localhost"], ["127.0.0.1"])
        for name, data in (
            ("ca.crt", authority.pem),
            ("server.crt", serving.certificate),
            ("server.key", serving.key),
            ("kubeconfig", kubeconfig(self._url, authority.pem, "admin", admin).encode()),
        ):
            (folder / name).write_bytes(data)
        self._config = Config(self._url, ca_data=authority.pem, certificate=admin.certificate, key=admin.key)

    def server(self) -> Any:
        """The API server's process."""
        folder = self._folder
        return process(
            "kube-apiserver",
            f"--secure-port={PORT}",
            f"--store=sqlite:{folder}/state.db",
            f"--tls-cert-file={folder}/server.crt",
            f"--tls-private-key-file={folder}/server.key",
            f"--client-ca-file={folder}/ca.crt",
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",  # nobody makes nodes ready here
        )

    def scheduler(self) -> Any:
        """The scheduler's process."""
        return process(
            "kube-scheduler",
            f"--kubeconfig={self._folder}/kubeconfig",
            "--secure-port=0",
            "--leader-elect=false",
        )

    async def measure(self, arriving: bool) -> dict[str, float]:
        """Figures of one run."""
        with self.server() as server:
            client = RESTClient(self._config, "bench")
            await answers(client, server)
            await create_all(client, [node(n) for n in range(self._nodes)])
            pods = [pod(n) for n in range(PODS)]
            if not arriving:
                await create_all(client, pods)
            version = (await client.list(core.Pod)).resource_version
            watching = asyncio.ensure_future(bound_times(client, version))
            used = cpu_seconds(server)
            with self.scheduler() as scheduler:
                begin = time.perf_counter()
                if arriving:
                    await asyncio.sleep(3.0)
                    idle = cpu_seconds(scheduler)
                    begin = time.perf_counter()
                    await create_all(client, pods)
                times = await watching
                took = times[-1] - (begin if arriving else times[0])
                found = {
                    "pods_per_second": PODS / took,
                    "scheduler_cpu_seconds": cpu_seconds(scheduler) - (idle if arriving else 0.0),
                    "apiserver_cpu_seconds": cpu_seconds(server) - used,
                    "scheduler_mebibytes": memory(scheduler),
                }
            await client.close()
        return found


async def answers(client: RESTClient, server: subprocess.Popen[bytes]) -> None:
    """Returns when the server does. RuntimeError if it has ended."""
    while server.poll() is None:
        try:
            await client.raw("GET", "/readyz")
            return
        except (ConnectionError, StatusError):
            await asyncio.sleep(0.05)
    raise RuntimeError("the API server has ended; what it said is above")


def figures(nodes: Sequence[int]) -> Figures:
    """For `./bench`: name -> value, unit."""
    found: Figures = {}
    for number in nodes:
        for arriving in (False, True):
            kind = "arriving" if arriving else "waiting"
            with tempfile.TemporaryDirectory() as folder:
                measured = uvloop.run(Bench(Path(folder), number).measure(arriving))
            units = {"pods_per_second": "1/s", "scheduler_mebibytes": "MiB"}
            for name, value in measured.items():
                found[f"schedule_{PODS}_{kind}_{number}_nodes_{name}"] = (value, units.get(name, "s"))
    return found


def main() -> Figures:
    """Of both sizes."""
    return figures(NODES)
