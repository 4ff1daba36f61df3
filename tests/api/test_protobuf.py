"""Answers in protobuf, as Go clients ask for them: read back they say what JSON says."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pybernetes.api import protobuf
from pybernetes.client.http import HTTPClient

from . import customresources
from .golden import server

PROTOBUF = "application/vnd.kubernetes.protobuf"
GO = f"{PROTOBUF},application/json"  # client-go's usual header
METADATA = ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
NS = "/api/v1/namespaces/default"
POD = {
    "metadata": {"name": "p"},
    "spec": {"automountServiceAccountToken": False, "containers": [{"name": "c", "image": "i"}]},
}
OBJECTS = [
    (f"{NS}/serviceaccounts", {"metadata": {"name": "default"}}),
    (f"{NS}/configmaps", {"metadata": {"name": "a", "annotations": {"x": "ä"}}, "data": {"k": "v"}, "binaryData": {"b": "AAE="}}),
    (f"{NS}/pods", POD),
    (f"{NS}/services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "targetPort": "http"}]}}),
    (
        "/apis/apps/v1/namespaces/default/deployments",
        {
            "metadata": {"name": "d"},
            "spec": {
                "selector": {"matchLabels": {"a": "b"}},
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "100m"}}}]},
                },
            },
        },
    ),
    ("/apis/rbac.authorization.k8s.io/v1/clusterroles", {"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "nonResourceURLs": ["/"]}]}),
    ("/apis/storage.k8s.io/v1/storageclasses", {"metadata": {"name": "sc"}, "provisioner": "example.com/p"}),
    (
        "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
        {"metadata": {"name": "h"}, "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}},
    ),
]  # fmt: skip


class Client:
    """Requests with a header Accept."""

    def __init__(self, http: HTTPClient) -> None:
        self._http = http

    async def ask(self, method: str, path: str, accept: str, body: Any = None) -> tuple[int, str, bytes]:
        headers = [("Accept", accept), ("Content-Type", "application/json")]
        data = b"" if body is None else json.dumps(body).encode()
        answer = await self._http.request(method, path, headers, data, timeout=60)
        return answer.status, answer.headers["content-type"], answer.body

    async def both(self, path: str) -> tuple[Any, Any]:
        """What JSON says, and what protobuf says."""
        _, media, plain = await self.ask("GET", path, "application/json")
        assert media == "application/json"
        code, media, packed = await self.ask("GET", path, GO)
        assert (code, media) == (200, PROTOBUF), packed
        return json.loads(plain), protobuf.decode(packed)


def play(case: Callable[[Client], Awaitable[None]]) -> None:
    async def main() -> None:
        async with server() as http:
            await case(Client(http))

    asyncio.run(main())


def bare(value: Any) -> Any:
    """Without what is empty, which the forms do not write alike."""
    if isinstance(value, dict):
        return {k: v for k, one in value.items() if (v := bare(one)) not in (None, "", [], {}, 0, False)}
    return [bare(one) for one in value] if isinstance(value, list) else value


def test_objects_and_lists_say_what_json_says() -> None:
    async def case(client: Client) -> None:
        for path, body in OBJECTS:
            code, media, packed = await client.ask("POST", path, GO, body)
            assert (code, media) == (201, PROTOBUF), packed
            made = protobuf.decode(packed)
            plain, same = await client.both(f"{path}/{made['metadata']['name']}")
            assert bare(plain) == bare(same) == bare(made)
            plain, same = await client.both(path)
            kind = {"apiVersion": made["apiVersion"], "kind": made["kind"]}
            assert (plain["kind"], plain["metadata"]) == (same["kind"], same["metadata"])
            assert bare(plain["items"]) == bare(same["items"])
            assert kind["kind"] + "List" == same["kind"]

    play(case)


def test_a_large_list_is_written_as_it_is_read() -> None:
    async def case(client: Client) -> None:
        for place in range(3):
            body = {"metadata": {"name": f"a{place}"}, "data": {"k": "v" * 500_000}}
            await client.ask("POST", f"{NS}/configmaps", GO, body)
        plain, same = await client.both(f"{NS}/configmaps")
        assert bare(plain["items"]) == bare(same["items"])
        assert plain["metadata"] == same["metadata"]

    play(case)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{NS}/configmaps/none", 404),
        (f"{NS}/configmaps?limit=x", 400),
        (f"{NS}/odd", 404),
        ("/apis/apps/v1/nothing", 404),
    ],
)
def test_errors_are_statuses(path: str, code: int) -> None:
    async def case(client: Client) -> None:
        got, media, packed = await client.ask("GET", path, PROTOBUF)
        status = protobuf.decode(packed)
        assert (got, media, status["kind"], status["code"]) == (code, PROTOBUF, "Status", code)

    play(case)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (PROTOBUF, PROTOBUF),
        (GO, PROTOBUF),
        (f"application/json,{PROTOBUF}", "application/json"),
        (f"{PROTOBUF};q=0.5,application/json", "application/json"),
        (f"*/*,{PROTOBUF}", PROTOBUF),
        (f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1,application/json;as=Table;g=meta.k8s.io;v=v1", "application/json"),
        (f"text/html,{PROTOBUF};q=0.1,application/yaml;q=0.2", "application/yaml"),
    ],
)
def test_what_is_preferred(accept: str, media: str) -> None:
    async def case(client: Client) -> None:
        code, got, _ = await client.ask("GET", f"{NS}/configmaps", accept)
        assert (code, got) == (200, media)

    play(case)


def test_metadata_alone() -> None:
    async def case(client: Client) -> None:
        await client.ask("POST", f"{NS}/configmaps", GO, {"metadata": {"name": "a", "annotations": {"x": "y"}}})
        _, _, packed = await client.ask("GET", f"{NS}/configmaps/a", PROTOBUF + METADATA)
        partial = protobuf.decode(packed)
        assert (partial["kind"], partial["metadata"]["annotations"]) == ("PartialObjectMetadata", {"x": "y"})
        _, _, packed = await client.ask("GET", f"{NS}/configmaps", PROTOBUF + METADATA_LIST)
        partial = protobuf.decode(packed)
        assert partial["kind"] == "PartialObjectMetadataList"
        assert [item["metadata"]["name"] for item in partial["items"]] == ["a"]

    play(case)


def events(data: bytes) -> list[tuple[str, Any]]:
    """(type, object) of the frames of a watch: a length, then a WatchEvent whose object is whole again."""
    told = []
    while data:
        (size,) = struct.unpack(">I", data[:4])
        kind, raw = (value for _, value in fields(data[4 : 4 + size]))
        ((_, obj),) = fields(raw)
        told.append((kind.decode(), protobuf.decode(obj)))
        data = data[4 + size :]
    return told


def fields(data: bytes) -> list[tuple[int, bytes]]:
    """(number, bytes) of a message that has no other fields."""
    found, place = [], 0
    while place < len(data):
        number, size, shift, place = data[place] >> 3, 0, 0, place + 1
        while True:
            byte, place = data[place], place + 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        found.append((number, data[place : place + size]))
        place += size
    return found


@pytest.mark.parametrize("form", ["", METADATA])
def test_watches(form: str) -> None:
    async def case(client: Client) -> None:
        _, _, packed = await client.ask("POST", f"{NS}/configmaps", GO, {"metadata": {"name": "a"}, "data": {"k": "v"}})
        version = int(protobuf.decode(packed)["metadata"]["resourceVersion"])
        await client.ask("PUT", f"{NS}/configmaps/a", GO, {"metadata": {"name": "a"}, "data": {"k": "w"}})
        await client.ask("DELETE", f"{NS}/configmaps/a", GO)
        query = f"watch=1&timeoutSeconds=1&allowWatchBookmarks=1&resourceVersion={version - 1}"
        code, media, data = await client.ask("GET", f"{NS}/configmaps?{query}", f"{PROTOBUF}{form};stream=watch")
        assert (code, media) == (200, f"{PROTOBUF};stream=watch")
        told = events(data)
        assert [kind for kind, _ in told] == ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
        assert [obj.get("data", {}).get("k") for _, obj in told][:3] == ([None] * 3 if form else ["v", "w", "w"])
        assert {obj["kind"] for _, obj in told} == {"PartialObjectMetadata" if form else "ConfigMap"}
        versions = [int(obj["metadata"]["resourceVersion"]) for _, obj in told]
        assert versions[0] == version
        assert versions == sorted(versions)

    play(case)


def test_a_watch_from_too_far_back_says_so() -> None:
    async def case(client: Client) -> None:
        _, media, data = await client.ask("GET", f"{NS}/configmaps?watch=1&resourceVersion=1", PROTOBUF)
        assert media == f"{PROTOBUF};stream=watch"
        ((kind, status),) = events(data)
        assert (kind, status["kind"], status["code"]) == ("ERROR", "Status", 410)

    play(case)


def test_custom_resources_have_no_such_form_but_for_their_metadata() -> None:
    async def case(client: Client) -> None:
        await client.ask("POST", customresources.DEFINITIONS, GO, customresources.definition())
        thing = customresources.thing("a")
        for _ in range(100):
            code, media, _ = await client.ask("POST", customresources.THINGS, GO, thing)
            if code == 201:
                break
            await asyncio.sleep(0.05)
        assert (code, media) == (201, "application/json")
        for path in (customresources.THINGS, f"{customresources.THINGS}/a"):
            code, _, body = await client.ask("GET", path, PROTOBUF)
            assert code == 406
            text = "only the following media types are accepted: "
            text += "application/json, application/yaml, application/vnd.kubernetes.protobuf"  # as of their metadata
            assert protobuf.decode(body)["message"] == text
        code, media, packed = await client.ask("GET", f"{customresources.THINGS}/a", PROTOBUF + METADATA)
        assert (code, media, protobuf.decode(packed)["metadata"]["name"]) == (200, PROTOBUF, "a")
        _, definition = await client.both(f"{customresources.DEFINITIONS}/things.example.com")
        assert definition["status"]["storedVersions"] == ["v1"]

    play(case)


def test_reviews_scales_and_tokens() -> None:
    async def case(client: Client) -> None:
        for path, body in OBJECTS:
            await client.ask("POST", path, GO, body)
        review = {"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        code, _, packed = await client.ask("POST", path, PROTOBUF, review)
        assert (code, protobuf.decode(packed)["status"]["allowed"]) == (201, True)
        code, _, packed = await client.ask("POST", f"{NS}/serviceaccounts/default/token", PROTOBUF, {})
        assert (code, len(protobuf.decode(packed)["status"]["token"]) > 100) == (201, True)
        path = "/apis/apps/v1/namespaces/default/deployments/d/scale"
        code, _, packed = await client.ask("GET", path, PROTOBUF)
        assert (code, protobuf.decode(packed)["spec"]) == (200, {"replicas": 1})

    play(case)


@pytest.mark.parametrize("path", ["/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1"])
def test_discovery(path: str) -> None:
    async def case(client: Client) -> None:
        plain, same = await client.both(path)
        assert bare(plain) == bare(same)

    play(case)
