"""A cluster moves from SQLite into a file, into etcd and back by `pybernetes store copy`; a server on each shows the same objects.

Not met in the wild: a watcher that comes with a revision of the store before, copies that are cut off, a store in which others are.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.options import FLAGS
from pybernetes.apiserver.options import store as store_options
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.apiserver.storage import copying
from pybernetes.cli.store import PROGRAM
from pybernetes.component import flags
from pybernetes.component.command import Failure
from pybernetes.store.backends import Location
from pybernetes.store.etcd.store import open_etcd

from ..api.golden import Administrator
from ..api.test_services import Client
from . import server
from .server import etcd

pytestmark = pytest.mark.skipif(bool(server.WHY_NOT), reason=server.WHY_NOT)
MAPS = "/api/v1/namespaces/default/configmaps"
LISTS = (
    *(f"/api/v1/{name}" for name in ("namespaces", "configmaps", "services", "events", "serviceaccounts")),
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/networking.k8s.io/v1/ipaddresses",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/example.com/v1/things",
)
DEFINITION = {
    "metadata": {"name": "things.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"plural": "things", "kind": "Thing"},
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
EVENT = {
    "metadata": {"name": "e"},
    "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
    "reason": "Seen",
    "type": "Normal",
}


@asynccontextmanager
async def running(where: str) -> AsyncIterator[Client]:
    """A server as the command line makes it."""
    chosen = flags.parse("kube-apiserver", FLAGS, [where])
    store = await store_options.opened(chosen)
    options = Options(authentication=AuthenticationOptions([Administrator()]), **store_options.options(chosen))
    one = APIServer(store, options)
    await one.start()
    client = Client(one.port)
    try:
        yield client
    finally:
        await client.close()
        await one.stop(0)
        await store.close()


async def shown(client: Client) -> dict[str, Any]:
    """All objects by (list, namespace, name) in the order of their revisions, without these."""
    found = []
    for path in LISTS:
        while (answer := await client.send("GET", path))[0] == 404:
            await asyncio.sleep(0.02)  # its definition has not been read yet
        for item in answer[1]["items"]:
            metadata = item["metadata"]
            found.append(
                (int(metadata.pop("resourceVersion")), path, metadata.get("namespace", ""), metadata["name"], item)
            )
    found.sort(key=lambda one: one[0])
    return {"/".join(one[1:4]): one[4] for one in found}


async def copy(source: str, target: str) -> str:
    command = [sys.executable, "-m", *PROGRAM.split(), source, target]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_cluster_moves_and_is_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        file, one, other = f"file:{tmp_path}/s", f"sqlite:{tmp_path}/a/state.db", f"sqlite:{tmp_path}/b/state.db"
        async with etcd(tmp_path) as [member]:
            async with running(f"--store={one}") as client:
                for path, body in (
                    (MAPS, {"metadata": {"name": "m", "annotations": {"a": "ä\n"}}, "data": {"a": "b"}}),
                    ("/api/v1/namespaces/default/events", EVENT),
                    (
                        "/api/v1/namespaces/default/services",
                        {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}},
                    ),
                    ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION),
                ):
                    code, answer = await client.send("POST", path, body)
                    assert code == 201, answer
                thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "x": [1.5, None]}
                while (await client.send("POST", "/apis/example.com/v1/things", thing))[0] == 404:
                    await asyncio.sleep(0.02)
                before = await shown(client)
                old = (await client.send("GET", MAPS))[1]["metadata"]["resourceVersion"]
            await copy(one, file)
            await copy(file, member.url)
            await copy(member.url, other)
            for where in (f"--store={one}", f"--etcd-servers={member.url}", f"--store={other}"):
                async with running(where) as client:
                    now = await shown(client)
                    assert {key: now[key] for key in before} == before, where
                    if where != f"--store={one}":
                        assert [key for key in now if key in before] == [*before]
                        text = await client.text(f"{MAPS}?watch=1&resourceVersion={old}&timeoutSeconds=5")
                        assert "too old resource version" in text and '"code":410' in text
                    body = {"metadata": {"name": "z"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
                    code, made = await client.send("POST", "/api/v1/namespaces/default/services", body)
                    assert code == 201, made
                    names = ("/api/v1/services/default/s", "clusterIP"), ("/api/v1/services/default/s", "ports")
                    assert all(made["spec"][field] != now[key]["spec"][field] for key, field in names)

    asyncio.run(asyncio.wait_for(main(), 120))


def test_no_server_begins_on_half_a_copy(tmp_path: Path) -> None:
    async def main() -> None:
        async with etcd(tmp_path) as [member]:
            store = await open_etcd(Location((member.url,)))
            await store.put(f"{copying.UNFINISHED}/registry/", b"")
            await store.close()
            with pytest.raises(Failure, match="was cut off"):
                async with running(f"--etcd-servers={member.url}"):
                    pass

    asyncio.run(asyncio.wait_for(main(), 120))
