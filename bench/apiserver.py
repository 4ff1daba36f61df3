"""Figures of the API server: `name value unit` lines, and bench/results.json. Needs wrk.

./bench
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from pybernetes.apiserver.generic.options import WriteOptions
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.apiserver.types import User
from pybernetes.store.sqlite import SQLiteStore
from pybernetes.testing.certificates import Authority
from pybernetes.testing.cluster import TestCluster

SECONDS = 5
CONNECTIONS = 16
PODS = 10_000
POST = """
local thread = 0
function setup(t) t:set("id", thread); thread = thread + 1 end
local n = 0
function request()
  n = n + 1
  local body = '{"metadata":{"name":"b-' .. id .. '-' .. n .. '"},"data":{"a":"b"}}'
  return wrk.format("POST", "/api/v1/namespaces/default/configmaps", {["Content-Type"]="application/json"}, body)
end
"""


class Everyone:
    """wrk has no client certificate."""

    def authenticate(self, request: Any) -> User:
        """Everyone is the administrator."""
        return User("admin", ("system:masters", "system:authenticated"))


def started() -> float:
    """Seconds from the start of the process to its first answer."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "pybernetes", "testserver", "--json"], stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    elapsed = time.perf_counter() - begin
    process.terminate()
    process.wait()
    return elapsed


async def wrk(url: str, *arguments: str, connections: int = CONNECTIONS) -> float:
    """Requests per second; RuntimeError where any was not answered with success."""
    command = ["wrk", "-t2", f"-c{connections}", f"-d{SECONDS}s", *arguments, url]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output = (await process.communicate())[0].decode()
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert found, output
    return float(found[1])


def pod(number: int) -> dict[str, Any]:
    """A small pod."""
    containers = [
        {"name": "c", "image": "registry.example/app:1", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    ]
    return {"metadata": {"name": f"p-{number:05}", "labels": {"app": "web"}}, "spec": {"containers": containers}}


async def measure(folder: Path) -> dict[str, tuple[float, str]]:
    """On SQLite in a file, over TLS."""
    store = await SQLiteStore.open(str(folder / "state.db"))
    context = TestCluster(folder)._tls(Authority("bench", datetime.now(UTC)))
    context.verify_mode = ssl.CERT_NONE
    server = APIServer(store, Options(ssl_context=context, authenticators=[Everyone()]))
    await server.start()
    url = f"https://127.0.0.1:{server.port}"
    script = folder / "post.lua"
    script.write_text(POST)
    figures: dict[str, tuple[float, str]] = {}
    figures["get_namespace"] = (await wrk(f"{url}/api/v1/namespaces/default"), "1/s")
    figures["post_configmap"] = (await wrk(url, "-s", str(script)), "1/s")
    pods = server.store("", "v1", "pods")
    begin = time.perf_counter()
    for start in range(0, PODS, 100):
        made = [pods.schema.normalize(pod(n))[0] for n in range(start, start + 100)]
        await asyncio.gather(*(pods.create(obj, "default", WriteOptions()) for obj in made))
    figures["create_pods_in_process"] = (PODS / (time.perf_counter() - begin), "1/s")
    figures[f"list_{PODS}_pods"] = (await wrk(f"{url}/api/v1/pods", connections=4), "1/s")
    figures["list_limit_500"] = (await wrk(f"{url}/api/v1/pods?limit=500", connections=4), "1/s")
    await server.stop(0)
    await store.close()
    return figures


def main() -> int:
    """Prints and writes the figures."""
    if shutil.which("wrk") is None:
        print("bench: wrk is missing: apt-get install wrk", file=sys.stderr)
        return 1
    figures: dict[str, tuple[float, str]] = {"start_to_first_answer": (min(started() for _ in range(5)), "s")}
    with tempfile.TemporaryDirectory() as folder:
        figures |= uvloop.run(measure(Path(folder)))
    for name, (value, unit) in figures.items():
        print(f"{name} {value:.2f} {unit}")
    results = {name: {"value": round(value, 2), "unit": unit} for name, (value, unit) in figures.items()}
    Path(__file__).with_name("results.json").write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
