"""Which methods and media types a path takes, and the words for others: what upstream's router refuses before anybody is asked, and what it
never sees (custom resources, health, metrics, OpenAPI). Played on a server of 1.20; the words are those of today's router."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pybernetes.client.http import HTTPClient

from .customresources import DEFINITIONS, THINGS, definition
from .golden import server
from .test_services import Client, play

NS = "/api/v1/namespaces/default"
JSON = "application/json"
OBJECTS = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
STREAMS = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
NOT_ALLOWED = "the server does not allow this method on the requested resource"


async def ask(client: HTTPClient, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    """The code, and the body as JSON, or its text where it is none."""
    given = [(name.replace("_", "-"), value) for name, value in headers.items()]
    answer = await client.request(method, path, given, body, timeout=60)
    try:
        return answer.status, json.loads(answer.body)
    except ValueError:
        return answer.status, answer.body.decode()


@pytest.mark.parametrize(
    ("path", "head", "post"),
    [
        ("/api", 405, 405),
        ("/api/v1", 405, 405),
        ("/apis/apps/v1/", 405, 405),
        ("/version", 405, 405),
        ("/api/v1/pods", 405, 405),
        ("/api/v1/namespaces/default/pods/x/log", 405, 405),
        ("/", 200, 200),
        ("/apis", 200, 200),
        ("/apis/apps", 200, 200),
        ("/apis/example.com/v1", 200, 200),
        ("/healthz/ping", 200, 200),
        ("/metrics", 200, 200),
        ("/healthz/none", 404, 404),
        ("/none", 404, 404),
        ("/apis/none", 404, 404),
        ("/api/v2", 404, 404),
    ],
)
def test_what_a_path_answers_to_other_methods(path: str, head: int, post: int) -> None:
    """Kind: routes are for GET alone; what is no route of upstream's router, the discovery of its aggregator included, asks for no method."""

    async def main() -> None:
        async with server() as client:
            await ask(client, "POST", DEFINITIONS, json.dumps(definition()).encode())
            assert (await ask(client, "HEAD", path))[0] == head
            for method in ("POST", "PUT", "DELETE", "OPTIONS"):
                code, answer = await ask(client, method, path)
                assert code == post, method
                if post == 405:
                    assert answer["message"] == NOT_ALLOWED

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/none", "/healthz/none", "/readyz/none", "/none/at/all"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_page_that_there_is_not_tells_those_that_there_are(path: str, method: str) -> None:
    async def main() -> None:
        async with server() as client:
            code, answer = await ask(client, method, path)
            assert (code, list(answer)) == (404, ["paths"])
            assert "/apis/apps/v1" in answer["paths"]
            assert await ask(client, method, "/apis/none") == (404, "404 page not found\n")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("path", "accept", "available"),
    [
        (f"{NS}/configmaps/x", "text/html", OBJECTS),
        (f"{NS}/configmaps/x", "application/*", OBJECTS),
        (f"{NS}/configmaps", "image/png, text/html;q=0.5", f"{OBJECTS}, {STREAMS}"),
        (f"{NS}/configmaps?watch=1", "text/html", f"{OBJECTS}, {STREAMS}"),
        ("/api", "text/html", OBJECTS),
        ("/version", "application/*, text/html", JSON),
    ],
)
def test_a_route_gives_its_media_types(path: str, accept: str, available: str) -> None:
    """Kind: Accept is looked at by the router first, which knows one wildcard; it comes before anything is looked for."""

    async def main() -> None:
        async with server() as client:
            text = f"406: Not Acceptable\n\nAvailable representations: {available}"
            code, answer = await ask(client, "GET", path, Accept=accept)
            assert (code, answer["reason"], answer["message"]) == (406, "NotAcceptable", text)

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/api", "/apis", "/apis/apps", "/api/v1", "/apis/example.com/v1"])
@pytest.mark.parametrize("kind", ["Table", "PartialObjectMetadata", "PartialObjectMetadataList"])
def test_discovery_is_shown_as_itself_alone(path: str, kind: str) -> None:
    async def main() -> None:
        async with server() as client:
            await ask(client, "POST", DEFINITIONS, json.dumps(definition()).encode())
            shape = f"application/json;as={kind};g=meta.k8s.io;v=v1"
            code, answer = await ask(client, "GET", path, Accept=shape)
            assert (code, answer["message"]) == (406, f"only the following media types are accepted: {OBJECTS}")
            assert (await ask(client, "GET", path, Accept=f"{shape}, application/json"))[0] == 200

    asyncio.run(main())


