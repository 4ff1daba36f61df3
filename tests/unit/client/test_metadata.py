"""Discovery in its two forms, and resources by their metadata."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from pybernetes.api import errors
from pybernetes.client.informer import SharedInformer
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


def body(name: str, version: str = "1") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns", "uid": name, "resourceVersion": version}}


class Server:
    """Answers from a table; an exception is raised. Events are given once, then the watch is held open."""

    def __init__(self, answers: dict[str, Any], events: list[tuple[str, dict[str, Any]]] | None = None) -> None:
        self.answers, self.events = answers, events or []
        self.asked: list[tuple[str, str, Any]] = []

    async def raw(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        self.asked.append((method, path, json.loads(body) if body else None))
        answer = self.answers[path]
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer).encode()

    async def watch_raw(
        self, path: str, headers: Mapping[str, str] | None = None, timeout_seconds: int = 0
    ) -> AsyncIterator[tuple[str, bytes]]:
        self.asked.append(("WATCH", path, None))
        while self.events:
            kind, found = self.events.pop(0)
            yield kind, json.dumps(found).encode()
        await asyncio.Event().wait()


def discovered(answers: dict[str, Any]) -> Discovered:
    return asyncio.run(discover(Server(answers)))  # type: ignore[arg-type]  # what it needs of a client is there


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
    listed = {"metadata": {"resourceVersion": "7", "remainingItemCount": 4}, "items": [body("a")]}
    server = Server({"/api/v1/namespaces/ns/pods?limit=1": listed, "/api/v1/namespaces/ns/pods/a": {}})
    client = MetadataClient(server)  # type: ignore[arg-type]  # what it needs of a client is there

    async def main() -> None:
        assert await client.count(PODS, "ns") == 5
        await client.delete(PODS, "a", "ns", uid="u", propagation="Orphan")

    asyncio.run(main())
    assert server.asked[1] == (
        "DELETE",
        "/api/v1/namespaces/ns/pods/a",
        {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Orphan",
            "preconditions": {"uid": "u"},
        },
    )


def test_informer_keeps_metadata() -> None:
    listed = {"metadata": {"resourceVersion": "7"}, "items": [body("a"), body("b")]}
    events = [("ADDED", body("c", "8")), ("DELETED", body("a", "9"))]
    server = Server({"/api/v1/pods?resourceVersion=0": listed}, events)

    async def main() -> list[str]:
        informer = SharedInformer(MetadataListWatch(MetadataClient(server), PODS))  # type: ignore[arg-type]  # as above
        task = asyncio.ensure_future(informer.run())
        await informer.wait_synced()
        while server.events:
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        found: list[Partial] = list(informer.list())
        return sorted(one.metadata.name for one in found)

    assert asyncio.run(main()) == ["b", "c"]
    assert server.asked[1][1].startswith("/api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=7")
