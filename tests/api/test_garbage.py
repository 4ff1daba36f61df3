"""The garbage collector and the namespace controller on a real server, beyond what the recorded cases show."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pybernetes.client.http import HTTPClient
from pybernetes.controllers.options import Options

from .control import controlled

SECONDS = 60.0
OPTIONS = Options(controllers=("garbagecollector", "namespace"))
DEFAULT = "/api/v1/namespaces/default/configmaps"


class API:
    """Requests as JSON."""

    def __init__(self, client: HTTPClient) -> None:
        self._client = client

    async def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, Any]:
        sent = json.dumps(body).encode() if body is not None else b""
        answer = await self._client.request(method, path, [("Content-Type", kind)], sent)
        return answer.status, json.loads(answer.body)

    async def make(self, path: str, name: str, owners: list[Any] | None = None, **meta: Any) -> dict[str, Any]:
        metadata = {"name": name, "ownerReferences": owners or [], **meta}
        code, made = await self.ask("POST", path, {"metadata": metadata})
        assert code == 201, made
        return made  # type: ignore[no-any-return]

    async def until(self, path: str, holds: Callable[[int, Any], bool]) -> Any:
        async with asyncio.timeout(SECONDS):
            while True:
                code, body = await self.ask("GET", path)
                if holds(code, body):
                    return body
                await asyncio.sleep(0.05)

    async def gone(self, path: str) -> None:
        await self.until(path, lambda code, _: code == 404)

    async def caught_up(self) -> None:
        """Returns when the collector has heard of all config maps that there are: it has taken one that came after them."""
        nobody = {"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": str(uuid.uuid4())}
        await self.make(DEFAULT, "marker", [nobody])
        await self.gone(f"{DEFAULT}/marker")


def owner(obj: dict[str, Any], **more: Any) -> dict[str, Any]:
    meta = obj["metadata"]
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": meta["name"], "uid": meta["uid"], **more}


def played(scenario: Callable[[API], Awaitable[None]]) -> None:
    async def main() -> None:
        async with controlled(options=OPTIONS) as client:
            await scenario(API(client))

    asyncio.run(main())


def test_foreground_waits_for_dependents_that_block() -> None:
    async def scenario(api: API) -> None:
        boss = await api.make(DEFAULT, "boss")
        await api.make(DEFAULT, "blocks", [owner(boss, blockOwnerDeletion=True)], finalizers=["test/stay"])
        await api.make(DEFAULT, "free", [owner(boss)], finalizers=["test/stay"])
        await api.ask("DELETE", f"{DEFAULT}/boss?propagationPolicy=Foreground")
        for name in ("blocks", "free"):
            await api.until(f"{DEFAULT}/{name}", lambda _, body: "deletionTimestamp" in body["metadata"])
        _, found = await api.ask("GET", f"{DEFAULT}/boss")
        assert found["metadata"]["finalizers"] == ["foregroundDeletion"]
        nothing = {"metadata": {"finalizers": None}}
        await api.ask("PATCH", f"{DEFAULT}/blocks", nothing, "application/merge-patch+json")
        await api.gone(f"{DEFAULT}/boss")
        code, _ = await api.ask("GET", f"{DEFAULT}/free")
        assert code == 200

    played(scenario)


def test_an_owner_that_no_longer_blocks_is_let_go() -> None:
    async def scenario(api: API) -> None:
        boss = await api.make(DEFAULT, "boss")
        await api.make(DEFAULT, "d", [owner(boss, blockOwnerDeletion=True)], finalizers=["test/stay"])
        await api.ask("DELETE", f"{DEFAULT}/boss?propagationPolicy=Foreground")
        await api.until(f"{DEFAULT}/d", lambda _, body: "deletionTimestamp" in body["metadata"])
        change = {"metadata": {"ownerReferences": [owner(boss, blockOwnerDeletion=False)]}}
        await api.ask("PATCH", f"{DEFAULT}/d", change, "application/merge-patch+json")
        await api.gone(f"{DEFAULT}/boss")

    played(scenario)


def test_a_circle_in_the_foreground_ends() -> None:
    async def scenario(api: API) -> None:
        a = await api.make(DEFAULT, "a")
        b = await api.make(DEFAULT, "b", [owner(a, blockOwnerDeletion=True)])
        change = {"metadata": {"ownerReferences": [owner(b, blockOwnerDeletion=True)]}}
        await api.ask("PATCH", f"{DEFAULT}/a", change, "application/merge-patch+json")
        await api.ask("DELETE", f"{DEFAULT}/a?propagationPolicy=Foreground")
        await api.gone(f"{DEFAULT}/a")
        await api.gone(f"{DEFAULT}/b")

    played(scenario)


def test_an_owner_in_another_namespace_does_not_count_and_is_told() -> None:
    async def scenario(api: API) -> None:
        boss = await api.make(DEFAULT, "boss")
        await api.make("/api/v1/namespaces", "other")
        await api.make("/api/v1/namespaces/other/configmaps", "d", [owner(boss)])
        await api.gone("/api/v1/namespaces/other/configmaps/d")
        events = await api.until(
            "/api/v1/namespaces/other/events?fieldSelector=reason=OwnerRefInvalidNamespace",
            lambda _, body: bool(body["items"]),
        )
        uid = boss["metadata"]["uid"]
        named = f"[v1/ConfigMap, namespace: other, name: boss, uid: {uid}]"
        assert events["items"][0]["message"] == f'ownerRef {named} does not exist in namespace "other"'
        code, _ = await api.ask("GET", f"{DEFAULT}/boss")
        assert code == 200

    played(scenario)


def test_an_owner_of_the_whole_cluster_counts_in_each_namespace() -> None:
    async def scenario(api: API) -> None:
        role = await api.make("/apis/rbac.authorization.k8s.io/v1/clusterroles", "boss")
        ref = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": "boss"}
        await api.make(DEFAULT, "d", [{**ref, "uid": role["metadata"]["uid"]}])
        await api.caught_up()
        code, _ = await api.ask("GET", f"{DEFAULT}/d")
        assert code == 200
        await api.ask("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterroles/boss")
        await api.gone(f"{DEFAULT}/d")

    played(scenario)


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_what_was_orphaned_stays(policy: str) -> None:
    async def scenario(api: API) -> None:
        boss = await api.make(DEFAULT, "boss")
        await api.make(DEFAULT, "d", [owner(boss)])
        await api.caught_up()
        await api.ask("DELETE", f"{DEFAULT}/boss?propagationPolicy=Orphan")
        await api.gone(f"{DEFAULT}/boss")
        _, found = await api.ask("GET", f"{DEFAULT}/d")
        assert "ownerReferences" not in found["metadata"] and "deletionTimestamp" not in found["metadata"]
        await api.ask("DELETE", f"{DEFAULT}/d?propagationPolicy={policy}")
        await api.gone(f"{DEFAULT}/d")

    played(scenario)


def test_pods_of_a_namespace_go_before_the_rest() -> None:
    async def scenario(api: API) -> None:
        await api.make("/api/v1/namespaces", "x")
        await api.make("/api/v1/namespaces/x/serviceaccounts", "default")
        spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "n", "automountServiceAccountToken": False}
        code, _ = await api.ask("POST", "/api/v1/namespaces/x/pods", {"metadata": {"name": "p"}, "spec": spec})
        assert code == 201
        await api.make("/api/v1/namespaces/x/configmaps", "c")
        await api.ask("DELETE", "/api/v1/namespaces/x")
        await api.until("/api/v1/namespaces/x/pods/p", lambda _, body: "deletionTimestamp" in body["metadata"])
        found = await api.until("/api/v1/namespaces/x", lambda _, body: "conditions" in body["status"])
        remaining = {c["type"]: c for c in found["status"]["conditions"]}["NamespaceContentRemaining"]
        assert remaining["message"] == "Some resources are remaining: pods. has 1 resource instances"
        code, _ = await api.ask("GET", "/api/v1/namespaces/x/configmaps/c")
        assert code == 200
        await api.ask("DELETE", "/api/v1/namespaces/x/pods/p?gracePeriodSeconds=0")
        await api.gone("/api/v1/namespaces/x")

    played(scenario)
