"""A node that is a network namespace, and sandboxes that are processes in namespaces of their own, for chains of real CNI plugins."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.network.cni.network import CNINetwork
from pybernetes.kubelet.runtime.types import RuntimeFailure, Sandbox

from .namespaces import Namespace

T = TypeVar("T")

PLUGINS = "/usr/lib/cni"  # Debian's
RANGE = "10.88.7."
PATIENCE = 60.0


def pod(name: str, host_port: int = 0, **annotations: str) -> core.Pod:
    result = core.Pod()
    result.metadata.name, result.metadata.namespace, result.metadata.uid = name, "default", f"uid-{name}"
    result.metadata.annotations = {f"kubernetes.io/{key}-bandwidth": value for key, value in annotations.items()}
    ports = [core.ContainerPort(container_port=80, host_port=host_port)] if host_port else []
    result.spec.containers = [core.Container(name="c", ports=ports)]
    return result


class CNINode:
    """Its folder has the configuration, the cache and the addresses given."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.namespace, self.folder = namespace, folder
        self.conf_dir, self.addresses = folder / "net.d", folder / "addresses"
        self.conf_dir.mkdir()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def ipam(self) -> dict[str, Any]:
        return {
            "type": "host-local",
            "dataDir": str(self.addresses),
            "ranges": [[{"subnet": f"{RANGE}0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }

    def configure(self, *plugins: dict[str, Any], name: str = "10-pods.conflist", version: str = "1.0.0") -> None:
        document = {"cniVersion": version, "name": "pods", "plugins": plugins}
        (self.conf_dir / name).write_text(json.dumps(document))

    def network(self, *, plugins: str = PLUGINS, cache: Path | None = None) -> CNINetwork:
        async def pid(sandbox_id: str) -> int:
            return self.pid(sandbox_id)

        return CNINetwork(
            pid, conf_dir=str(self.conf_dir), bin_dirs=plugins.split(":"), cache_dir=str(cache or self.folder / "cache")
        )

    def run(self, work: Callable[[CNINetwork], Awaitable[T]], plugins: str = PLUGINS) -> T:
        """On the node, with a network as a kubelet has it that has just started."""

        async def main() -> T:
            network = self.network(plugins=plugins)
            try:
                return await work(network)
            finally:
                await network.close()

        return self.namespace.inside(lambda: asyncio.run(main()))

    def start(self, sandbox_id: str) -> Sandbox:
        """A namespace that lives as long as its process."""
        process = subprocess.Popen(["unshare", "--net", "sleep", "3600"])
        self._processes[sandbox_id] = process
        eventually("a sandbox's namespace", lambda: _namespace(process.pid) != _namespace(os.getpid()))
        return self.sandbox(sandbox_id)

    def sandbox(self, sandbox_id: str) -> Sandbox:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        return Sandbox(sandbox_id, sandbox_id, "default", f"uid-{sandbox_id}", 0, True, now, self.pid(sandbox_id))

    def pid(self, sandbox_id: str) -> int:
        if sandbox_id not in self._processes:
            raise RuntimeFailure("it does not run")
        return self._processes[sandbox_id].pid

    def pids(self) -> dict[str, int]:
        return {sandbox_id: process.pid for sandbox_id, process in self._processes.items()}

    def stop(self, sandbox_id: str) -> None:
        process = self._processes.pop(sandbox_id)
        process.kill()
        process.wait()

    def close(self) -> None:
        for sandbox_id in list(self._processes):
            self.stop(sandbox_id)
        for path in _pinned():  # of a test that failed, or that killed plugins
            subprocess.run(["ip", "netns", "delete", path.name], check=False)

    def in_pod(self, sandbox_id: str, command: str, check: bool = True) -> str:
        enter = ["nsenter", "-t", str(self.pid(sandbox_id)), "--net", "sh", "-c", command]
        done = subprocess.run(enter, capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def left(self) -> list[str]:
        """What tells of pods: their ends of veths, rules, addresses, what is remembered of them."""
        links = [link["ifname"] for link in json.loads(self.namespace.run("ip -j link show type veth"))]
        links += [link["ifname"] for link in json.loads(self.namespace.run("ip -j link show type ifb"))]
        rules = self.namespace.run("iptables-save; ip6tables-save").splitlines()
        of_pods = [
            rule for rule in rules if rule.startswith("-A") and (RANGE in rule or "CNI-DN-" in rule or 'id: "' in rule)
        ]
        of_pods += [rule for rule in rules if rule.startswith((":CNI-DN-", ":CNI-SN-"))]
        given = [path.name for path in self.addresses.glob("*/*") if path.name.startswith(RANGE)]
        cached = [path.name for path in _pinned()]
        cached += [path.name for path in (self.folder / "cache" / "results").glob("*")]
        return [*links, *of_pods, *given, *cached]


def _pinned() -> list[Path]:
    """Namespaces of the tests' sandboxes, whose names are one letter each."""
    return [path for letter in "abcd" for path in Path("/run/netns").glob(f"cni-{letter * 64}")]


def _namespace(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/net")


def eventually(what: str, holds: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while not (result := holds()):
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)
    return result


async def busy(folder: str, pids: dict[str, int]) -> None:
    """Pods come and go, until this process is killed."""

    async def pid(sandbox_id: str) -> int:
        return pids[sandbox_id]

    network = CNINetwork(pid, conf_dir=f"{folder}/net.d", bin_dirs=(PLUGINS,), cache_dir=f"{folder}/cache")
    now = datetime(2026, 1, 1, tzinfo=UTC)

    async def one(name: str, number: int) -> None:
        about = pod(name, 8000 + number)
        while True:
            # As a pod's worker: `bridge` of 1.1.1 fails now and then where two pods' chains go at once ("resource busy").
            with suppress(RuntimeFailure):
                await network.setup(Sandbox(name, name, "default", f"uid-{name}", 0, True, now, pids[name]), about)
                await network.teardown(name, about)

    print("busy", flush=True)
    await asyncio.gather(*(one(name, number) for number, name in enumerate(pids)))


if __name__ == "__main__":
    asyncio.run(busy(sys.argv[1], json.loads(sys.argv[2])))
