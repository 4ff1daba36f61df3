"""The subresource scale over HTTP: numbers that come as floats, whose it is, and server-side apply of it.

Played on a server of 1.20; what it crashed at (apply of a custom resource's) is judged by today's sources.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from .customresources import DEFINITIONS, THINGS, definition, version
from .golden import server
from .test_neighbours import APPLY, DEPLOYMENTS, MERGE, NS, STRATEGIC, deployment, fields
from .test_services import Client, play

SCALE = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}
COUNTED = definition(
    version(properties={"n": {"type": "integer"}, "m": {"type": "integer"}}, subresources={"scale": SCALE})
)
JSON_PATCH = "application/json-patch+json"


def thing(number: Any = 1, **spec: Any) -> Any:
    return {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"n": number, **spec}}


def scale_of(name: str, replicas: Any, **metadata: Any) -> Any:
    spec = {"replicas": replicas}
    return {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": name, **metadata}, "spec": spec}


@pytest.mark.parametrize("number", [2.0, 3e0, 2e1])
def test_a_custom_resources_number_of_replicas_is_no_float(number: float) -> None:
    """Kind: integers that come as floats (B14). Elsewhere 2.0 is 2 to a custom resource; where scale reads it, it must come as an
    integer (ValidateScaleSpec: NestedInt64), whichever way it comes; a server that has written it has written 2."""

    async def story(client: Client) -> None:
        await client.send("POST", DEFINITIONS, COUNTED)
        code, answer = await client.send("POST", THINGS, thing(number))
        why = f".spec.n: Invalid value: 0: .spec.n accessor error: {int(number)} is of the type float64, expected int64"
        assert (code, answer["message"]) == (422, f'Thing.example.com "t" is invalid: {why}')
        assert (await client.send("POST", THINGS, thing(1, m=number)))[0] == 201
        patches = (({"spec": {"n": number}}, MERGE), ([{"op": "add", "path": "/spec/n", "value": number}], JSON_PATCH))
        for patch, media in patches:
            code, answer = await client.send("PATCH", f"{THINGS}/t", patch, media)
            assert (code, fields(answer)) == (422, [".spec.n"])

    play(story)


@pytest.mark.parametrize("number", ["2.0", "0.2e1", "20e-1", "2e+0"])
def test_yaml_has_no_such_floats(number: str) -> None:
    """It is made JSON before it is read, and 2.0 is 2 there, as in what is applied."""

    async def main() -> None:
        async with server() as client:
            await client.request("POST", DEFINITIONS, [], json.dumps(COUNTED).encode())
            text = f"apiVersion: example.com/v1\nkind: Thing\nmetadata: {{name: t}}\nspec: {{n: {number}}}\n".encode()
            posted = await client.request("POST", THINGS, [("Content-Type", "application/yaml")], text)
            apply = f"{THINGS}/t?fieldManager=m&force=true"
            for answer in (posted, await client.request("PATCH", apply, [("Content-Type", APPLY)], text)):
                assert (answer.status in (200, 201), json.loads(answer.body).get("spec")) == (True, {"n": 2})

    asyncio.run(main())


@pytest.mark.parametrize(
    ("metadata", "causes"),
    [
        ({}, ["metadata.namespace"]),
        ({"namespace": "default", "labels": {"x y": "z"}}, ["metadata.labels"]),
        ({"namespace": "default", "generation": -1}, ["metadata.generation"]),
    ],
)
def test_a_scale_that_is_put_is_a_whole_object(metadata: Any, causes: list[str]) -> None:
    """Kind: bodies of subresources (B5): ValidateScale looks at all of its metadata. A custom resource's is not looked at."""

    async def story(client: Client) -> None:
        await client.send("POST", DEPLOYMENTS, deployment())
        await client.send("POST", DEFINITIONS, COUNTED)
        await client.send("POST", THINGS, thing())
        for number, more in ((2, []), (-1, ["spec.replicas"])):
            code, answer = await client.send("PUT", f"{DEPLOYMENTS}/d/scale", scale_of("d", number, **metadata))
            assert (code, fields(answer)) == (422, causes + more)
        assert (await client.send("PUT", f"{THINGS}/t/scale", scale_of("t", 2, **metadata)))[0] == 200
        code, _ = await client.send("PUT", f"{DEPLOYMENTS}/d/scale", scale_of("d", 2, namespace="default"))
        assert code == 200

    play(story)


def test_what_is_missing_where_a_scale_is_asked_for() -> None:
    async def story(client: Client) -> None:
        await client.send("POST", DEFINITIONS, COUNTED)
        _, answer = await client.send("GET", f"{THINGS}/none/scale")
        assert answer["message"] == 'things.example.com "none" not found'
        _, answer = await client.send("GET", f"{DEPLOYMENTS}/none/scale")
        assert answer["message"] == 'deployments/scale.apps "none" not found'

    play(story)


