"""One API server in one process and in two, each measured as the command line starts it: ./bench workers. Needs wrk and Linux."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pybernetes.testing.certificates import Authority

from .apiserver import CONFIG_MAP, POST, wrk
from .figures import Figures

TOKEN = "secret"
START_SECONDS = 60.0
MAPS = "/api/v1/namespaces/default/configmaps"
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def server(folder: Path, workers: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Its URL and its first process, when all of its processes listen. RuntimeError."""
    authority = Authority("bench", datetime.now(UTC))
    pair = authority.serving(["localhost"], ["127.0.0.1"])
    tokens = f'{TOKEN},bench,1,"administrators,system:masters"\n'
    for name, data in {"crt": pair.certificate, "key": pair.key, "tokens": tokens.encode()}.items():
        (folder / name).write_bytes(data)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pybernetes", "kube-apiserver", "--bind-address=127.0.0.1"]
    command += [f"--secure-port={port}", f"--store=sqlite:{folder}/state.db", f"--tls-cert-file={folder}/crt"]
    command += [
        f"--tls-private-key-file={folder}/key",
        f"--token-auth-file={folder}/tokens",
        "--authorization-mode=RBAC",
    ]
    process = subprocess.Popen([*command, f"--workers={workers}"], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + START_SECONDS
        while _listening(port) < workers:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"kube-apiserver --workers={workers} did not start")
            time.sleep(0.1)
        yield f"https://127.0.0.1:{port}", process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _listening(port: int) -> int:
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines)


def seconds(process: subprocess.Popen[bytes]) -> float:
    """CPU time of it and its workers."""
    pid = process.pid
    pids = [str(pid), *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    stats = (Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in pids)
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / TICKS


async def measure(folder: Path, workers: int) -> Figures:
    """RuntimeError."""
    with server(folder, workers) as (url, process):
        script = folder / "post.lua"
        script.write_text(
            POST % {"prefix": "c", "path": MAPS, "rest": CONFIG_MAP}
            + f'wrk.headers["Authorization"] = "Bearer {TOKEN}"\n'
        )
        authorized = ("-H", f"Authorization: Bearer {TOKEN}")
        name, cpu = f"workers_{workers}", lambda: seconds(process)
        figures = await wrk(f"{name}_get", f"{url}/api/v1/namespaces/default", *authorized, cpu=cpu)
        figures |= await wrk(f"{name}_post_configmap", url, "-s", str(script), cpu=cpu)
        figures |= await wrk(f"{name}_list_limit_500", f"{url}{MAPS}?limit=500", *authorized, connections=8, cpu=cpu)
        return figures


def main() -> Figures:
    """RuntimeError without wrk."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is missing: apt-get install wrk")
    figures: Figures = {}
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            figures |= asyncio.run(measure(Path(folder), workers))
    return figures