def test_there_is_no_stream_of_yaml() -> None:
    """The best clause counts: it is not passed over for the next one."""

    async def main() -> None:
        async with server() as client:
            watch = f"{NS}/configmaps?watch=1&timeoutSeconds=1"
            code, answer = await ask(client, "GET", watch, Accept="application/yaml, application/json")
            text = answer if isinstance(answer, str) else answer["message"]
            assert code == 406
            assert STREAMS.split(", ", maxsplit=1)[0] in text
            code, _ = await ask(client, "GET", watch, Accept="application/json, application/yaml")
            assert code == 200

    asyncio.run(main())


def test_yaml_repeats_what_is_there_twice() -> None:
    async def main() -> None:
        async with server() as client:
            answer = await client.request("GET", "/apis/apps", [("Accept", "application/yaml")])
            assert answer.body.count(b"groupVersion: apps/v1\n") == 2
            assert b"&" not in answer.body

    asyncio.run(main())


@pytest.mark.parametrize(
    ("media", "code"),
    [
        ("application/yaml", 201),
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("application/json;", 201),
        ('APPLICATION/JSON; a="b;c" ;d = e', 201),
        ("application/x-yaml", 415),
        ("text/yaml", 415),
        ("*/*", 415),
        (";", 415),
        ("application/json;;", 415),
        ("application/json; charset", 415),
        ("application/json, text/plain", 415),
    ],
)
def test_bodies_are_of_three_media_types(media: str, code: int) -> None:
    """Kind: Content-Type as Go's mime package reads it; what is none is no JSON."""

    async def main() -> None:
        async with server() as client:
            body = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"}}'
            assert (await ask(client, "POST", f"{NS}/configmaps", body, Content_Type=media))[0] == code
            await ask(client, "POST", f"{NS}/configmaps", body)
            deleted = await ask(client, "DELETE", f"{NS}/configmaps/a", b'{"dryRun":["All"]}', Content_Type=media)
            assert deleted[0] == (200 if code == 201 else code)

    asyncio.run(main())


@pytest.mark.parametrize("media", ["text/plain", "application/json", "application/yaml", "foo", ""])
def test_patches_of_another_media_type(media: str) -> None:
    """Of built-in kinds the router says it, of custom ones the handler does, which names what there is."""

    async def main() -> None:
        async with server() as client:
            await ask(client, "POST", DEFINITIONS, json.dumps(definition()).encode())
            for path in (f"{NS}/configmaps/a", "/apis/apps/v1/namespaces/default/deployments/d/scale"):
                code, answer = await ask(client, "PATCH", path, b"{}", Content_Type=media)
                assert (code, answer["message"]) == (415, "415: Unsupported Media Type")
            for path in (f"{THINGS}/a", THINGS):
                code, answer = await ask(client, "PATCH", path, b"{}", Content_Type=media)
                assert (code, answer["message"][:50]) == (415, "the body of the request was in an unknown format -")

    asyncio.run(main())


def test_verbs_of_custom_resources() -> None:
    """Kind: no router has looked at their requests: whether there is a name is the verb's business, and HEAD is a GET."""

    async def story(client: Client) -> None:
        await client.send("POST", DEFINITIONS, definition())
        merge = "application/merge-patch+json"
        for method, media in (("PUT", JSON), ("PATCH", merge)):
            code, answer = await client.send(method, THINGS, {}, media)
            assert (code, answer["message"]) == (400, "name must be provided")
        body = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "b"}}
        code, answer = await client.send("POST", f"{THINGS}/a", body)
        assert (code, answer["metadata"]["name"]) == (201, "b")
        for method, verb in (("OPTIONS", ""), ("TRACE", "")):
            code, answer = await client.send(method, THINGS)
            text = f'{verb} is not supported on resources of kind "things.example.com"'
            assert (code, answer["message"], answer["details"]) == (
                405,
                text,
                {"group": "example.com", "kind": "things"},
            )
        assert (await client.send("GET", f"{THINGS}/b/none"))[0] == 404

    play(story)


