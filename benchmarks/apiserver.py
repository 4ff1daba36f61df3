"""Figures of the API server. Needs wrk.

./bench apiserver
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
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.generic.options import DeleteOptions, ListOptions, WriteOptions
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.client.http import HTTPClient
from pybernetes.store.sqlite import SQLiteStore
from pybernetes.store.types import Store
from pybernetes.testing.certificates import Authority
from pybernetes.testing.cluster import TestCluster

from .figures import Figures

SECONDS = 5
CONNECTIONS = 16
PODS = 10_000
WATCHERS, EVENTS = 1_000, 100
CONNECTING = 50  # handshakes at once: more would wait for each other beyond the client's patience
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
CONFIG_MAP = '"data":{"a":"b"}'
POST = """
local thread = 0
function setup(t) t:set("id", thread); thread = thread + 1 end
local n = 0
wrk.headers["Content-Type"] = "application/json"
function request()
  n = n + 1
  local body = '{"metadata":{"name":"%(prefix)s-' .. id .. '-' .. n .. '"},%(rest)s}'
  return wrk.format("POST", "%(path)s", nil, body)
end
"""


# The measured user's rights come from RBAC, as a real one's: system:masters would not be looked up.
BINDING = {
    "metadata": {"name": "bench"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "administrators"}],
}


class Everyone:
    """wrk has no client certificate."""

    async def authenticate(self, request: Any) -> User:
        """Everyone is the administrator."""
        return User("admin", ("administrators", "system:authenticated"))


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


async def wrk(
    name: str, url: str, *arguments: str, connections: int = CONNECTIONS, cpu: Callable[[], float] = time.process_time
) -> Figures:
    """Requests per second, and the CPU time for one (`cpu`: the server's seconds); RuntimeError where any was not answered with success.

    The second figure says what the server costs even where others use the machine meanwhile.
    """
    command = ["wrk", "-t2", f"-c{connections}", f"-d{SECONDS}s", *arguments, url]
    begin = cpu()
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output = (await process.communicate())[0].decode()
    used = cpu() - begin
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)
    rate, count = re.search(r"Requests/sec:\s+([\d.]+)", output), re.search(r"(\d+) requests in", output)
    assert rate and count, output
    if count[1] == "0":
        raise RuntimeError(f"{url}: nothing was answered in {SECONDS} s:\n{output}")
    return {name: (float(rate[1]), "1/s"), f"{name}_cpu": (1e6 * used / int(count[1]), "us")}


def pod(number: int) -> dict[str, Any]:
    """A small pod."""
    containers = [
        {"name": "c", "image": "registry.example/app:1", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    ]
    return {"metadata": {"name": f"p-{number:05}", "labels": {"app": "web"}}, "spec": {"containers": containers}}


def pod_without_name() -> str:
    """For `post`."""
    return json.dumps({"spec": pod(0)["spec"]})[1:-1]


def post(folder: Path, resource: str, rest: str) -> str:
    """A script of wrk that makes objects; `rest` is their JSON but for the metadata."""
    script = folder / f"{resource}.lua"
    path = f"/api/v1/namespaces/bench/{resource}"
    script.write_text(POST % {"prefix": resource, "path": path, "rest": rest})
    return str(script)


async def fan_out(server: APIServer, folder: Path) -> Figures:
    """WATCHERS watches of all ConfigMaps, over TLS: how many events reach them in a second, and how long one takes to reach all."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = HTTPClient(f"https://127.0.0.1:{server.port}", context)
    received, everyone = 0, asyncio.Event()

    async def watch(ready: asyncio.Future[None]) -> None:
        nonlocal received
        try:
            async with client.stream("GET", f"{CONFIG_MAPS}?watch=1&resourceVersion={revision}") as stream:
                if stream.status != 200:
                    raise RuntimeError((await stream.read()).decode())
                ready.set_result(None)
                async for piece in stream:
                    received += piece.count(b"\n")
                    if received >= wanted:
                        everyone.set()
        except (ConnectionError, RuntimeError) as error:
            if not ready.done():
                ready.set_exception(error)

    revision, wanted = server.cache.revision, WATCHERS
    watches: list[asyncio.Task[None]] = []
    for _ in range(0, WATCHERS, CONNECTING):
        started = [asyncio.get_running_loop().create_future() for _ in range(CONNECTING)]
        watches += [asyncio.ensure_future(watch(future)) for future in started]
        await asyncio.gather(*started)
    store = server.store("", "v1", "configmaps")

    async def create(name: str) -> None:
        made, _ = store.schema.normalize({"metadata": {"name": name}, "data": {"a": "b"}})
        await store.create(made, "default", WriteOptions())

    begin = time.perf_counter()
    await create("one")
    await everyone.wait()
    figures = {f"one_event_to_{WATCHERS}_watchers": (1000 * (time.perf_counter() - begin), "ms")}
    everyone.clear()
    wanted = WATCHERS * (1 + EVENTS)
    begin = time.perf_counter()
    await asyncio.gather(*(create(f"e-{number}") for number in range(EVENTS)))
    await everyone.wait()
    figures[f"events_to_{WATCHERS}_watchers"] = (WATCHERS * EVENTS / (time.perf_counter() - begin), "1/s")
    for task in watches:
        task.cancel()
    await asyncio.gather(*watches, return_exceptions=True)
    await client.close()
    return figures


async def serving(folder: Path, store: Store, **options: Any) -> APIServer:
    """A server on the store, over TLS, with RBAC, and a namespace `bench`. Who starts it stops it."""
    context = TestCluster(folder)._tls(Authority("bench", datetime.now(UTC)))
    context.verify_mode = ssl.CERT_NONE
    authentication = AuthenticationOptions([Everyone()])
    server = APIServer(
        store,
        Options(ssl_context=context, authentication=authentication, authorization_modes=("Node", "RBAC"), **options),
    )
    await server.start()
    bindings = server.store("rbac.authorization.k8s.io", "v1", "clusterrolebindings")
    await bindings.create(bindings.schema.normalize(BINDING)[0], "", WriteOptions(admission=False))
    namespaces = server.store("", "v1", "namespaces")
    await namespaces.create(
        namespaces.schema.normalize({"metadata": {"name": "bench"}})[0], "", WriteOptions(admission=False)
    )
    return server


async def create_pods(server: APIServer) -> float:
    """PODS of them, in this process; how many a second."""
    pods = server.store("", "v1", "pods")
    begin = time.perf_counter()
    for start in range(0, PODS, 100):
        made = [pods.schema.normalize(pod(n))[0] for n in range(start, start + 100)]
        await asyncio.gather(*(pods.create(obj, "default", WriteOptions()) for obj in made))
    return PODS / (time.perf_counter() - begin)


async def measure(folder: Path) -> Figures:
    """On SQLite in a file."""
    store = await SQLiteStore.open(str(folder / "state.db"))
    server = await serving(folder, store)
    url = f"https://127.0.0.1:{server.port}"
    figures: Figures = {}
    figures |= await wrk("get_namespace", f"{url}/api/v1/namespaces/default")
    figures |= await fan_out(server, folder)
    figures |= await wrk("post_configmap", url, "-s", post(folder, "configmaps", CONFIG_MAP))
    figures |= await wrk("post_pod", url, "-s", post(folder, "pods", pod_without_name()))
    pods = server.store("", "v1", "pods")
    await pods.delete_collection("bench", DeleteOptions(grace_period_seconds=0), ListOptions())
    figures["create_pods_in_process"] = (await create_pods(server), "1/s")
    figures |= await wrk(f"list_{PODS}_pods", f"{url}/api/v1/pods", connections=4)
    figures |= await wrk("list_limit_500", f"{url}/api/v1/pods?limit=500", connections=4)
    await server.stop(0)
    await store.close()
    return figures


def main() -> Figures:
    """RuntimeError without wrk."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is missing: apt-get install wrk")
    found: Figures = {"start_to_first_answer": (min(started() for _ in range(5)), "s")}
    with tempfile.TemporaryDirectory() as folder:
        return found | uvloop.run(measure(Path(folder)))
