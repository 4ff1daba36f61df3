"""Documents nested deeply, where a definition leaves that free.

Kind: recursion over a client's body. However deep it is, and whatever it comes as, it is taken or refused with upstream's status and word,
and what is taken can be read in every form.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from .golden import server

GROUP = "deep.example"
PATH = f"/apis/{GROUP}/v1/namespaces/default/deeps"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
TAKEN, HALF, UPSTREAM = (
    450,
    700,
    10_000,
)  # levels: all are taken; where the ways differ; what is no JSON to upstream either
DEFINITION: dict[str, Any] = {
    "metadata": {"name": f"deeps.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "deeps", "singular": "deep", "kind": "Deep", "listKind": "DeepList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"free": {"x-kubernetes-preserve-unknown-fields": True}},
                    }
                },
            }
        ],
    },
}
HEAD = '{"apiVersion":"deep.example/v1","kind":"Deep","metadata":{"name":"%s"}'
WAYS = [
    ("POST", PATH, "application/json", HEAD + ',"free":%s}'),
    ("POST", PATH, "application/yaml", "# not JSON\n" + HEAD + ', "free": %s}'),
    ("PATCH", PATH + "/old", "application/merge-patch+json", '{"metadata":{"labels":{"a":"%s"}},"free":%s}'),
    ("PATCH", PATH + "/old", "application/json-patch+json", '[{"op":"add","path":"/free","value":{"%s":%s}}]'),
    ("PATCH", PATH + "/%s?fieldManager=m", "application/apply-patch+yaml", HEAD + ',"free":%s}'),
    ("POST", CONFIG_MAPS, "application/json", '{"metadata":{"name":"%s"},"x":%s}'),
    ("PATCH", CONFIG_MAPS + "/old", "application/strategic-merge-patch+json", '{"metadata":{"labels":{"a":"%s"}},"x":%s}'),
]  # fmt: skip


def nested(shape: str, levels: int) -> str:
    return "[" * levels + "]" * levels if shape == "lists" else '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize("shape", ["lists", "maps"])
@pytest.mark.parametrize("levels", [TAKEN, HALF, 1_000, 5_000, UPSTREAM - 1, UPSTREAM + 1])
def test_deep_documents(shape: str, levels: int) -> None:
    async def main() -> None:
        async with server() as client:

            async def ask(
                method: str, path: str, body: str = "", media: str = "application/json", accept: str = ""
            ) -> Any:
                headers = [("Content-Type", media), ("Accept", accept or "application/json")]
                return await client.request(method, path, headers, body.encode())

            await ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json.dumps(DEFINITION))
            while (await ask("GET", PATH)).status == 404:
                await asyncio.sleep(0)
            await ask("POST", PATH, HEAD % "old" + "}")
            await ask("POST", CONFIG_MAPS, '{"metadata":{"name":"old"}}')
            for number, (method, path, media, body) in enumerate(WAYS):
                name = f"d{number}"
                answer = await ask(method, path.replace("%s", name), body % (name, nested(shape, levels)), media)
                what = (method, media, answer.status, answer.body[:300])
                if answer.status == 400:
                    assert levels > TAKEN or "strategic" in media, what
                    assert b"exceeded max depth" in answer.body, what
                else:
                    assert answer.status in (200, 201) and levels < UPSTREAM, what
            for accept in ("application/yaml", "application/json;as=Table;g=meta.k8s.io;v=v1", "application/json"):
                assert (await ask("GET", PATH, accept=accept)).status == 200
            assert json.loads((await ask("GET", PATH)).body)["kind"] == "DeepList"

    asyncio.run(main())