def test_a_head_of_custom_resources_is_a_get_without_a_body() -> None:
    async def main() -> None:
        async with server() as client:
            await ask(client, "POST", DEFINITIONS, json.dumps(definition()).encode())
            assert await ask(client, "HEAD", THINGS) == (200, "")
            assert await ask(client, "HEAD", f"{THINGS}/none") == (404, "")

    asyncio.run(main())


@pytest.mark.parametrize("subresource", ["status", "scale"])
def test_subresources_of_custom_resources_are_not_created(subresource: str) -> None:
    async def story(client: Client) -> None:
        scale = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}
        given = definition()
        given["spec"]["versions"][0]["subresources"] = {"status": {}, "scale": scale}
        await client.send("POST", DEFINITIONS, given)
        for method, verb in (("POST", "create"), ("DELETE", "delete")):
            code, answer = await client.send(method, f"{THINGS}/a/{subresource}", {})
            text = f'{verb} is not supported on resources of kind "things.example.com"'
            assert (code, answer["message"]) == (405, text)

    play(story)


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("/api/v1/nodes?fieldSelector=metadata.namespace=x", 400, "field label not supported: metadata.namespace"),
        ("/api/v1/namespaces?fieldSelector=metadata.namespace=x", 400, "field label not supported: metadata.namespace"),
        ("/apis/example.com/v1/globes?fieldSelector=metadata.namespace=x", 400, "field label not supported: metadata."),
        ("/api/v1/persistentvolumes?fieldSelector=metadata.namespace=x", 200, ""),
        (f"{THINGS}?fieldSelector=metadata.namespace=x", 200, ""),
        ("/api/v1/pods?fieldSelector=status.podIPs=x", 200, ""),
        ("/apis/batch/v1/jobs?fieldSelector=x=y", 400, 'field label "x" not supported for batchv1.Job'),
        ("/apis/batch/v1/cronjobs?fieldSelector=x=y", 400, '"x" is not a known field selector: only "metadata.name"'),
    ],
)
def test_by_which_fields_one_may_select(path: str, code: int, text: str) -> None:
    """Kind: field selectors of every kind (A4): who says which there are says all of them."""

    async def story(client: Client) -> None:
        await client.send("POST", DEFINITIONS, definition())
        await client.send("POST", DEFINITIONS, definition(plural="globes", kind="Globe", scope="Cluster"))
        given, answer = await client.send("GET", path)
        assert (given, answer.get("message", "")[: len(text)]) == (code, text)

    play(story)


@pytest.mark.parametrize("name", ["none", "there"])
def test_what_is_missing_is_missing_in_every_shape(name: str) -> None:
    async def story(client: Client) -> None:
        await client.send("POST", f"{NS}/configmaps", {"metadata": {"name": "there"}})
        shape = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        code, _ = await client.raw("GET", f"{NS}/configmaps/{name}", None, shape)
        assert code == (404 if name == "none" else 406)

    play(story)


@pytest.mark.parametrize(
    ("body", "media", "text"),
    [
        (b'{"gracePeriodSeconds":02}', JSON, "couldn't get version/kind; json parse error: invalid character '2'"),
        (b"[]", JSON, "couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of"),
        (b'{"gracePeriodSeconds":2.0}', JSON, "json: cannot unmarshal number 2.0 into Go struct field DeleteOptions."),
        (
            b"{}",
            "application/vnd.kubernetes.protobuf",
            "provided data does not appear to be a protobuf message, expected",
        ),
        (b"\ta: b", "application/yaml", "error converting YAML to JSON: yaml: "),
        (b'{"kind":"Pod","apiVersion":"v1"}', JSON, ""),
    ],
)
def test_options_of_a_deletion_that_are_none(body: bytes, media: str, text: str) -> None:
    """Kind: bodies that cannot be read: here upstream hands on what its decoder says, without the usual beginning, as 400 of late."""

    async def main() -> None:
        async with server() as client:
            await ask(client, "POST", f"{NS}/configmaps", b'{"metadata":{"name":"a"}}')
            for path in (f"{NS}/configmaps/a", f"{NS}/configmaps"):
                code, answer = await ask(client, "DELETE", path, body, Content_Type=media)
                assert (code, answer["message"][: len(text)]) == (400, text)
            assert (await ask(client, "GET", f"{NS}/configmaps/a"))[0] == 200

    asyncio.run(main())


