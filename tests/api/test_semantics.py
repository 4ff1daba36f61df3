"""Rules of the API that hold for many kinds alike, over HTTP: who makes what by PUT, whose name counts, which revision is read."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pybernetes.apiserver.kinds import RESOURCES

from .golden import server
from .test_services import Client, causes, play

NS = "/api/v1/namespaces/default"
MERGE = "application/merge-patch+json"
POD: Any = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}

# What upstream's strategies allow (AllowCreateOnUpdate); of all other kinds a PUT finds nothing.
MADE_BY_PUT = {
    "clusterrolebindings",
    "clusterroles",
    "endpoints",
    "events",
    "leases",
    "limitranges",
    "rolebindings",
    "roles",
    "runtimeclasses",
    "services",
}


def test_which_kinds_a_put_makes() -> None:
    assert {resource.name for resource in RESOURCES if resource.allow_create_on_update} == MADE_BY_PUT


# What upstream's strategies want a resource version for (AllowUnconditionalUpdate).
VERSIONED = {
    "apiservices",
    "clustertrustbundles",
    "csidrivers",
    "csinodes",
    "csistoragecapacities",
    "customresourcedefinitions",
    "leases",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "mutatingwebhookconfigurations",
    "podcertificaterequests",
    "poddisruptionbudgets",
    "runtimeclasses",
    "storageversionmigrations",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations",
    "volumeattachments",
}


def test_which_kinds_are_overwritten_only_as_they_were_read() -> None:
    assert {resource.name for resource in RESOURCES if not resource.allow_unconditional_update} == VERSIONED


RBAC = "rbac.authorization.k8s.io"
ROLE_REF = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{NS}/limitranges", {"spec": {"limits": []}}),
        (f"{NS}/services", {"spec": {"ports": [{"port": 80}]}}),
        (f"/apis/{RBAC}/v1/namespaces/default/roles", {"rules": []}),
        (f"/apis/{RBAC}/v1/namespaces/default/rolebindings", {"roleRef": ROLE_REF}),
        (f"/apis/{RBAC}/v1/clusterroles", {"rules": []}),
        (f"/apis/{RBAC}/v1/clusterrolebindings", {"roleRef": ROLE_REF}),
        ("/apis/node.k8s.io/v1/runtimeclasses", {"handler": "h"}),
        ("/apis/coordination.k8s.io/v1/namespaces/default/leases", {"spec": {}}),
    ],
)
def test_a_put_makes_what_is_not_there(path: str, body: Any) -> None:
    """The second PUT changes it; a PUT of somebody gone, who has a uid, makes nobody."""

    async def case(client: Client) -> None:
        body["metadata"] = {"name": "a", "resourceVersion": "7", "deletionTimestamp": "2020-01-01T00:00:00Z"}
        code, made = await client.send("PUT", f"{path}/a", body)
        assert (code, "deletionTimestamp" in made["metadata"]) == (201, False)
        made["metadata"]["labels"] = {"x": "y"}
        assert (await client.send("PUT", f"{path}/a", made))[0] == 200
        assert (await client.send("DELETE", f"{path}/a"))[0] == 200
        code, answer = await client.send("PUT", f"{path}/a", made)
        uid = made["metadata"]["uid"]
        assert (code, answer["reason"]) == (409, "Conflict")
        assert answer["message"].endswith(f"UID in precondition: {uid}, UID in object meta: ")

    play(case)


@pytest.mark.parametrize("name", ["configmaps", "secrets", "resourcequotas", "serviceaccounts"])
def test_a_put_makes_nothing_of_other_kinds(name: str) -> None:
    async def case(client: Client) -> None:
        code, answer = await client.send("PUT", f"{NS}/{name}/a", {"metadata": {"name": "a"}})
        assert (code, answer["message"]) == (404, f'{name} "a" not found')
        code, answer = await client.send("PUT", f"{NS}/{name}/a", {"metadata": {"name": "a", "uid": "u"}})
        assert (code, answer["reason"]) == (409, "Conflict")
        assert answer["message"].endswith("UID in precondition: u, UID in object meta: ")

    play(case)


def test_another_uid_is_told_with_the_key() -> None:
    async def case(client: Client) -> None:
        await client.send("POST", f"{NS}/configmaps", {"metadata": {"name": "a"}})
        code, answer = await client.send("PUT", f"{NS}/configmaps/a", {"metadata": {"name": "a", "uid": "u"}})
        start = 'Operation cannot be fulfilled on configmaps "a": StorageError: invalid object, Code: 4, '
        where = "Key: /registry/configmaps/default/a, ResourceVersion: 0, AdditionalErrorMsg: "
        assert code == 409
        assert answer["message"].startswith(f"{start}{where}Precondition failed: UID in precondition: u, ")

    play(case)


# Names and namespaces in bodies of what is posted to an object.

NODE = {"target": {"kind": "Node", "name": "n"}}
OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        (
            "pods/p/binding",
            {"metadata": {"name": "q"}, **NODE},
            400,
            "name in URL does not match name in Binding object",
        ),
        ("pods/p/binding", {"metadata": {}, **NODE}, 400, "name in URL does not match name in Binding object"),
        ("pods/p/binding", {"metadata": {"name": "p", "namespace": "x"}, **NODE}, 400, OTHER_NAMESPACE),
        ("bindings", {"metadata": {"name": "p", "namespace": "x"}, **NODE}, 400, OTHER_NAMESPACE),
        ("bindings", {"metadata": {"name": "r"}, **NODE}, 404, 'pods "r" not found'),
        ("pods/p/binding", {"metadata": {"name": "p"}, "target": {}}, 500, "target.name: Required value"),
        ("pods/p/eviction", {"metadata": {"name": "q"}}, 400, "name in URL does not match name in Eviction object"),
        ("pods/p/eviction", {"metadata": {"name": "p", "namespace": "x"}}, 400, OTHER_NAMESPACE),
        (
            "pods/p/eviction",
            {"kind": "Binding", "apiVersion": "v1", "metadata": {"name": "p"}},
            400,
            "Binding in version",
        ),
    ],
)
def test_whose_name_counts(path: str, body: Any, code: int, message: str) -> None:
    async def case(client: Client) -> None:
        await client.send("POST", f"{NS}/pods", POD)
        got, answer = await client.send("POST", f"{NS}/{path}", body)
        assert (got, answer["message"][: len(message)]) == (code, message)
        _, pod = await client.send("GET", f"{NS}/pods/p")
        assert "nodeName" not in pod["spec"]

    play(case)


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("PUT", "scale", {"metadata": {}, "spec": {}}, "the name of the object (d based on URL) was undeterminable"),
        (
            "PUT",
            "scale",
            {"metadata": {"name": "e"}},
            "the name of the object (e) does not match the name on the URL (d)",
        ),
        ("PUT", "scale", {"metadata": {"name": "d", "namespace": "x"}}, OTHER_NAMESPACE),
        (
            "PATCH",
            "scale",
            {"metadata": {"name": "e"}},
            "the name of the object (e) does not match the name on the URL (d)",
        ),
        (
            "PUT",
            "status",
            {"metadata": {"name": "e"}},
            "the name of the object (e) does not match the name on the URL (d)",
        ),
        ("PUT", "status", {"metadata": {"name": "d", "namespace": "x"}}, OTHER_NAMESPACE),
    ],
)
def test_whose_name_counts_in_parts(method: str, path: str, body: Any, message: str) -> None:
    async def case(client: Client) -> None:
        deployments = "/apis/apps/v1/namespaces/default/deployments"
        labels, spec = {"a": "b"}, POD["spec"]
        template = {"metadata": {"labels": labels}, "spec": spec}
        deployment = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
        assert (await client.send("POST", deployments, deployment))[0] == 201
        media = MERGE if method == "PATCH" else "application/json"
        code, answer = await client.send(method, f"{deployments}/d/{path}", body, media)
        assert (code, answer["message"][: len(message)]) == (400, message)

    play(case)


@pytest.mark.parametrize(
    ("metadata", "spec", "why"),
    [
        ({"uid": "u"}, {}, "Precondition failed: UID in precondition: u, "),
        ({"resourceVersion": "1"}, {}, "Precondition failed: ResourceVersion in precondition: 1, "),
        ({}, {"schedulingGates": [{"name": "g"}]}, "pod p has non-empty .spec.schedulingGates"),
        ({}, {"nodeName": "m"}, 'pod p is already assigned to node "m"'),
    ],
)
def test_bindings_that_are_conflicts(metadata: Any, spec: Any, why: str) -> None:
    async def case(client: Client) -> None:
        await client.send("POST", f"{NS}/pods", {**POD, "spec": {**POD["spec"], **spec}})
        body = {"metadata": {"name": "p", **metadata}, **NODE}
        code, answer = await client.send("POST", f"{NS}/pods/p/binding", body)
        assert (code, why in answer["message"]) == (409, True), answer

    play(case)


def test_a_dry_run_binds_nothing() -> None:
    async def case(client: Client) -> None:
        await client.send("POST", f"{NS}/pods", POD)
        body = {"metadata": {"name": "p"}, **NODE}
        assert (await client.send("POST", f"{NS}/pods/p/binding?dryRun=All", body))[0] == 201
        assert "nodeName" not in (await client.send("GET", f"{NS}/pods/p"))[1]["spec"]
        code, answer = await client.send("POST", f"{NS}/pods/p/binding?dryRun=x", body)
        assert (code, answer["details"]["kind"]) == (422, "CreateOptions")

    play(case)


@pytest.mark.parametrize(
    ("account", "body", "code", "message"),
    [
        ("a", {}, 201, ""),
        ("a", {"metadata": {"name": "a", "namespace": "default", "labels": {"x": "y"}}}, 201, ""),
        ("a", {"metadata": {"name": "b"}}, 422, 'TokenRequest.authentication.k8s.io "a" is invalid: metadata.name: '),
        ("a", {"metadata": {"namespace": "b"}}, 400, OTHER_NAMESPACE),
        ("none", {"spec": {"expirationSeconds": 1}}, 404, 'serviceaccounts "none" not found'),
        ("a", {"spec": {"expirationSeconds": 1}}, 422, 'TokenRequest.authentication.k8s.io "" is invalid: spec.expir'),
        ("a", {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1"}, 400, "TokenReview in version"),
    ],
)
def test_whose_token_is_asked_for(account: str, body: Any, code: int, message: str) -> None:
    """What else the request says of itself comes back with the token."""

    async def main() -> None:
        async with server() as http:
            headers = [("Content-Type", "application/json")]
            path = f"{NS}/serviceaccounts"
            await http.request("POST", path, headers, json.dumps({"metadata": {"name": "a"}}).encode())
            answer = await http.request("POST", f"{path}/{account}/token", headers, json.dumps(body).encode())
            told = json.loads(answer.body)
            assert (answer.status, told.get("message", "")[: len(message)]) == (code, message)
            if code == 201:
                assert told["metadata"]["name"] == "a"
                assert told["metadata"].get("labels") == body.get("metadata", {}).get("labels")

    asyncio.run(main())


# Scales of custom resources.

NUMBERS = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.s",
}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": NUMBERS, "status": NUMBERS}}},
                "subresources": {"scale": SCALE},
            }
        ],
    },
}
THINGS = "/apis/example.com/v1/namespaces/default/things"


async def things(client: Client, *made: Any) -> None:
    """Such objects a, b, ..."""
    await client.send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CRD)
    for name, one in zip("abc", made, strict=False):
        body = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": name}, **one}
        for _ in range(100):
            code, _ = await client.raw("POST", THINGS, body)
            if code == 201:
                break
            await asyncio.sleep(0.05)
        assert code == 201


@pytest.mark.parametrize(
    ("method", "body", "code", "field", "message"),
    [
        ("PATCH", {"spec": {"replicas": 2}}, 200, "", ""),
        ("PUT", {"metadata": {"name": "a"}, "spec": {"replicas": 3}}, 200, "", ""),
        ("PUT", {"metadata": {"name": "a"}, "spec": {}}, 200, "", ""),
        (
            "PATCH",
            {"metadata": {"labels": {"x": "y"}}},
            400,
            "",
            'the spec replicas field ".spec.replicas" cannot be empty',
        ),
        ("PATCH", {"spec": {"replicas": -1}}, 422, ".spec.replicas", "should be a non-negative integer"),
        (
            "PUT",
            {"metadata": {"name": "a"}, "spec": {"replicas": -7}},
            422,
            ".spec.replicas",
            "should be a non-negative integer",
        ),
    ],
)
def test_scales_of_an_object_without_a_number(method: str, body: Any, code: int, field: str, message: str) -> None:
    """What is wrong with the number is the object's own fault, not the Scale's."""

    async def case(client: Client) -> None:
        await things(client, {"spec": {}})
        shown, answer = await client.send("GET", f"{THINGS}/a/scale")
        assert (shown, answer["reason"]) == (500, "InternalError")
        got, answer = await client.send(
            method, f"{THINGS}/a/scale", body, MERGE if method == "PATCH" else "application/json"
        )
        assert got == code, answer
        assert answer.get("message", "").endswith(message)
        if field:
            assert (answer["details"]["kind"], causes(answer)[0][0]) == ("Thing", field)
        if code == 200:
            assert answer["spec"] == body["spec"]

    play(case)


def test_scales_of_other_types() -> None:
    async def case(client: Client) -> None:
        await things(client, {"spec": {"replicas": 1}, "status": {"s": "a=b"}})
        _, answer = await client.send("GET", f"{THINGS}/a/scale")
        assert (answer["spec"], answer["status"]) == ({"replicas": 1}, {"replicas": 0, "selector": "a=b"})
        for spec, where, why in (
            (
                {"replicas": "x"},
                ".spec.replicas",
                ".spec.replicas accessor error: x is of the type string, expected int64",
            ),
            ({"replicas": 1 << 31}, ".spec.replicas", "should be less than or equal to 2147483647"),
        ):
            code, answer = await client.send("PATCH", f"{THINGS}/a", {"spec": spec}, MERGE)
            assert (code, causes(answer)[0][0]) == (422, where)
            assert causes(answer)[0][1].endswith(why)

    play(case)


# Which revision is read.

FUTURE = "9999999"


def test_what_is_still_to_come_is_waited_for_and_then_refused() -> None:
    """Each for three seconds, all at once."""

    async def refused(client: Client, path: str) -> None:
        mark = "&" if "?" in path else "?"
        code, answer = await client.send("GET", f"{NS}/{path}{mark}resourceVersion={FUTURE}")
        assert (code, answer["reason"]) == (504, "Timeout")
        assert answer["message"].startswith(f"Timeout: Too large resource version: {FUTURE}, current: ")
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        assert answer["details"] == {"retryAfterSeconds": 1, "causes": [cause]}

    async def case(client: Client) -> None:
        await client.send("POST", f"{NS}/configmaps", {"metadata": {"name": "a"}})
        paths = ("configmaps/a", "configmaps", "configmaps?limit=1", "configmaps/a?pretty=1")
        await asyncio.gather(*(refused(client, path) for path in paths))

    play(case)


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("abc", "invalid syntax"),
        ("-1", "invalid syntax"),
        ("%C2%B2", "invalid syntax"),
        ("+5", "invalid syntax"),
        ("18446744073709551616", "value out of range"),
        ("9" * 5000, "value out of range"),
    ],
)
def test_resource_versions_that_are_none(version: str, why: str) -> None:
    """One object and watches: 500, as upstream makes no Status of it; lists: 400."""

    async def case(client: Client) -> None:
        await client.send("POST", f"{NS}/configmaps", {"metadata": {"name": "a"}})
        for path, code, start in (
            ("configmaps/a?", 500, "resourceVersion: Invalid value: "),
            ("configmaps?watch=1&", 500, "resourceVersion: Invalid value: "),
            ("configmaps?", 400, "invalid resource version: resourceVersion: Invalid value: "),
        ):
            got, answer = await client.send("GET", f"{NS}/{path}resourceVersion={version}")
            assert (got, answer["message"][: len(start)]) == (code, start)
            assert answer["message"].endswith(f": {why}")
        body = {"metadata": {"name": "a", "resourceVersion": "abc"}}
        code, answer = await client.send("PUT", f"{NS}/configmaps/a", body)
        assert (code, answer["message"]) == (500, 'strconv.ParseUint: parsing "abc": invalid syntax')

    play(case)


def test_a_get_of_the_past() -> None:
    async def case(client: Client) -> None:
        _, made = await client.send("POST", f"{NS}/configmaps", {"metadata": {"name": "a"}})
        version = made["metadata"]["resourceVersion"]
        for given in ("0", version):
            assert (await client.send("GET", f"{NS}/configmaps/a?resourceVersion={given}"))[0] == 200

    play(case)


def test_pages_of_a_revision_are_as_of_then() -> None:
    async def case(client: Client) -> None:
        for name in ("a", "b"):
            _, made = await client.send("POST", f"{NS}/configmaps", {"metadata": {"name": name}})
        version = made["metadata"]["resourceVersion"]
        await client.send("DELETE", f"{NS}/configmaps/b")
        then = f"{NS}/configmaps?limit=5&resourceVersion={version}"
        assert await client.names(then) == {"a", "b"}
        assert await client.names(f"{then}&resourceVersionMatch=NotOlderThan") == {"a"}
        assert await client.names(f"{NS}/configmaps?resourceVersion={version}") == {"a"}

    play(case)


# Events of events.k8s.io by their fields.


@pytest.mark.parametrize(
    ("selector", "shown"),
    [
        ("regarding.name=p", {"a"}),
        ("regarding.kind=Pod,regarding.name=p,type=Normal", {"a"}),
        ("regarding.fieldPath!=x", {"a", "b"}),
        ("reportingController=example.com/c", {"a", "b"}),
        ("source=example.com/c", {"a", "b"}),
        ("reason=Odd", {"b"}),
        ("metadata.name=b", {"b"}),
    ],
)
def test_events_by_field(selector: str, shown: set[str]) -> None:
    """Lists, watches from the beginning and from a revision; the stored form is core's, under other names."""

    async def case(client: Client) -> None:
        path = "/apis/events.k8s.io/v1/namespaces/default/events"
        _, before = await client.send("GET", path)
        for name, about, reason in (("a", "p", "Even"), ("b", "q", "Odd")):
            body = {
                "metadata": {"name": name},
                "eventTime": "2026-01-01T00:00:00.000000Z",
                "reportingController": "example.com/c",
                "reportingInstance": "i",
                "action": "Doing",
                "reason": reason,
                "type": "Normal",
                "regarding": {"kind": "Pod", "name": about, "namespace": "default"},
            }
            code, answer = await client.send("POST", path, body)
            assert code == 201, answer
        assert await client.names(f"{path}?fieldSelector={selector}") == shown
        query = f"fieldSelector={selector}&watch=1&timeoutSeconds=1&resourceVersion="
        starts = ("0", before["metadata"]["resourceVersion"])
        for text in await asyncio.gather(*(client.text(f"{path}?{query}{start}") for start in starts)):
            assert {json.loads(line)["object"]["metadata"]["name"] for line in text.splitlines()} == shown

    play(case)


