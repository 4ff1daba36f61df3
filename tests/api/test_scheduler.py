"""`pybernetes kube-scheduler` as a process, and the scheduler of the test cluster."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api.types import coordination_v1 as coordination
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.kubeconfig import load
from pybernetes.client.rest import RESTClient
from pybernetes.testing import RunningCluster, cluster

from ..ports import free_port

SECONDS = 60.0
READY = ("node-lifecycle-controller",)  # takes the taint of new nodes away


@contextmanager
def scheduler(*flags: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "pybernetes", "kube-scheduler", *flags]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def get(url: str) -> str:
    """The answer, waited for."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=SECONDS) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def create_and_wait(running: RunningCluster, *names: str, **spec: Any) -> dict[str, core.Pod]:
    """The pods when all have a node."""

    async def play() -> dict[str, core.Pod]:
        client = RESTClient(load(running.kubeconfig), "test")
        try:
            for name in names:
                wanted = core.PodSpec(containers=[core.Container(name="c", image="i")], **spec)
                await client.create(core.Pod(metadata=meta.ObjectMeta(name=name, namespace="default"), spec=wanted))
            async with asyncio.timeout(SECONDS):
                while True:
                    found = {name: await client.get(core.Pod, name, "default") for name in names}
                    if all(pod.spec.node_name for pod in found.values()):
                        return found
                    await asyncio.sleep(0.02)
        finally:
            await client.close()

    return asyncio.run(play())


def test_the_test_cluster_has_a_scheduler() -> None:
    with cluster(hollow_nodes=2, controllers=READY, scheduler=True) as running:
        found = create_and_wait(running, "a", "b")
    assert {pod.spec.node_name for pod in found.values()} <= {"hollow-0", "hollow-1"}
    (condition,) = [c for c in found["a"].status.conditions if c.type == "PodScheduled"]
    assert condition.status == "True"


def test_the_command(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
        "leaderElection: {resourceName: mine, leaseDuration: 20s}\nprofiles: [{schedulerName: mine}]\n"
    )
    port = free_port()
    with cluster(hollow_nodes=1, controllers=READY) as running:
        flags = (f"--kubeconfig={running.kubeconfig}", f"--config={config}", "--secure-port=0", f"--port={port}")
        with scheduler(*flags) as process:
            found = create_and_wait(running, "p", scheduler_name="mine")
            assert found["p"].spec.node_name == "hollow-0"
            assert get(f"http://127.0.0.1:{port}/healthz") == "ok"
            text = get(f"http://127.0.0.1:{port}/metrics")
            assert 'scheduler_schedule_attempts_total{profile="mine",result="scheduled"} 1' in text
            lease = asyncio.run(read_lease(running, "mine"))
            assert lease.spec.lease_duration_seconds == 20 and lease.spec.holder_identity
        assert process.returncode == 0
        # It has given the lease up, so that another need not wait.
        assert asyncio.run(read_lease(running, "mine")).spec.holder_identity in ("", None)


async def read_lease(running: RunningCluster, name: str) -> coordination.Lease:
    client = RESTClient(load(running.kubeconfig), "test")
    try:
        return await client.get(coordination.Lease, name, "kube-system")
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--kubeconfig=/nowhere"], 2, "--kubeconfig"),
        (["--config=/nowhere"], 2, "--config=/nowhere: No such file or directory"),
        (["--frobnicate"], 2, "unknown flag: --frobnicate"),
        (["--master=http://127.0.0.1:9", "--leader-elect-resource-lock=endpoints"], 2, "only leases are there"),
    ],
)
def test_what_cannot_be_done_is_one_line(flags: list[str], code: int, message: str) -> None:
    command = [sys.executable, "-m", "pybernetes", "kube-scheduler", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == code
    (line,) = done.stderr.strip().splitlines()
    assert message in line


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        flags = [f"--port={taken.getsockname()[1]}", "--secure-port=0", "--master=http://127.0.0.1:9"]
        command = [sys.executable, "-m", "pybernetes", "kube-scheduler", *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 1
    assert "in use?" in done.stderr
