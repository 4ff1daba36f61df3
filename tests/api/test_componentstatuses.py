"""componentstatuses: asked anew each time, whoever answers."""

from __future__ import annotations

import asyncio

import pytest

from pybernetes.apiserver.endpoints import componentstatuses
from pybernetes.wire.http import Request, Response, serve

from .test_services import Client, play

PATH = "/api/v1/componentstatuses"


def test_parts_that_answer_and_that_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case(client: Client) -> None:
        async def ok(request: Request) -> Response:
            return Response(200, (), b"ok")

        server = await serve(ok, "127.0.0.1", 0, None)
        urls = {
            "scheduler": f"http://127.0.0.1:{server.port}/healthz",
            "controller-manager": "https://127.0.0.1:9/healthz",
        }
        monkeypatch.setattr(componentstatuses, "PARTS", urls)
        _, found = await client.send("GET", PATH)
        states = {item["metadata"]["name"]: item["conditions"][0]["status"] for item in found["items"]}
        assert states == {"controller-manager": "False", "etcd-0": "True", "scheduler": "True"}
        code, one = await client.send("GET", f"{PATH}/scheduler")
        assert (code, one["conditions"][0]["message"], "resourceVersion" in one["metadata"]) == (200, "ok", False)
        code, _ = await client.send("GET", f"{PATH}/none")
        assert code == 404
        await server.stop(0)
        await asyncio.sleep(0)

    play(case)