def test_names_of_another_version_are_no_fields() -> None:
    async def case(client: Client) -> None:
        for path, selector in (
            ("/apis/events.k8s.io/v1/events", "involvedObject.name"),
            ("/api/v1/events", "regarding.name"),
        ):
            code, answer = await client.send("GET", f"{path}?fieldSelector={selector}=x")
            assert (code, answer["message"]) == (400, f"field label not supported: {selector}")

    play(case)


def test_who_has_seen_what_the_store_never_had_lists_anew() -> None:
    """Upstream is silent until the store has come so far. A store that was restored is behind its clients, who would miss what it then has."""

    async def case(client: Client) -> None:
        _, listed = await client.send("GET", f"{NS}/configmaps")
        newest = int(listed["metadata"]["resourceVersion"])
        watch = f"{NS}/configmaps?watch=1&timeoutSeconds=1&resourceVersion="
        assert await client.text(f"{watch}{newest}") == ""
        [told] = [json.loads(line) for line in (await client.text(f"{watch}{newest + 100}")).splitlines()]
        assert (told["type"], told["object"]["code"], told["object"]["reason"]) == ("ERROR", 410, "Expired")

    play(case)


# Answers as tables.


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {"nonResourceAttributes": {"path": "/"}}}),
        ("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}),
        ("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "t"}}),
        (f"{NS}/pods/p/eviction", {"metadata": {"name": "p"}}),
        (f"{NS}/bindings", {"metadata": {"name": "p"}, **NODE}),
    ],
)
def test_what_is_no_object_has_no_table(path: str, body: Any) -> None:
    """Only a table: 406. A table, if it can be had: as it is."""

    async def case(client: Client) -> None:
        await client.send("POST", f"{NS}/pods", POD)
        table = "application/json;as=Table;v=v1;g=meta.k8s.io"
        code, answer = await client.raw("POST", path, body, accept=table)
        assert (code, answer["reason"]) == (406, "NotAcceptable")
        code, answer = await client.raw("POST", path, body, accept=f"{table}, application/json")
        assert (code, answer["kind"] == "Table") == (201, False)

    play(case)


