"""Cluster DNS: answers a second with and without `cache`, what one costs, the time of the slowest at half of that, and memory. Needs dnsperf.

./bench dns. Services and EndpointSlices are in a `testserver`; the server is `pybernetes coredns` with the plug-ins of kubeadm's Corefile, and
dnsperf shares the machine's cores with it. `dns_two_*` is with `multisocket 2`: two processes on one port.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pybernetes.client.kubeconfig import load
from pybernetes.client.rest import RESTClient

from .figures import Figures
from .proxy import endpoints, service

SERVICES, CREATING = 5000, 50
SECONDS = 5
OUTSTANDING, CLIENTS = 400, 20
COREFILE = """
.:{port} {{
    bind 127.0.0.1
    errors
    health 127.0.0.1:0
    ready 127.0.0.1:{ready}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    prometheus 127.0.0.1:0
    {more}
    loadbalance
}}
"""


def free_port() -> int:
    """For UDP and TCP."""
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        return int(tcp.getsockname()[1])


@contextmanager
def api(folder: Path) -> Iterator[Path]:
    """An API server; gives the kubeconfig."""
    path = folder / "kubeconfig"
    command = [sys.executable, "-m", "pybernetes", "testserver", "--json", f"--kubeconfig={path}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield path
    finally:
        process.terminate()
        process.wait()


async def create(kubeconfig: Path) -> None:
    """All Services and their EndpointSlices of one address."""
    client = RESTClient(load(str(kubeconfig)), "bench")
    slots = asyncio.Semaphore(CREATING)

    async def one(number: int) -> None:
        async with slots:
            each = service(number)
            each.spec.cluster_ip = ""
            await client.create(each)
            of_service = endpoints(number)
            of_service.endpoints = (of_service.endpoints or [])[:1]
            await client.create(of_service)

    try:
        await asyncio.gather(*(one(number) for number in range(SERVICES)))
    finally:
        await client.close()


class Server:
    """`pybernetes coredns` and the processes that it has started."""

    def __init__(self, folder: Path, kubeconfig: Path, more: str) -> None:
        self.port, ready = free_port(), free_port()
        corefile = folder / "Corefile"
        corefile.write_text(COREFILE.format(port=self.port, ready=ready, kubeconfig=kubeconfig, more=more))
        command = [sys.executable, "-m", "pybernetes", "coredns", "-quiet", "-conf", str(corefile)]
        self._process = subprocess.Popen(command)
        deadline = time.monotonic() + 60
        while not self._is_ready(ready):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError("the server is not ready")
            time.sleep(0.05)

    def _is_ready(self, port: int) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _pids(self) -> list[int]:
        own = self._process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return [own, *map(int, children)]

    def cpu(self) -> float:
        """Seconds of all processes."""
        ticks = 0
        for pid in self._pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """MB of all processes; what they share is counted once."""
        total = 0
        for pid in self._pids():
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.findall(r"^Pss:\s+(\d+)", text, re.M)[0])
        return total / 1024

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait()


def dnsperf(port: int, queries: Path, *arguments: str) -> str:
    """Its output. RuntimeError where queries were lost."""
    command = [
        "dnsperf",
        "-s",
        "127.0.0.1",
        "-p",
        str(port),
        "-d",
        str(queries),
        "-l",
        str(SECONDS),
        "-c",
        str(CLIENTS),
    ]
    done = subprocess.run(
        [*command, "-q", str(OUTSTANDING), "-e", *arguments], capture_output=True, text=True, check=True, timeout=120
    )
    lost = re.search(r"Queries lost: +(\d+)", done.stdout)
    if lost is None or int(lost[1]) > 0:
        raise RuntimeError(f"dnsperf lost {lost[1] if lost else '?'} queries")
    return done.stdout


def measured(name: str, server: Server, queries: Path) -> Figures:
    """At full speed, then at half of it."""
    dnsperf(server.port, queries, "-l", "1")  # so that the cache is full
    before = server.cpu()
    output = dnsperf(server.port, queries)
    spent = server.cpu() - before
    rate = float(re.findall(r"Queries per second: +([0-9.]+)", output)[0])
    completed = int(re.findall(r"Queries completed: +(\d+)", output)[0])
    slow = dnsperf(server.port, queries, "-Q", str(int(rate / 2)), "-v")
    times = sorted(map(float, re.findall(r"^> NOERROR .* ([0-9.]+)$", slow, re.M)))
    return {
        f"dns_{name}": (round(rate), "1/s"),
        f"dns_{name}_cpu": (round(spent / completed * 1e6, 1), "us"),
        f"dns_{name}_p99_at_half": (round(times[len(times) * 99 // 100] * 1000, 2), "ms"),
        f"dns_{name}_memory": (round(server.memory(), 1), "MB"),
    }


MODES = {"cached": "cache 30", "uncached": "", "two_cached": "cache 30\n    multisocket 2"}


def main() -> Figures:
    """By mode."""
    if shutil.which("dnsperf") is None:
        raise RuntimeError("needs dnsperf")
    figures: Figures = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kubeconfig = stack.enter_context(api(folder))
        queries = folder / "queries"
        queries.write_text("".join(f"service-{n}.default.svc.cluster.local A\n" for n in range(SERVICES)))
        empty = Server(folder, kubeconfig, "")
        figures["dns_memory_empty"] = (round(empty.memory(), 1), "MB")
        empty.stop()
        asyncio.run(create(kubeconfig))
        for name, more in MODES.items():
            server = Server(folder, kubeconfig, more)
            try:
                if name == "cached":
                    grown = (server.memory() - figures["dns_memory_empty"][0]) * 1024
                    figures["dns_memory_an_object"] = (round(grown / (2 * SERVICES), 2), "kB")
                figures |= measured(name, server, queries)
            finally:
                server.stop()
    return figures


if __name__ == "__main__":
    print(json.dumps(main()))