@pytest.mark.parametrize("conditions", [{"uid": ""}, {"resourceVersion": ""}, {"uid": "", "resourceVersion": ""}])
@pytest.mark.parametrize("path", [f"{NS}/configmaps", f"{NS}/pods", THINGS])
def test_an_empty_precondition_is_one(conditions: Any, path: str) -> None:
    """Kind: what is not there and what is empty (B7): no object has this uid."""

    async def story(client: Client) -> None:
        await client.send("POST", DEFINITIONS, definition())
        body: Any = {"metadata": {"name": "a"}}
        if path == THINGS:
            body |= {"apiVersion": "example.com/v1", "kind": "Thing"}
        if path.endswith("pods"):
            body["spec"] = {"containers": [{"name": "c", "image": "i"}]}
        assert (await client.send("POST", path, body))[0] == 201
        code, answer = await client.send("DELETE", f"{path}/a", {"preconditions": conditions})
        assert (code, answer["reason"]) == (409, "Conflict")
        assert "in the precondition () does not match" in answer["message"]
        assert (await client.send("DELETE", f"{path}/a", {"preconditions": {}}))[0] == 200

    play(story)


@pytest.mark.parametrize(
    ("prefix", "code"),
    [("x" * 253 + "-", 201), ("x" * 254 + "-", 422), ("G-", 201), ("GG-", 422), ("-", 422), ("a.-", 422)],
)
def test_how_the_beginning_of_a_name_is_checked(prefix: str, code: int) -> None:
    """Kind: generateName (B18). What stands before a last dash is taken for another, as upstream's check does; the name itself is looked at."""

    async def story(client: Client) -> None:
        metadata = {"generateName": prefix, **({"name": "n"} if prefix == "G-" else {})}
        given, answer = await client.send("POST", f"{NS}/configmaps", {"metadata": metadata})
        assert given == code, answer

    play(story)


def test_names_are_shown_as_go_quotes_them() -> None:
    async def story(client: Client) -> None:
        _, answer = await client.send("POST", f"{NS}/configmaps", {"metadata": {"name": 'a\n"'}})
        assert answer["message"].startswith('ConfigMap "a\\n\\"" is invalid: metadata.name: Invalid value: "a\\n\\""')

    play(story)


@pytest.mark.parametrize("path", [f"{NS}/configmaps", THINGS, f"{NS}/limitranges"])
def test_who_means_an_object_by_its_uid_and_finds_none(path: str) -> None:
    """Kind: preconditions (B7): a conflict, whether or not the kind may be made so."""

    async def story(client: Client) -> None:
        await client.send("POST", DEFINITIONS, definition())
        body: Any = {"metadata": {"name": "a", "uid": "x"}, "spec": {}}
        if path == THINGS:
            body |= {"apiVersion": "example.com/v1", "kind": "Thing"}
        if path.endswith("configmaps"):
            del body["spec"]
        code, answer = await client.send("PUT", f"{path}/a", body)
        assert (code, answer["reason"]) == (409, "Conflict")
        assert "Precondition failed: UID in precondition: x, UID in object meta: " in answer["message"]

    play(story)


def test_a_binding_that_names_nobody() -> None:
    """Kind: names in bodies of subresources (B5), of the path that has none."""

    async def story(client: Client) -> None:
        code, answer = await client.send("POST", f"{NS}/bindings", {"target": {"name": "n"}})
        assert (code, answer["message"]) == (400, "Name parameter required.")
        code, answer = await client.send(
            "POST", f"{NS}/bindings", {"metadata": {"name": "none"}, "target": {"name": "n"}}
        )
        assert (code, answer["message"]) == (404, 'pods "none" not found')

    play(story)


def test_a_token_bound_to_nothing_in_particular() -> None:
    """Kind: what is not there and what is empty: an empty reference is one."""

    async def main() -> None:
        async with server() as client:
            await ask(client, "POST", f"{NS}/serviceaccounts", b'{"metadata":{"name":"s"}}')
            body = b'{"spec":{"boundObjectRef":{}}}'
            code, answer = await ask(client, "POST", f"{NS}/serviceaccounts/s/token", body)
            assert (code, answer["message"]) == (400, "cannot bind token to object of type /, Kind=")
            code, _ = await ask(client, "POST", f"{NS}/serviceaccounts/s/token", b'{"spec":{"boundObjectRef":null}}')
            assert code == 201

    asyncio.run(main())