@pytest.mark.parametrize(
    ("operation", "code", "data"),
    [
        ({"op": "replace", "path": "/data/new", "value": "x"}, 200, {"a": "b", "new": "x"}),
        ({"op": "replace", "path": "/data/new/deeper", "value": "x"}, 422, None),
        ({"op": "test", "path": "/metadata/labels", "value": None}, 200, {"a": "b"}),
        ({"op": "test", "path": "/metadata/labels/x", "value": None}, 422, None),
        ({"op": "add", "path": "x/data", "value": {"c": "d"}}, 200, {"c": "d"}),
        ({"op": "add", "path": "", "value": {"kind": "ConfigMap"}}, 422, None),
        ({"op": "remove", "path": "/metadata/finalizers/-1"}, 200, {"a": "b"}),
        ({"op": "remove", "path": "/metadata/finalizers/-3"}, 422, None),
    ],
)
def test_json_patches_as_upstreams_library_applies_them(operation: Any, code: int, data: Any) -> None:
    """Kind: RFC 6902 and what is made of it are not the same: a missing member is replaced, -1 is the last item, null is found where
    nothing is, the document itself can be neither added nor removed."""

    async def story(client: Client) -> None:
        await client.send(
            "POST", f"{NS}/configmaps", {"metadata": {"name": "a", "finalizers": ["a/b", "c/d"]}, "data": {"a": "b"}}
        )
        status, answer = await client.send("PATCH", f"{NS}/configmaps/a", [operation], "application/json-patch+json")
        assert (status, answer.get("data")) == (code, data)

    play(story)


@pytest.mark.parametrize(
    ("body", "validation", "code"),
    [
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: x, a: y}", "Strict", 400),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: x, a: y}", "Warn", 201),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: x, a: y}", "Ignore", 201),
        (
            '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":"x"},"data":{"a":"y"}}',
            "Strict",
            400,
        ),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: x, A: y}", "Strict", 201),
    ],
)
def test_what_is_applied_sets_no_key_twice(body: str, validation: str, code: int) -> None:
    """Kind: what is strict for a body that is posted is so for one that is applied."""

    async def main() -> None:
        async with server() as client:
            path = f"{NS}/configmaps/a?fieldManager=m&fieldValidation={validation}"
            answer = await client.request(
                "PATCH", path, [("Content-Type", "application/apply-patch+yaml")], body.encode()
            )
            assert answer.status == code
            if code == 400:
                message = json.loads(answer.body)["message"]
                assert message.startswith(
                    "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line "
                )
                assert message.endswith(" already set in map")

    asyncio.run(main())
