"""kube-proxy: the first sync of many Services, one changed endpoint, and the memory of it, in each mode.

./bench proxy; root, with iptables, conntrack and nftables installed. Each mode runs in a network namespace of its own; Services and
EndpointSlices are told one by one as informers tell them, and kept by the proxy alone, so that no API server is measured.
`proxy_iptables` is Debian's default, which is nf_tables.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pybernetes.aio.clock import RealClock
from pybernetes.api import types
from pybernetes.api.types import core_v1, discovery_v1
from pybernetes.client.sliminformer import Kept, keep
from pybernetes.client.types import Handler
from pybernetes.component import flags
from pybernetes.proxy import backends
from pybernetes.proxy.app import ProxyServer
from pybernetes.proxy.health import ProxyHealth
from pybernetes.proxy.metrics import Metrics
from pybernetes.proxy.options import FLAGS, kube_proxy_configuration

from .figures import Figures

SERVICES, ENDPOINTS, CHANGES = 5000, 10, 7
MODES = {"nftables": "nftables", "iptables": "iptables", "iptables_legacy": "iptables", "userspace": "userspace"}
LEGACY = "/usr/sbin/xtables-legacy-multi"
PROGRAMS = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")


def service(number: int) -> core_v1.Service:
    body = {
        "metadata": {"name": f"service-{number}", "namespace": "default"},
        "spec": {"clusterIP": f"10.96.{number >> 8}.{number & 255}", "ports": [{"name": "http", "port": 80}]},
    }
    return types.decode(types.encode(body), core_v1.Service)


def endpoints(number: int, first: int = 1) -> discovery_v1.EndpointSlice:
    addresses = [f"10.{128 + (number >> 8)}.{number & 255}.{first + each}" for each in range(ENDPOINTS)]
    owner = f"service-{number}"
    body = {
        "metadata": {
            "name": f"{owner}-1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": owner},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [a], "nodeName": "elsewhere", "conditions": {"ready": True}} for a in addresses],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }
    return types.decode(types.encode(body), discovery_v1.EndpointSlice)


class Feed:
    """See `proxy.app.Watcher`: what is told is kept, slim, as an informer's cache would."""

    def __init__(self) -> None:
        self._handlers: dict[type[Any], tuple[Callable[[Any], Any], Handler[Kept[Any]]]] = {}
        self._cache: dict[tuple[str, str], Kept[Any]] = {}

    def watch(
        self,
        kind: type[Any],
        transform: Callable[[Any], Any],
        handler: Handler[Kept[Any]],
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        self._handlers[kind] = transform, handler

    async def wait_synced(self) -> None:
        """At once."""

    def put(self, obj: core_v1.Service | discovery_v1.EndpointSlice) -> None:
        transform, handler = self._handlers[type(obj)]
        key, slim = (obj.kind, obj.metadata.name), keep(obj, transform)
        old = self._cache.get(key)
        self._cache[key] = slim
        handler(old, slim)


async def measured(mode: str) -> dict[str, float]:
    """In a namespace of its own."""
    feed, metrics = Feed(), Metrics()
    chosen = kube_proxy_configuration(
        flags.parse("kube-proxy", FLAGS, ["--hostname-override=here", "--cluster-cidr=10.128.0.0/9"])
    )
    of_mode = backends.mode(mode)
    lack = await of_mode.lacks()
    if lack:
        raise RuntimeError(lack)
    proxy = ProxyServer(
        chosen.in_mode(mode),
        feed,
        await of_mode.backends(metrics),
        metrics,
        ProxyHealth(60),
        RealClock(),
        lambda: [],
    )

    for number in range(SERVICES):
        feed.put(service(number))
        feed.put(endpoints(number))

    async def sync(reread: bool = False) -> tuple[float, float]:
        """Seconds, and seconds of CPU time, that of programs and of the kernel for them among it."""
        began, spent = time.perf_counter(), sum(os.times()[:4])
        if not await proxy.sync(reread):
            raise RuntimeError("the kernel has refused the rules")
        return time.perf_counter() - began, sum(os.times()[:4]) - spent

    first = await sync(reread=True)
    changes = []
    for number in range(CHANGES):
        feed.put(endpoints(7, 2 - number % 2))
        changes.append(await sync())
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "first": first[0],
        "first_cpu": first[1],
        "change": statistics.median(seconds for seconds, _ in changes),
        "change_cpu": statistics.mean(cpu for _, cpu in changes),
        "memory": int(status["VmRSS"].split()[0]) / 1024,
        "most": int(status["VmHWM"].split()[0]) / 1024,
    }


def run(name: str) -> dict[str, float]:
    """One mode in a fresh namespace and process. RuntimeError."""
    namespace = f"pyb-bench-proxy-{os.getpid()}"
    with ExitStack() as stack:
        environment = dict(os.environ)
        if name.endswith("_legacy"):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            for program in PROGRAMS:
                Path(folder, program).symlink_to(LEGACY)
            environment["PATH"] = f"{folder}:{environment['PATH']}"
        subprocess.run(["ip", "netns", "add", namespace], check=True)
        stack.callback(subprocess.run, ["ip", "netns", "del", namespace], check=True)
        command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "benchmarks.proxy", MODES[name]]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip().splitlines()[-1:]}")
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main(names: tuple[str, ...] = tuple(MODES)) -> Figures:
    """By mode."""
    if os.geteuid() != 0:
        raise RuntimeError("needs root")
    figures: Figures = {}
    for name in names:
        if name.endswith("_legacy") and not Path(LEGACY).exists():
            continue
        found = run(name)
        prefix = f"proxy_{name}"
        figures[f"{prefix}_first_sync"] = (round(found["first"], 2), "s")
        figures[f"{prefix}_first_sync_cpu"] = (round(found["first_cpu"], 2), "s")
        figures[f"{prefix}_change_cpu"] = (round(found["change_cpu"] * 1000, 1), "ms")
        figures[f"{prefix}_change"] = (round(found["change"] * 1000, 1), "ms")
        figures[f"{prefix}_memory"] = (round(found["memory"]), "MB")
        figures[f"{prefix}_memory_most"] = (round(found["most"]), "MB")
    return figures


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured(sys.argv[1]))))
