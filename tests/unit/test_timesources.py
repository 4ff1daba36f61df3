"""Time comes from the clock that a part is handed; no other source, so that a virtual clock moves all of a cluster."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "pybernetes"

# (module, attribute) that tell or wait for the time. `asyncio.sleep(0)` only gives others a turn.
FORBIDDEN = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "perf_counter"),
    ("time", "sleep"),
    ("asyncio", "sleep"),
    ("asyncio", "timeout"),
    ("asyncio", "timeout_at"),
    ("asyncio", "wait_for"),
    ("loop", "time"),
    ("loop", "call_later"),
}

# Folders and files that talk to the kernel, or are where clocks are made, each with its reason.
ALLOWED = {
    "aio/": "the clocks themselves",
    "cli/": "the command line makes the clocks",
    "cluster/": "processes and files of a real machine",
    "wire/": "limits of sockets, which know real time only",
    "client/http.py": "limits of sockets",
    "client/rest.py": "the end of a watch whose socket hangs",
    "component/metrics.py": "when the machine was booted",
    "component/restclient.py": "how long a real request took",
    "component/servingflags.py": "the process's own port and certificate",
    "dns/upstream.py": "limits of sockets",
    "dns/server.py": "limits of sockets",
    "files.py": "a lock of the file system",
    "kubelet/prober.py": "limits of sockets and of commands in containers",
    "kubelet/cleanup.py": "waits for the runtime and the kernel of this machine",
    "kubelet/runtime/dockerstreams.py": "a command in a container",
    "kubelet/server/handlers.py": "usage of real processes",
    "kubelet/worker.py": "a hook in a container",
    "apiserver/admission/webhook/dispatch.py": "how long a real request took",
    "apiserver/options/": "the command line makes the clocks",
    "apiserver/documents/openapi.py": "a header for real caches",
    "store/etcd/": "limits of sockets and of leases in a real etcd",
    "store/sqlite.py": "how often a real disk is asked for room",
    "testing/cluster.py": "certificates for real TLS",
}


def test_nobody_looks_at_another_clock() -> None:
    found: dict[str, list[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = str(path.relative_to(SOURCE))
        uses = _uses(path)
        if uses:
            found.setdefault(next((place for place in ALLOWED if name.startswith(place)), name), []).extend(uses)
    assert {place: uses for place, uses in found.items() if place not in ALLOWED} == {}
    assert set(ALLOWED) == set(found), "an exception that nobody needs any more"


def _uses(path: Path) -> list[str]:
    uses = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and (owner := _name(node.value)) and (owner, node.attr) in FORBIDDEN:
            uses.append(f"line {node.lineno}: {owner}.{node.attr}")
    return [use for use in uses if not _gives_a_turn(path, use)]


def _name(value: ast.expr) -> str:
    if isinstance(value, ast.Call):
        return "loop" if _name(value.func) == "get_running_loop" else ""
    return value.id if isinstance(value, ast.Name) else value.attr if isinstance(value, ast.Attribute) else ""


def _gives_a_turn(path: Path, use: str) -> bool:
    line = path.read_text().splitlines()[int(use.split(":")[0].removeprefix("line ")) - 1]
    return "asyncio.sleep(0)" in line
