"""/healthz, /livez, /readyz and /metrics of a running server."""

import asyncio
from typing import Any

import msgspec
import pytest

from pybernetes.aio import apart
from pybernetes.apiserver.documents.openapi import OpenAPI
from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.wire.http import Request, Response

from .golden import server


def test_health_and_metrics() -> None:
    async def main() -> None:
        async with server() as client:
            cases = {
                "/readyz": "ok",
                "/healthz/ping": "ok",
                "/readyz/poststarthook/rbac/bootstrap-roles": "ok",
            }
            for path, text in cases.items():
                assert (await client.request("GET", path)).body.decode() == text
            lines = (await client.request("GET", "/readyz?verbose&exclude=etcd&exclude=x")).body.decode().split("\n")
            assert lines[0] == "[+]ping ok"
            assert "[+]etcd excluded: ok" in lines
            assert 'warn: some health checks cannot be excluded: no matches for "x"' in lines
            assert lines[-2:] == ["readyz check passed", ""]
            metrics = (await client.request("GET", "/metrics")).body.decode()
            assert 'apiserver_storage_objects{resource="namespaces"} 4' in metrics
            assert (await client.request("GET", "/livez/informer-sync")).status == 404

    asyncio.run(main())


def test_a_continue_token_that_is_too_old_gives_another() -> None:
    async def main() -> None:
        async with server() as client:
            target = "/api/v1/namespaces/default/configmaps"
            for name in "abcd":
                await client.request("POST", target, body=b'{"metadata":{"name":"%b"}}' % name.encode())
            first = msgspec.json.decode((await client.request("GET", f"{target}?limit=1")).body)
            await client.request("DELETE", f"{target}/b")
            page = await client.request("GET", f"{target}?limit=1&continue={first['metadata']['continue']}")
            again = msgspec.json.decode(page.body)
            assert [item["metadata"]["name"] for item in again["items"]] == ["b"]  # as it was

    asyncio.run(main())


def test_documents_of_all_kinds_are_made_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """To make one takes a sixth of a second, in which nobody else would be answered."""
    seen: list[bool] = []
    answer = OpenAPI.answer

    def watched(documents: OpenAPI, path: str, request: Request) -> Response | None:
        seen.append(apart.is_apart())
        return answer(documents, path, request)

    monkeypatch.setattr(OpenAPI, "answer", watched)

    async def main() -> None:
        async with server() as client:
            for path in ("/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1"):
                assert (await client.request("GET", path)).status == 200

    asyncio.run(main())
    assert seen == [True] * 3


def test_a_definition_that_comes_while_a_document_is_made_is_in_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = OpenAPI(RESOURCES[:3])
    make = documents.v2_document

    def meanwhile() -> dict[str, Any]:
        document = make()
        documents.serve(())  # as a definition's coming does on the loop, from another thread
        return document

    monkeypatch.setattr(documents, "v2_document", meanwhile)
    first = documents.answer("/openapi/v2", Request("GET", b"/openapi/v2", b"", ()))
    assert first is not None and documents._bodies == {}