@pytest.mark.parametrize("custom", [False, True])
def test_a_scale_that_is_applied(custom: bool) -> None:
    """Kind: who manages a field, whichever way it was written (B15): the number is the object's, and so are its managers."""

    async def story(client: Client) -> None:
        await client.send("POST", DEFINITIONS, COUNTED)
        path, name, body = (
            (f"{THINGS}/t", "t", thing(1)) if custom else (f"{DEPLOYMENTS}/d", "d", deployment(replicas=1))
        )
        at = ".spec.n" if custom else ".spec.replicas"
        assert (await client.send("PATCH", f"{path}?fieldManager=m", body, APPLY))[0] == 201
        applied = f"{path}/scale?fieldManager=s"
        code, answer = await client.send("PATCH", applied, scale_of(name, 5), APPLY)
        assert (code, fields(answer)) == (409, [at])
        assert answer["message"] == f'Apply failed with 1 conflict: conflict with "m": {at}'
        code, answer = await client.send("PATCH", applied, scale_of(name, 1), APPLY)
        assert (code, answer["spec"]) == (200, {"replicas": 1})
        code, answer = await client.send("PATCH", f"{applied}&force=true", scale_of(name, 5), APPLY)
        assert (code, answer["kind"], answer["spec"]) == (200, "Scale", {"replicas": 5})
        _, whole = await client.send("GET", path)
        mine = [one for one in whole["metadata"]["managedFields"] if one["manager"] == "s"]
        assert [(one["operation"], one["subresource"]) for one in mine] == [("Apply", "scale")]
        assert whole["metadata"]["generation"] == 2
        code, answer = await client.send("PATCH", f"{path}?fieldManager=m", body, APPLY)
        assert (code, fields(answer)) == (409, [at])

    play(story)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (
            {"apiVersion": "apps/v1"},
            400,
            "Incorrect version specified in apply patch. Specified patch version: apps/v1",
        ),
        (
            {"spec": {"replicas": "2"}},
            500,
            "failed to create typed patch object (default/d; autoscaling/v1, Kind=Scale)",
        ),
        ({"spec": {"none": 2}}, 500, "failed to create typed patch object (default/d; autoscaling/v1, Kind=Scale)"),
        ({"spec": {"replicas": -1}}, 422, 'Scale.autoscaling "d" is invalid: spec.replicas'),
        ({"metadata": {"name": "e"}}, 400, "the name of the object (e) does not match the name on the URL (d)"),
    ],
)
def test_what_is_no_scale_is_not_applied(change: Any, code: int, message: str) -> None:
    async def story(client: Client) -> None:
        await client.send("POST", DEPLOYMENTS, deployment())
        body = {**scale_of("d", 2), **change}
        given, answer = await client.send("PATCH", f"{DEPLOYMENTS}/d/scale?fieldManager=s", body, APPLY)
        assert (given, answer["message"][: len(message)]) == (code, message)
        given, answer = await client.send(
            "PATCH", f"{DEPLOYMENTS}/none/scale?fieldManager=s", scale_of("none", 2), APPLY
        )
        assert (given, answer["message"]) == (404, 'deployments.apps "none" not found')

    play(story)


@pytest.mark.parametrize(
    ("path", "patch", "shown", "why"),
    [
        ("d", {"spec": {"replicas": 2.5}}, "map[spec:map[replicas:2.5]]", "cannot convert float64 to int32"),
        ("d/scale", {"spec": {"replicas": "2"}}, "map[spec:map[replicas:2]]", "unrecognized type: int32"),
        ("d", {"spec": {"paused": 1}}, "map[spec:map[paused:1]]", "unrecognized type: bool"),
        ("d", {"spec": {"template": []}}, "map[spec:map[template:[]]]", "cannot restore struct from: slice"),
        ("d", {"metadata": {"labels": "x"}}, "map[metadata:map[labels:x]]", "cannot restore map from string"),
        (
            "d",
            {"metadata": {"finalizers": {"a": 1}}},
            "map[metadata:map[finalizers:map[a:1]]]",
            "cannot restore slice from map",
        ),
        (
            "d",
            {"metadata": {"resourceVersion": 5}},
            "map[metadata:map[resourceVersion:5]]",
            "cannot convert int64 to string",
        ),
        (
            "d",
            {"spec": {"strategy": {"type": 1}}},
            "map[spec:map[strategy:map[type:1]]]",
            "cannot convert int64 to v1.DeploymentStrategyType",
        ),
    ],
)
def test_the_words_for_strategic_patches_of_another_type(path: str, patch: Any, shown: str, why: str) -> None:
    """Kind: words that people search for (B17): such a patch is a map, and never was text again."""

    async def story(client: Client) -> None:
        await client.send("POST", DEPLOYMENTS, deployment())
        code, answer = await client.send("PATCH", f"{DEPLOYMENTS}/{path}", patch, STRATEGIC)
        assert (code, answer["details"]["causes"][0]["message"]) == (422, f'Invalid value: "{shown}": {why}')

    play(story)


def test_what_is_applied_and_is_no_integer() -> None:
    async def story(client: Client) -> None:
        code, answer = await client.send("PATCH", f"{DEPLOYMENTS}/d?fieldManager=m", deployment(replicas=2.5), APPLY)
        text = "failed to convert new object (/d; apps/v1, Kind=Deployment) to proper version: unable to convert unstructured object to "
        assert (code, answer["message"]) == (500, f"{text}apps/v1, Kind=Deployment: cannot convert float64 to int32")
        code, answer = await client.send(
            "PATCH",
            f"{NS}/configmaps/a?fieldManager=m",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": "x"},
            APPLY,
        )
        assert (code, answer["message"]) == (
            500,
            "failed to create typed patch object (/; /v1, Kind=ConfigMap): .metadata: expected map, got &{x}",
        )

    play(story)
