"""What only ?fieldValidation=Strict minds in patches: fields that are set twice or are unknown, of each type of patch and on each path.

A server of 1.20 knows no such validation: the words are those of today's sources (endpoints/handlers/patch.go).
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from .customresources import DEFINITIONS, THINGS, definition, version
from .golden import server
from .test_methods import ask
from .test_neighbours import APPLY, DEPLOYMENTS, MERGE, STRATEGIC, deployment
from .test_services import Client, play

JSON_PATCH = "application/json-patch+json"
TWICE, UNKNOWN = 'duplicate field "spec.replicas"', 'unknown field "spec.none"'
BODY = b'{"spec":{"none":1,"replicas":2,"replicas":3}}'


@pytest.mark.parametrize(
    ("path", "media", "body", "told"),
    [
        ("d", MERGE, BODY, [TWICE, UNKNOWN]),
        ("d", STRATEGIC, BODY, [TWICE, UNKNOWN]),
        ("d/scale", MERGE, BODY, [TWICE, UNKNOWN]),
        ("d/scale", STRATEGIC, BODY, [TWICE, UNKNOWN]),
        (
            "d/status",
            MERGE,
            b'{"status":{"none":1},"status":{"none":1}}',
            ['duplicate field "status"', 'unknown field "status.none"'],
        ),
        ("d", MERGE, b'{"metadata":{"labels":{"a":"1","a":"2"}}}', ['duplicate field "metadata.labels.a"']),
        (
            "d",
            JSON_PATCH,
            b'[{"op":"add","path":"/spec/none","value":1,"value":2,"more":5}]',
            ['json patch duplicate field "[0].value"', 'json patch unknown field "[0].more"', UNKNOWN],
        ),
        (
            "d",
            JSON_PATCH,
            b'[{"op":"test","path":"/kind","value":"Deployment","Op":"x"}]',
            ['json patch unknown field "[0].Op"'],
        ),
        ("d", MERGE, b'{"spec":{"replicas":2}}', []),
    ],
)
def test_what_is_told_of_a_patch(path: str, media: str, body: bytes, told: list[str]) -> None:
    """Kind: what the client has written and nobody reads: refused, warned of, or passed over, as it asks."""

    async def main() -> None:
        async with server() as client:
            await ask(client, "POST", DEPLOYMENTS, json.dumps(deployment()).encode())
            where = f"{DEPLOYMENTS}/{path}?dryRun=All&fieldValidation="
            code, answer = await ask(client, "PATCH", f"{where}Strict", body, Content_Type=media)
            assert code == (422 if told else 200)
            if told:
                assert answer["message"].endswith(f": strict decoding error: {', '.join(told)}")
            for asked, warnings in (("Warn", told), ("", told), ("Ignore", [])):
                response = await client.request("PATCH", where + asked, [("Content-Type", media)], body)
                assert response.status == 200
                last = warnings[-1].replace('"', '\\"') if warnings else ""  # this client keeps the last of them
                assert (response.headers.get("warning") or "") == (f'299 - "{last}"' if last else "")

    asyncio.run(main())


@pytest.mark.parametrize("media", [MERGE, JSON_PATCH])
def test_what_is_told_of_a_custom_resources_patch(media: str) -> None:
    """What keeps unknown fields keeps them, and yet minds what is set twice."""

    async def main() -> None:
        async with server() as client:
            loose = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            given = definition(version(properties={"x": {"type": "string"}, "any": loose}))
            await ask(client, "POST", DEFINITIONS, json.dumps(given).encode())
            thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {}}
            await ask(client, "POST", THINGS, json.dumps(thing).encode())
            body = b'{"spec":{"none":1,"any":{"y":1,"y":2,"z":3}}}'
            told = 'duplicate field "spec.any.y", unknown field "spec.none"'
            if media == JSON_PATCH:
                body = b'[{"op":"add","path":"/spec","value":{"none":1,"any":{"y":1,"y":2,"z":3}}}]'
                told = 'json patch duplicate field "[0].value.any.y", unknown field "spec.none"'
            code, answer = await ask(client, "PATCH", f"{THINGS}/t?fieldValidation=Strict", body, Content_Type=media)
            assert code == 422
            assert answer["message"].endswith(f"strict decoding error: {told}")
            code, answer = await ask(client, "PATCH", f"{THINGS}/t?fieldValidation=Warn", body, Content_Type=media)
            assert (code, answer["spec"]) == (200, {"any": {"y": 2, "z": 3}})

    asyncio.run(main())


@pytest.mark.parametrize("validation", ["strict", "WARN", "Ignore,Warn", "x"])
@pytest.mark.parametrize(
    ("method", "media", "kind"),
    [("PUT", "application/json", "Update"), ("PATCH", MERGE, "Patch"), ("PATCH", APPLY, "Patch")],
)
def test_there_are_three_ways(validation: str, method: str, media: str, kind: str) -> None:
    async def story(client: Client) -> None:
        await client.send("POST", DEPLOYMENTS, deployment())
        body: Any = deployment()
        path = f"{DEPLOYMENTS}/d?fieldManager=m&fieldValidation={validation}"
        code, answer = await client.send(method, path, body, media)
        why = f'Unsupported value: "{validation}": supported values: "Ignore", "Strict", "Warn"'
        assert (code, answer["message"]) == (422, f'{kind}Options.meta.k8s.io "" is invalid: fieldValidation: {why}')

    play(story)


def test_a_scale_that_is_put_warns_as_well() -> None:
    async def main() -> None:
        async with server() as client:
            await ask(client, "POST", DEPLOYMENTS, json.dumps(deployment()).encode())
            body = b'{"metadata":{"name":"d","namespace":"default"},"spec":{"replicas":2,"none":1}}'
            answer = await client.request("PUT", f"{DEPLOYMENTS}/d/scale", [], body)
            assert (answer.status, answer.headers.get("warning")) == (200, '299 - "unknown field \\"spec.none\\""')

    asyncio.run(main())
