"""`--workers`: several processes of one server, over one store, seem to be one to every client.

Each request has a connection of its own, which the kernel gives to any of them.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from .serverprocess import SECONDS, Running

MAPS = "/api/v1/namespaces/default/configmaps"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGET = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"plural": "widgets", "kind": "Widget"},
        "scope": "Cluster",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    server = Running(tmp_path)
    server.flags.append("--workers=3")
    server.start()
    eventually(lambda: len(workers(server)) == 2 and all(listens(pid, server.port) for pid in workers(server)))
    yield server
    if server.process.poll() is None:
        server.kill(signal.SIGTERM)


def eventually(check: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not check():
        assert time.monotonic() < end
        time.sleep(0.05)


def code(server: Running, method: str, path: str, body: object = None) -> int:
    try:
        server.ask(method, path, body)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    return 200


def workers(server: Running) -> list[int]:
    """Their processes."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children]


def sockets(pid: int, port: int, states: tuple[str, ...]) -> int:
    """How many of the process's TCP sockets have this as their own port, in these states."""
    inodes = set()
    try:
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:  # it has ended just now
        return 0
    for line in lines:
        words = line.split()
        if int(words[1].rpartition(":")[2], 16) == port and words[3] in states:
            inodes.add(f"socket:[{words[9]}]")
    count = 0
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                count += os.readlink(descriptor) in inodes
    return count


def listens(pid: int, port: int) -> bool:
    return sockets(pid, port, ("0A",)) > 0


def test_everybody_sees_what_anybody_was_told(server: Running) -> None:
    for number in range(60):
        made = server.ask("POST", MAPS, {"metadata": {"name": f"m-{number}"}, "data": {"n": "0"}})
        assert server.ask("GET", f"{MAPS}/m-{number}")["metadata"]["uid"] == made["metadata"]["uid"]
        made["data"] = {"n": "1"}
        server.ask("PUT", f"{MAPS}/m-{number}", made)
        assert server.ask("GET", f"{MAPS}/m-{number}")["data"] == {"n": "1"}
        assert len(server.ask("GET", MAPS)["items"]) == number + 1


def test_conflicts_are_found_whoever_writes(server: Running) -> None:
    first = server.ask("POST", MAPS, {"metadata": {"name": "one"}})
    server.ask("PUT", f"{MAPS}/one", {**first, "data": {"a": "b"}})
    for _ in range(10):
        assert code(server, "PUT", f"{MAPS}/one", first) == 409
        assert code(server, "POST", MAPS, {"metadata": {"name": "one"}}) == 409


def test_addresses_and_ports_are_given_once(server: Running) -> None:
    spec = {"type": "NodePort", "ports": [{"port": 80}]}
    services = [
        server.ask("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": f"s-{n}"}, "spec": spec})
        for n in range(30)
    ]
    assert len({one["spec"]["clusterIP"] for one in services}) == 30
    assert len({one["spec"]["ports"][0]["nodePort"] for one in services}) == 30


def test_custom_resources_appear_on_all(server: Running) -> None:
    server.ask("POST", DEFINITIONS, WIDGET)
    path = "/apis/example.com/v1/widgets"
    in_row = 0

    def served() -> bool:
        nonlocal in_row
        answered = code(server, "GET", path)
        assert answered in (200, 404)
        in_row = in_row + 1 if answered == 200 else 0
        return in_row >= 20

    eventually(served)
    server.ask("POST", path, {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "size": 3})
    assert {server.ask("GET", f"{path}/w")["size"] for _ in range(10)} == {3}


def test_a_worker_that_was_killed_is_replaced(server: Running) -> None:
    killed = workers(server)[0]
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: killed not in workers(server) and len(workers(server)) == 2)
    eventually(lambda: all(listens(pid, server.port) for pid in workers(server)))
    for number in range(20):
        server.ask("POST", MAPS, {"metadata": {"name": f"after-{number}"}})
    assert len({one["metadata"]["name"] for one in server.ask("GET", MAPS)["items"]}) == 20


def test_workers_do_not_outlive_the_first_process(server: Running) -> None:
    server.ask("POST", MAPS, {"metadata": {"name": "kept"}})
    orphans = workers(server)
    server.kill()
    eventually(lambda: not any(Path(f"/proc/{pid}/fd").exists() and listens(pid, server.port) for pid in orphans))
    server.start()
    assert server.ask("GET", f"{MAPS}/kept")["metadata"]["name"] == "kept"


def test_they_end_together(server: Running) -> None:
    ended = workers(server)
    assert server.kill(signal.SIGTERM) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in ended)


def test_metrics_are_of_all_of_them(server: Running) -> None:
    for number in range(30):
        server.ask("POST", MAPS, {"metadata": {"name": f"counted-{number}"}})
    sample = re.compile(
        r'^apiserver_request_total\{(?=.*resource="configmaps")(?=.*verb="POST").*\} (\d+)$', re.MULTILINE
    )
    for _ in range(6):
        text = server.text("/metrics")
        assert sum(int(count) for count in sample.findall(text)) == 30
        assert text.count("# TYPE apiserver_request_total ") == 1


def test_a_watch_hears_everything_in_order(server: Running) -> None:
    watch = f"https://127.0.0.1:{server.port}{MAPS}?watch=1&resourceVersion="
    since = server.ask("GET", MAPS)["metadata"]["resourceVersion"]
    curl = ["curl", "-skN", "--max-time", str(5 * SECONDS), "-H", "Authorization: Bearer secret"]
    watches = [subprocess.Popen([*curl, watch + since], stdout=subprocess.PIPE) for _ in range(6)]
    try:
        made = [server.ask("POST", MAPS, {"metadata": {"name": f"e-{n}"}})["metadata"] for n in range(20)]
        for each in watches:
            assert each.stdout is not None
            lines = [each.stdout.readline() for _ in made]
            assert all(lines), (since, lines)
            heard = [json.loads(line)["object"]["metadata"] for line in lines]
            assert [one["resourceVersion"] for one in heard] == [one["resourceVersion"] for one in made]
    finally:
        for each in watches:
            each.kill()
            each.communicate()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--workers=0"], "--workers=0: want 1 to 64"),
        (["--workers=2", "--worker-number=2"], "it is given by a server to its own workers"),
        (["--workers=2", "--audit-log-path=/x"], "a file is written by one process"),
        (["--store=shared:1"], "want shared:DESCRIPTOR,DESCRIPTOR"),
        (["--store=shared:900,901"], "this is for workers of a server"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, flags: list[str], words: str) -> None:
    server = Running(tmp_path)
    command = [sys.executable, "-m", "pybernetes", "kube-apiserver", *server.flags, *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 2 and words in ended.stderr


def test_a_port_that_another_server_shares_is_refused(server: Running, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Running(tmp_path / "other")
    flags = [flag for flag in other.flags if not flag.startswith("--secure-port")]
    command = [
        sys.executable,
        "-m",
        "pybernetes",
        "kube-apiserver",
        *flags,
        f"--secure-port={server.port}",
        "--workers=2",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 1 and f"is --secure-port={server.port} in use?" in ended.stderr
