"""`multisocket` as real processes: one that is killed is replaced, queries go on meanwhile, and none outlives the first."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pybernetes.dns import wire

from ..unit.dns.test_app import ask


def free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return int(each.getsockname()[1])


@contextlib.contextmanager
def server(folder: Path, port: int, ready: int) -> Iterator[subprocess.Popen[bytes]]:
    corefile = folder / "Corefile"
    corefile.write_text(f".:{port} {{\n bind 127.0.0.1\n multisocket 2\n ready 127.0.0.1:{ready}\n whoami\n}}")
    process = subprocess.Popen([sys.executable, "-m", "pybernetes", "coredns", "-conf", str(corefile)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid: int) -> bool:
    """Or waits for somebody to look at its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_processes_come_and_go(tmp_path: Path) -> None:
    port, ready = free_port(), free_port()

    async def answered() -> None:
        for _ in range(20):  # from as many ports: both processes have their part
            assert (await ask(port, "a.example.")).answer.rcode == wire.NOERROR

    with server(tmp_path, port, ready) as process:
        eventually(lambda: is_ready(ready))
        (first,) = children(process.pid)
        asyncio.run(answered())
        os.kill(first, signal.SIGKILL)
        eventually(lambda: is_gone(first) and children(process.pid) not in ([], [first]) and is_ready(ready))
        asyncio.run(answered())
        (second,) = children(process.pid)
        process.kill()
        process.wait()
        eventually(lambda: is_gone(second))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_all_end_when_told(tmp_path: Path) -> None:
    port, ready = free_port(), free_port()
    with server(tmp_path, port, ready) as process:
        eventually(lambda: is_ready(ready))
        (worker,) = children(process.pid)
        process.terminate()
        assert process.wait(60) == 0
        assert is_gone(worker)
