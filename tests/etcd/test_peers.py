"""Upstream's API server reads what ours wrote, and ours what upstream's did: each begins on the etcd that the other has left.

Only where PYBERNETES_PEERS names a folder with upstream's binary.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pybernetes.apiserver.kinds import RESOURCES

from . import server, upstream
from .server import etcd
from .test_copy import DEFINITION, EVENT, running

pytestmark = pytest.mark.skipif(
    bool(server.WHY_NOT or upstream.WHY_NOT), reason=server.WHY_NOT or upstream.WHY_NOT or "both are there"
)
NAMESPACED = "namespaces/default"
CONTAINERS = {"containers": [{"name": "c", "image": "app:1", "ports": [{"containerPort": 80}], "env": [{"name": "A"}]}]}
LABELS = {"app": "web"}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": CONTAINERS}
OBJECTS: tuple[tuple[str, dict[str, Any]], ...] = (
    (f"/api/v1/{NAMESPACED}/configmaps", {"data": {"a": "ä\n"}, "binaryData": {"b": "AAE="}}),
    (f"/api/v1/{NAMESPACED}/secrets", {"stringData": {"word": "horse"}}),
    (f"/api/v1/{NAMESPACED}/services", {"spec": {"type": "NodePort", "selector": LABELS, "ports": [{"port": 80}]}}),
    (f"/api/v1/{NAMESPACED}/pods", {"metadata": {"labels": LABELS}, "spec": CONTAINERS}),
    (f"/api/v1/{NAMESPACED}/events", EVENT),
    ("/api/v1/nodes", {"spec": {"podCIDR": "10.1.0.0/24"}}),
    (f"/apis/apps/v1/{NAMESPACED}/deployments", {"spec": {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}}),
    (
        f"/apis/apps/v1/{NAMESPACED}/statefulsets",
        {"spec": {"serviceName": "s", "selector": {"matchLabels": LABELS}, "template": TEMPLATE}},
    ),
    (
        f"/apis/batch/v1/{NAMESPACED}/jobs",
        {"spec": {"template": {"spec": {**CONTAINERS, "restartPolicy": "Never"}}}},
    ),
    (
        f"/apis/networking.k8s.io/v1/{NAMESPACED}/networkpolicies",
        {"spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {"matchLabels": LABELS}}]}]}},
    ),
    ("/apis/storage.k8s.io/v1/storageclasses", {"provisioner": "example.com/p"}),
    ("/apis/scheduling.k8s.io/v1/priorityclasses", {"value": 5}),
    (f"/apis/coordination.k8s.io/v1/{NAMESPACED}/leases", {"spec": {"holderIdentity": "h"}}),
    ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION),
    ("/apis/example.com/v1/things", {"apiVersion": "example.com/v1", "kind": "Thing", "x": [1.5, {"y": None}]}),
)
NOT_KEPT = ("componentstatuses",)  # asked for, each time
# A server before 1.29 cannot read the objects of flow control that we store, and would wait for them.
WITHOUT_FLOWS = (
    "--feature-gates=APIPriorityAndFairness=false",
    "--runtime-config=flowcontrol.apiserver.k8s.io/v1beta1=false",
)
STORED = {(one.group, one.name): one.stored_at[2] for one in RESOURCES}  # in which version we store it
Get = Callable[[str], Awaitable[Any]]
Send = Callable[[str, str, dict[str, Any] | None], Awaitable[tuple[int, Any]]]


async def create(send: Send) -> None:
    """One of each."""
    for path, body in OBJECTS:
        obj = {**body, "metadata": {"name": "x", **body.get("metadata", {})}}
        async with asyncio.timeout(90):
            while (answer := await send("POST", path, obj))[0] == 404:  # the definition has not been read yet
                await asyncio.sleep(0.1)
        assert answer[0] == 201, answer


async def everything(get: Get) -> dict[str, Any]:
    """All objects of all resources that can be listed in the version that they are stored in, by their paths."""
    groups = [(group["name"], one["version"]) for group in (await get("/apis"))["groups"] for one in group["versions"]]
    found = {}
    for group, version in [("", "v1"), *groups]:
        root = f"/apis/{group}/{version}" if group else f"/api/{version}"
        for resource in (await get(root))["resources"]:
            name = resource["name"]
            if "list" not in resource["verbs"] or name in NOT_KEPT or STORED.get((group, name), version) != version:
                continue
            for item in (await get(f"{root}/{name}"))["items"]:
                metadata = item["metadata"]
                if (name, metadata["name"]) == ("endpoints", "kubernetes"):
                    continue  # each server writes where it is itself
                found[f"{root}/{name}/{metadata.get('namespace', '')}/{metadata['name']}"] = item
    return found


def beyond(less: Any, more: Any, path: str = "") -> list[str]:
    """Where the first has what the second has not, or something else there."""
    if isinstance(less, dict) and isinstance(more, dict):
        return [line for key, value in less.items() for line in beyond(value, more.get(key), f"{path}.{key}")]
    if isinstance(less, list) and isinstance(more, list) and len(less) == len(more):
        return [line for n, (a, b) in enumerate(zip(less, more, strict=True)) for line in beyond(a, b, f"{path}[{n}]")]
    return [] if less == more else [f"{path}: {less!r}, {more!r}"]


def different(less: dict[str, Any], more: dict[str, Any]) -> dict[str, list[str]]:
    """`beyond`, of each object where there is something."""
    found = {path: beyond(obj, more.get(path)) for path, obj in less.items()}
    return {path: lines for path, lines in found.items() if lines}


async def theirs(peer: upstream.Upstream, path: str) -> Any:
    code, answer = await peer.send("GET", path)
    assert code == 200, (path, answer)
    return json.loads(answer)


def test_upstream_reads_what_we_wrote(tmp_path: Path) -> None:
    async def main() -> None:
        async with etcd(tmp_path) as [member]:
            async with running(f"--etcd-servers={member.url}") as client:
                await create(client.send)
                written = await everything(lambda path: answered(client.send, path))
            flags = WITHOUT_FLOWS if upstream.minor() < 29 else ()
            async with upstream.upstream(tmp_path, member, *flags) as peer:
                read = await everything(lambda path: theirs(peer, path))
            assert {path.rsplit("/", 2)[0] for path in written if path.endswith("/x")} <= {
                p.rsplit("/", 2)[0] for p in read
            }
            assert different({path: read[path] for path in written.keys() & read.keys()}, written) == {}

    asyncio.run(asyncio.wait_for(main(), 240))


def test_we_read_what_upstream_wrote(tmp_path: Path) -> None:
    async def main() -> None:
        async with etcd(tmp_path) as [member]:
            async with upstream.upstream(tmp_path, member) as peer:

                async def send(method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
                    code, answer = await peer.send(method, path, json.dumps(body).encode())
                    return code, answer if code == 404 else json.loads(answer)

                await create(send)
                written = await everything(lambda path: theirs(peer, path))
            async with running(f"--etcd-servers={member.url}") as client:
                read = await everything(lambda path: answered(client.send, path))
            assert different(written, read) == {}

    asyncio.run(asyncio.wait_for(main(), 240))


async def answered(send: Any, path: str) -> Any:
    code, answer = await send("GET", path)
    assert code == 200, (path, answer)
    return answer
