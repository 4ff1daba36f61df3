"""Time comes from the clock that a part is handed; no other source, so that a virtual clock moves all of a cluster."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "pybernetes"

# What tells the time, or waits for it, by the module or object it belongs to. `asyncio.sleep(0)` only gives others a turn, and
# `asyncio.wait` waits for no time without its `timeout`.
FORBIDDEN = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "time": {
        "clock_gettime",
        "clock_gettime_ns",
        "ctime",
        "gmtime",
        "localtime",
        "monotonic",
        "monotonic_ns",
        "perf_counter",
        "perf_counter_ns",
        "process_time",
        "process_time_ns",
        "sleep",
        "thread_time",
        "time",
        "time_ns",
    },
    "asyncio": {"sleep", "timeout", "timeout_at", "wait_for"},
    "loop": {"call_at", "call_later", "time"},
    "threading": {"Timer"},
}
WITH_TIMEOUT = {("asyncio", "wait"), ("asyncio", "as_completed")}
MODULES = ("asyncio", "threading", "time")
LOOPS = {"_loop", "get_event_loop", "get_running_loop", "loop"}

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
    "apiserver/admission/policy/": "how long a real evaluation took",
    "apiserver/admission/webhook/dispatch.py": "how long a real request took",
    "apiserver/encryption/kms.py": "how long real randomness took",
    "apiserver/encryption/kmsservice.py": "limits of sockets",
    "apiserver/encryption/transformers.py": "how long real ciphers took",
    "apiserver/options/": "the command line makes the clocks",
    "apiserver/documents/openapi.py": "a header for real caches",
    "deploy/doctor.py": "this host's clock, which is compared with the API server's",
    "deploy/rollout/": "patience with real hosts",
    "deploy/etcd/asking.py": "how long a real member took to answer",
    "store/etcd/": "limits of sockets and of leases in a real etcd",
    "store/sqlite.py": "how often a real disk is asked for room",
    "testing/akube.py": "how long a test waits for what comes by itself",
    "testing/cluster.py": "certificates for real TLS",
    "testing/kube.py": "how long a test waits for what comes by itself",
}


def test_nobody_looks_at_another_clock() -> None:
    found: dict[str, list[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = str(path.relative_to(SOURCE))
        uses = _uses(path.read_text())
        if uses:
            found.setdefault(next((place for place in ALLOWED if name.startswith(place)), name), []).extend(uses)
    assert {place: uses for place, uses in found.items() if place not in ALLOWED} == {}
    assert set(ALLOWED) == set(found), "an exception that nobody needs any more"


@pytest.mark.parametrize(
    ("source", "uses"),
    [
        ("from datetime import datetime\ndatetime.now()", ["line 2: datetime.now"]),
        ("import datetime\nf(datetime.datetime.utcnow)", ["line 2: datetime.utcnow"]),
        ("import time\nf(now=time.time)", ["line 2: time.time"]),
        ("from time import monotonic", ["line 1: time.monotonic"]),
        ("from asyncio import sleep as pause", ["line 1: asyncio.sleep"]),
        ("import time as t\nt.time()", ["line 1: time under another name"]),
        ("asyncio.get_running_loop().time()", ["line 1: loop.time"]),
        ("self._loop.call_at(1, f)", ["line 1: loop.call_at"]),
        ("asyncio.sleep(0)", []),
        ("asyncio.sleep(0); asyncio.sleep(1)", ["line 1: asyncio.sleep"]),
        ("asyncio.wait(tasks)", []),
        ("asyncio.wait(tasks, timeout=5)", ["line 1: asyncio.wait"]),
        ("clock.sleep(1); clock.now(); clock.timeout(5)", []),
    ],
)
def test_sources_are_known_however_they_are_written(source: str, uses: list[str]) -> None:
    assert _uses(source) == uses


def _uses(source: str) -> list[str]:
    tree, uses = ast.parse(source), list[tuple[int, str]]()
    turns = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and _gives_a_turn(node)}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value, name) if name in FORBIDDEN.get(_name(value), ()) and node not in turns:
                uses.append((node.lineno, f"{_name(value)}.{name}"))
            case ast.Call(ast.Attribute(value, name)) if (_name(value), name) in WITH_TIMEOUT:
                if any(keyword.arg == "timeout" for keyword in node.keywords):
                    uses.append((node.lineno, f"{_name(value)}.{name}"))
            case ast.ImportFrom(module, names) if module in MODULES:
                uses += [(node.lineno, f"{module}.{a.name}") for a in names if a.name in FORBIDDEN[module]]
            case ast.Import(names):
                hidden = [a.name for a in names if a.asname and a.name in MODULES]
                uses += [(node.lineno, f"{name} under another name") for name in hidden]
    return [f"line {line}: {use}" for line, use in sorted(uses)]


def _name(value: ast.expr) -> str:
    """What an attribute is taken of; every event loop is called loop."""
    if isinstance(value, ast.Call):
        value = value.func
    name = value.id if isinstance(value, ast.Name) else value.attr if isinstance(value, ast.Attribute) else ""
    return "loop" if name in LOOPS else name


def _gives_a_turn(call: ast.Call) -> bool:
    match call:
        case ast.Call(ast.Attribute(ast.Name("asyncio"), "sleep"), [ast.Constant(0)], []):
            return True
    return False
