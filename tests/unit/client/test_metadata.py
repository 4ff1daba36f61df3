"""Discovery in its two forms, and resources by their metadata."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.informer import SharedInformer
from pybernetes.client.memory import MemoryClient
from pybernetes.client.metadata import (
    Discovered,
    MetadataClient,
    MetadataListWatch,
    Partial,
    Resource,
    discover,
    having,
)

PODS = Resource("", "v1", "pods", "Pod", True, frozenset({"list", "watch", "delete"}))
ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False)


def pod(name: str) -> core.Pod:
    return core.Pod(metadata=meta.ObjectMeta(name=name, namespace="ns", uid=name))


def discovered(answers: dict[str, Any]) -> Discovered:
    """Of a server with these answers; an exception is raised."""
    client = MemoryClient()
    for path, answer in answers.items():
        client.answers["GET", path] = answer if isinstance(answer, Exception) else json.dumps(answer).encode()
    return asyncio.run(discover(client))


def test_paths() -> None:
    assert PODS.path() == "/api/v1/pods"
    assert PODS.path("ns", "a") == "/api/v1/namespaces/ns/pods/a"
    assert ROLES.path("ns", "a:b") == "/apis/rbac.authorization.k8s.io/v1/clusterroles/a%3Ab"
    assert (PODS.group_resource, ROLES.group_resource) == ("pods", "clusterroles.rbac.authorization.k8s.io")


def entry(name: str, kind: str, scope: str = "Namespaced") -> dict[str, Any]:
    return {"resource": name, "responseKind": {"kind": kind}, "scope": scope, "verbs": ["list"]}


def test_aggregated_discovery() -> None:
    core = [{"metadata": {}, "versions": [{"version": "v1", "resources": [entry("nodes", "Node", "Cluster")]}]}]
    batch = {
        "metadata": {"name": "batch"},
        "versions": [
            {"version": "v1", "resources": [entry("jobs", "Job")]},
            {"version": "v1beta1", "resources": [entry("jobs", "Job"), entry("cronjobs", "CronJob")]},
        ],
    }
    stale = {"metadata": {"name": "x"}, "versions": [{"version": "v1", "freshness": "Stale", "resources": []}]}
    kind = "APIGroupDiscoveryList"
    found = discovered({"/api": {"kind": kind, "items": core}, "/apis": {"kind": kind, "items": [batch, stale]}})
    assert [(r.api_version, r.name, r.namespaced) for r in found.preferred()] == [
        ("v1", "nodes", False),
        ("batch/v1", "jobs", True),
        ("batch/v1beta1", "cronjobs", True),
    ]
    assert found.by_kind()["batch/v1beta1", "Job"].version == "v1beta1"
    assert list(found.failed) == ["x/v1"]


def test_discovery_of_older_servers() -> None:
    groups = [
        {
            "name": "apps",
            "versions": [{"version": "v1beta1"}, {"version": "v1"}],
            "preferredVersion": {"version": "v1"},
        },
        {"name": "gone", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}},
    ]
    deployments = {"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": ["list"]}
    listed = {
        "kind": "APIResourceList",
        "resources": [deployments, {"name": "deployments/status", "kind": "Deployment"}],
    }
    found = discovered(
        {
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "groups": groups},
            "/api/v1": {"resources": [{"name": "pods", "kind": "Pod", "namespaced": True, "verbs": []}]},
            "/apis/apps/v1": listed,
            "/apis/apps/v1beta1": listed,
            "/apis/gone/v1": errors.service_unavailable("no"),
        }
    )
    assert [(r.api_version, r.name) for r in found.preferred()] == [("v1", "pods"), ("apps/v1", "deployments")]
    assert found.failed == {"gone/v1": "no"}


def test_having() -> None:
    assert having([PODS, ROLES], "list", "delete") == [PODS]


def test_requests() -> None:
    client = MemoryClient(*map(pod, "abcde"))
    metadata = MetadataClient(client)

    async def main() -> None:
        assert await metadata.count(PODS, "ns") == 5
        await metadata.delete(PODS, "a", "ns", uid="a", propagation="Orphan")

    asyncio.run(main())
    counted, deleted = client.paths
    assert (counted.method, counted.path) == ("GET", "/api/v1/namespaces/ns/pods?limit=1")
    assert (deleted.method, deleted.path) == ("DELETE", "/api/v1/namespaces/ns/pods/a")
    assert json.loads(deleted.body or b"") == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "propagationPolicy": "Orphan",
        "preconditions": {"uid": "a"},
    }
    assert [one.metadata.name for one in client.all(core.Pod)] == ["b", "c", "d", "e"]


def test_informer_keeps_metadata() -> None:
    async def main() -> None:
        client, clock = MemoryClient(pod("a"), pod("b")), VirtualClock()
        informer = SharedInformer(MetadataListWatch(MetadataClient(client), PODS), clock)
        task = asyncio.ensure_future(informer.run())
        await informer.wait_synced()
        client.put(pod("c"))
        client.drop(pod("a"))
        await clock.settle()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        found: list[Partial] = list(informer.list())
        assert sorted(one.metadata.name for one in found) == ["b", "c"]
        listed, watched = client.paths
        assert listed.path == "/api/v1/pods?resourceVersion=0"
        assert watched.path.startswith("/api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=2")
        assert all("PartialObjectMetadata" in request.headers["Accept"] for request in client.paths)

    asyncio.run(main())
