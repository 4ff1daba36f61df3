"""Neighbours of what trials from outside broke: each test names its kind and takes several of it, over HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from .golden import server
from .test_services import Client, play

NS = "/api/v1/namespaces/default"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
STRATEGIC = "application/strategic-merge-patch+json"
CONTAINERS = [{"name": "c", "image": "i"}]


def fields(answer: Any) -> list[str]:
    """Of the causes."""
    return [cause["field"] for cause in answer["details"]["causes"]]


def pod(**spec: Any) -> Any:
    return {"metadata": {"name": "p"}, "spec": {"containers": CONTAINERS, **spec}}


def deployment(**spec: Any) -> Any:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": CONTAINERS}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template, **spec},
    }


@pytest.mark.parametrize(
    ("path", "body"), [("configmaps", {}), ("services", {"spec": {"ports": [{"port": 80}]}}), ("pods", pod())]
)
def test_nothing_is_deleted_in_all_namespaces_at_once(path: str, body: Any) -> None:
    """Kind: verbs on a path that has only some of them."""

    async def story(client: Client) -> None:
        assert (await client.send("POST", f"{NS}/{path}", {**body, "metadata": {"name": "p"}}))[0] == 201
        for query in ("", "?labelSelector=a!=b", "?dryRun=All"):
            assert (await client.send("DELETE", f"/api/v1/{path}{query}"))[0] == 405
        assert (await client.send("PATCH", f"/api/v1/{path}", {}, MERGE))[0] == 405
        assert (await client.send("GET", f"{NS}/{path}/p"))[0] == 200
        assert (await client.send("DELETE", f"{NS}/{path}"))[0] == 200

    play(story)


@pytest.mark.parametrize("path", ["/apis/nobody", "/apis/nobody/v1", "/api/v2", "/apis/apps/v9"])
def test_a_path_that_is_none_is_not_found_by_any_method(path: str) -> None:
    async def story(client: Client) -> None:
        for method in ("POST", "PUT", "DELETE"):
            assert (await client.raw(method, path, None))[0] == 404

    play(story)


def test_reviews_have_no_names() -> None:
    async def story(client: Client) -> None:
        reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        assert (await client.send("GET", f"{reviews}/x"))[0] == 404
        assert (await client.send("GET", reviews))[0] == 405

    play(story)


def test_one_priority_class_is_the_default() -> None:
    async def story(client: Client) -> None:
        first: Any = {"metadata": {"name": "first"}, "value": 5, "globalDefault": True}
        assert (await client.send("POST", CLASSES, first))[0] == 201
        assert (await client.send("PATCH", f"{CLASSES}/first", {"description": "x"}, MERGE))[0] == 200
        taken = "PriorityClass first is already marked as default. Only one default can exist"
        code, answer = await client.send("POST", CLASSES, {**first, "metadata": {"name": "second"}})
        expected = f'priorityclasses.scheduling.k8s.io "second" is forbidden: {taken}'
        assert (code, answer["message"]) == (403, expected)
        assert (await client.send("POST", CLASSES, {"metadata": {"name": "third"}, "value": 6}))[0] == 201
        assert (await client.send("PATCH", f"{CLASSES}/third", {"globalDefault": True}, MERGE))[0] == 403
        await client.send("PATCH", f"{CLASSES}/first", {"globalDefault": False}, MERGE)
        assert (await client.send("PATCH", f"{CLASSES}/third", {"globalDefault": True}, MERGE))[0] == 200

    play(story)


@pytest.mark.parametrize("given", [{}, {"securityContext": {}}, {"securityContext": {"fsGroup": 1}}])
def test_a_pod_in_the_hosts_processes_shares_none_of_its_own(given: Any) -> None:
    """Kind: what upstream keeps in one structure is checked whether or not the manifest has it."""

    async def story(client: Client) -> None:
        code, answer = await client.send("POST", f"{NS}/pods", pod(hostPID=True, shareProcessNamespace=True, **given))
        assert (code, fields(answer)) == (422, ["spec.securityContext.shareProcessNamespace"])
        assert (await client.send("POST", f"{NS}/pods", pod(shareProcessNamespace=True, **given)))[0] == 201

    play(story)


@pytest.mark.parametrize("rolling", [{"maxUnavailable": ""}, {"maxSurge": ""}, {"maxUnavailable": "1", "maxSurge": ""}])
def test_an_empty_text_is_no_number_of_pods(rolling: Any) -> None:
    async def story(client: Client) -> None:
        code, answer = await client.send("POST", DEPLOYMENTS, deployment(strategy={"rollingUpdate": rolling}))
        names = [name for name in ("maxUnavailable", "maxSurge") if name in rolling]
        assert (code, fields(answer)) == (422, [f"spec.strategy.rollingUpdate.{name}" for name in names])

    play(story)


def test_a_jobs_selector_stays_as_it_was_made() -> None:
    """Kind: an update is checked as a creation is, too."""

    async def story(client: Client) -> None:
        jobs = "/apis/batch/v1/namespaces/default/jobs"
        template = {"spec": {"restartPolicy": "Never", "containers": CONTAINERS}}
        assert (await client.send("POST", jobs, {"metadata": {"name": "j"}, "spec": {"template": template}}))[0] == 201
        patch = {"spec": {"selector": {"matchLabels": {"x": "y"}}}}
        code, answer = await client.send("PATCH", f"{jobs}/j", patch, MERGE)
        labels = "spec.template.metadata.labels"
        assert (code, sorted(fields(answer))) == (422, ["spec.selector", "spec.selector", labels, labels])
        assert "`selector` not auto-generated" in answer["message"]

    play(story)


def test_annotations_of_a_deployment_are_a_generation() -> None:
    """They are copied to ReplicaSets; of other kinds, and labels, they are none."""

    async def story(client: Client) -> None:
        await client.send("POST", DEPLOYMENTS, deployment())
        await client.send(
            "POST", DEPLOYMENTS.replace("deployments", "replicasets"), deployment() | {"kind": "ReplicaSet"}
        )
        for kind, expected in (("deployments", 2), ("replicasets", 1)):
            path = f"{DEPLOYMENTS.replace('deployments', kind)}/d"
            for metadata in ({"annotations": {"x": "y"}}, {"annotations": {"x": "y"}}, {"labels": {"x": "y"}}):
                _, answer = await client.send("PATCH", path, {"metadata": metadata}, MERGE)
                assert answer["metadata"]["generation"] == expected

    play(story)


@pytest.mark.parametrize("metadata", [{"deletionTimestamp": "2020-01-01T00:00:00Z"}, {"deletionGracePeriodSeconds": 5}])
def test_nobody_writes_that_something_is_being_deleted(metadata: Any) -> None:
    """Kind: identity and system fields of metadata in a patch or PUT (B7)."""

    async def story(client: Client) -> None:
        await client.send("POST", f"{NS}/configmaps", {"metadata": {"name": "a"}})
        (name,) = metadata
        for method, media in (("PATCH", MERGE), ("PATCH", STRATEGIC), ("PUT", "application/json")):
            body = {"metadata": {"name": "a", **metadata}}
            code, answer = await client.send(method, f"{NS}/configmaps/a", body, media)
            assert (code, set(fields(answer))) == (422, {f"metadata.{name}"})
        held = {"metadata": {"name": "b", "finalizers": ["a/b"]}}
        await client.send("POST", f"{NS}/configmaps", held)
        await client.send("DELETE", f"{NS}/configmaps/b")
        time = {"metadata": {"name": "b", "deletionTimestamp": "2020-01-01T00:00:00Z", "finalizers": ["a/b"]}}
        assert (await client.send("PUT", f"{NS}/configmaps/b", time))[0] == 200  # of what is, it is not read

    play(story)


TYPED = "failed to create typed patch object (/d; apps/v1, Kind=Deployment): "


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"replicas": "2"}, ".spec.replicas: expected numeric (int or float), got string"),
        ({"paused": "yes"}, ".spec.paused: expected boolean, got &{yes}"),
        (
            {"selector": {"matchLabels": {"a": True}}},
            ".spec.selector.matchLabels.a: expected string, got &value.valueUnstructured{Value:true}",
        ),
        ({"template": []}, ".spec.template: expected map, got &{[]}"),
        ({"template": {"spec": {"containers": {}}}}, ".spec.template.spec.containers: expected list, got &{map[]}"),
        (
            {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": 5}]}]}}},
            '.spec.template.spec.containers[name="c"].env[name="A"].value: expected string, '
            "got &value.valueUnstructured{Value:5}",
        ),
        (
            {"template": {"spec": {"containers": [{"name": "c", "args": ["x", 1.5]}]}}},
            '.spec.template.spec.containers[name="c"].args[1]: expected string, got &value.valueUnstructured{Value:1.5}',
        ),
    ],
)
def test_what_is_applied_has_the_types_of_its_kind(change: Any, text: str) -> None:
    """Kind: values of another type in server-side apply (numbers in environments), in the words that people look for."""

    async def story(client: Client) -> None:
        document = deployment(**change)
        for _ in range(2):  # made anew, and over one that is there
            code, answer = await client.send("PATCH", f"{DEPLOYMENTS}/d?fieldManager=m", document, APPLY)
            assert (code, answer["message"]) == (500, TYPED + text)
            await client.send("POST", DEPLOYMENTS, deployment())

    play(story)


def test_what_may_be_a_number_or_a_text_is_applied_as_either() -> None:
    async def story(client: Client) -> None:
        resources = {"limits": {"cpu": 2, "memory": "1Gi"}}
        probe = {"httpGet": {"port": 80}}
        container = {"name": "c", "image": "i", "resources": resources, "livenessProbe": probe}
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
        document = deployment(template=template, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "10%"}})
        code, answer = await client.send("PATCH", f"{DEPLOYMENTS}/d?fieldManager=m", document, APPLY)
        assert (code, answer.get("message")) == (201, None)

    play(story)


def test_what_is_applied_anew_needs_a_name() -> None:
    """Kind: names in bodies (B5); over an object that is there none is needed."""

    async def story(client: Client) -> None:
        config = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}
        path = f"{NS}/configmaps/a?fieldManager=m"
        code, answer = await client.send("PATCH", path, config, APPLY)
        text = "the name of the object (a based on URL) was undeterminable: name must be provided"
        assert (code, answer["message"]) == (400, text)
        assert (await client.send("PATCH", path, {**config, "metadata": {"name": "a"}}, APPLY))[0] == 201
        assert (await client.send("PATCH", path, config, APPLY))[0] == 200

    play(story)


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"containers": ["x"]}, "list element types are not identical: "),
        ({"containers": [{"name": "c", "$patch": "merge"}]}, "merging lists cannot yet be specified in the patch"),
        ({"$setElementOrder/none": []}, 'unable to find api field in struct PodSpec for the json field "none"'),
    ],
)
def test_strategic_patches_that_do_not_fit(patch: Any, message: str) -> None:
    async def story(client: Client) -> None:
        await client.send("POST", f"{NS}/pods", pod())
        code, answer = await client.send("PATCH", f"{NS}/pods/p", {"spec": patch}, STRATEGIC)
        assert (code, answer["message"][: len(message)]) == (500, message)

    play(story)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"dryRun": ["x"]}, "dryRun"),
        ({"dryRun": [""]}, "dryRun"),
        ({"propagationPolicy": "Never"}, "propagationPolicy"),
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, "propagationPolicy"),
    ],
)
def test_the_options_of_an_eviction_are_those_of_a_deletion(options: Any, field: str) -> None:
    async def story(client: Client) -> None:
        await client.send("POST", f"{NS}/pods", pod())
        body = {"metadata": {"name": "p"}, "deleteOptions": options}
        code, answer = await client.send("POST", f"{NS}/pods/p/eviction", body)
        assert (code, fields(answer)) == (422, [field])
        _, still = await client.send("GET", f"{NS}/pods/p")
        assert "conditions" not in still["status"]

    play(story)


@pytest.mark.parametrize("terms", [[{}], [{"matchLabelExpressions": []}], [{}, {}]])
def test_a_storage_class_allows_no_empty_topology(terms: Any) -> None:
    async def story(client: Client) -> None:
        body = {"metadata": {"name": "s"}, "provisioner": "p", "allowedTopologies": terms}
        code, answer = await client.send("POST", "/apis/storage.k8s.io/v1/storageclasses", body)
        assert (code, set(fields(answer))) == (
            422,
            {f"allowedTopologies[{i}].matchLabelExpressions" for i in range(len(terms))},
        )

    play(story)


def test_null_that_is_applied_is_a_value() -> None:
    """Kind: conflicts of server-side apply (B15): what others set is not taken away without force."""

    async def story(client: Client) -> None:
        await client.send("POST", f"{DEPLOYMENTS}?fieldManager=other", deployment(replicas=2))
        document = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "d"},
            "spec": {"replicas": None},
        }
        code, answer = await client.send("PATCH", f"{DEPLOYMENTS}/d?fieldManager=m", document, APPLY)
        assert (code, fields(answer)) == (409, [".spec.replicas"])
        code, answer = await client.send("PATCH", f"{DEPLOYMENTS}/d?fieldManager=m&force=true", document, APPLY)
        assert (code, answer["spec"]["replicas"]) == (200, 1)

    play(story)


def test_ephemeral_containers_change_on_their_own_path_alone() -> None:
    """Kind: what a write may not touch is refused, not dropped; neither added, changed nor taken away."""

    async def story(client: Client) -> None:
        added = {"spec": {"ephemeralContainers": [{"name": "d", "image": "i"}]}}
        await client.send("POST", f"{NS}/pods", pod())
        for media in (MERGE, STRATEGIC):
            code, answer = await client.send("PATCH", f"{NS}/pods/p", added, media)
            assert (code, fields(answer)) == (422, ["spec"])
        assert (await client.send("PATCH", f"{NS}/pods/p/ephemeralcontainers", added, STRATEGIC))[0] == 200
        assert (await client.send("PATCH", f"{NS}/pods/p", {"metadata": {"labels": {"a": "b"}}}, MERGE))[0] == 200
        _, debugged = await client.send("GET", f"{NS}/pods/p")
        assert debugged["spec"].pop("ephemeralContainers")
        code, answer = await client.send("PUT", f"{NS}/pods/p", debugged)
        assert (code, fields(answer)) == (422, ["spec"])

    play(story)


@pytest.mark.parametrize(
    ("metrics", "percent"),
    [
        ("bad", 80),
        ("[]", 80),
        ("null", 80),
        ('{"type":"Pods"}', 80),
        ('[{"type":"Pods","pods":{"metricName":"x","targetAverageValue":"1"}}]', None),
    ],
)
def test_an_annotation_of_metrics_that_tells_of_none_is_none(metrics: str, percent: int | None) -> None:
    """Kind: what an older version says in annotations (autoscaling/v1)."""

    async def story(client: Client) -> None:
        annotations = {"autoscaling.alpha.kubernetes.io/metrics": metrics}
        spec = {"maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}
        path = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
        await client.send("POST", path, {"metadata": {"name": "h", "annotations": annotations}, "spec": spec})
        _, answer = await client.send("GET", f"{path}/h")
        assert answer["spec"].get("targetCPUUtilizationPercentage") == percent
        assert bool(answer["metadata"].get("annotations")) is (percent is None)

    play(story)


def test_rows_without_objects_say_so() -> None:
    async def story(client: Client) -> None:
        await client.send("POST", f"{NS}/configmaps", {"metadata": {"name": "a"}})
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        for path in ("configmaps", "configmaps/a"):
            _, answer = await client.raw("GET", f"{NS}/{path}?includeObject=None", None, accept)
            assert answer["rows"][0]["object"] is None

    play(story)


@pytest.mark.parametrize("media", [MERGE, STRATEGIC, "application/json-patch+json"])
def test_a_patch_of_nobody_is_not_read(media: str) -> None:
    async def main() -> None:
        async with server() as client:
            kind = [("Content-Type", media)]
            assert (await client.request("PATCH", f"{NS}/configmaps/a", kind, b"{")).status == 404
            await client.request("POST", f"{NS}/configmaps", body=b'{"metadata":{"name":"a"}}')
            assert (await client.request("PATCH", f"{NS}/configmaps/a", kind, b"{")).status == 400

    asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "data"),
    [
        ("data: {yes: x}", {"true": "x"}),
        ("data: {on: x, off: y}", {"true": "x", "false": "y"}),
        ("data: {1: x, 1.5: y}", {"1": "x", "1.5": "y"}),
    ],
)
def test_keys_of_yaml_that_are_no_text(body: str, data: dict[str, str]) -> None:
    """Kind: YAML as upstream's reader takes it; what is no text as a key becomes one."""

    async def main() -> None:
        async with server() as client:
            text = f"metadata: {{name: a}}\n{body}".encode()
            answer = await client.request("POST", f"{NS}/configmaps", [("Content-Type", "application/yaml")], text)
            assert (answer.status, json.loads(answer.body).get("data")) == (201, data)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("version", "rules", "code"),
    [
        ("v2", {"scaleUp": {"policies": []}}, 422),
        ("v2", {"scaleDown": {"policies": [], "stabilizationWindowSeconds": 5}}, 422),
        ("v2", {"scaleUp": {"policies": None}}, 201),
        ("v2", {"scaleUp": {}}, 201),
        ("v2", {"scaleUp": {"selectPolicy": "Disabled", "policies": []}}, 422),
        ("v1", {"ScaleUp": {"Policies": []}}, 422),
    ],
)
def test_no_policies_are_not_the_default_ones(version: str, rules: Any, code: int) -> None:
    """Kind: what is not there has a default, and what is empty has not, in the type's own version, in an annotation, and when patched."""

    async def story(client: Client) -> None:
        path = f"/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers"
        spec: Any = {"maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}
        metadata: Any = {"name": "h"}
        if version == "v1":
            metadata["annotations"] = {"autoscaling.alpha.kubernetes.io/behavior": json.dumps(rules)}
        else:
            spec["behavior"] = rules
        given, answer = await client.send("POST", path, {"metadata": metadata, "spec": spec})
        assert given == code
        if code == 422:
            (name,) = rules
            assert fields(answer) == [f"spec.behavior.{name[0].lower()}{name[1:]}.policies"]
            whole = {"metadata": {"name": "h"}, "spec": {key: spec[key] for key in spec if key != "behavior"}}
            assert (await client.send("POST", path, whole))[0] == 201
            if version == "v2":
                for media in (MERGE, STRATEGIC):
                    change = {"spec": {"behavior": rules}}
                    assert (await client.send("PATCH", f"{path}/h", change, media))[0] == 422

    play(story)


@pytest.mark.parametrize("count", [10_000, 10_001])
def test_how_many_operations_a_patch_may_have(count: int) -> None:
    async def story(client: Client) -> None:
        await client.send("POST", f"{NS}/configmaps", {"metadata": {"name": "a"}, "data": {"k": "v"}})
        operations = [{"op": "test", "path": "/data/k", "value": "v"}] * count
        code, answer = await client.send("PATCH", f"{NS}/configmaps/a", operations, "application/json-patch+json")
        if count == 10_000:
            assert code == 200
            return
        why = "The allowed maximum operations in a JSON patch is 10000, got 10001"
        assert (code, answer["message"]) == (413, f"Request entity too large: {why}")

    play(story)


STRANGE: list[tuple[Any, int, str]] = [
    ({"$patch": 1}, 500, "unknown patch type: %!s(int64=1) in map: map[$patch:1]"),
    ({"$patch": None}, 500, "unknown patch type: %!s(<nil>) in map: map[$patch:<nil>]"),
    ({"metadata": {"$deleteFromPrimitiveList": ["x"]}}, 400, "invalid patch format of primitive list"),
    ({"metadata": {"$setElementOrder": []}}, 400, "invalid patch format of setElementOrder list"),
    ({"metadata": {"$deleteFromPrimitiveList/finalizers": [1]}}, 500, "list element types are not identical: "),
    ({"metadata": {"$setElementOrder/finalizers": None}}, 500, "expected a []interface {}, but received a %!s(<nil>)"),
    ({"spec": {"containers": [None]}}, 500, "list element types are not identical: "),
    (
        {"spec": {"containers": [{"$patch": "delete"}]}},
        500,
        "map: map[$patch:delete] does not contain declared merge key: name",
    ),
    ({"spec": {"$setElementOrder/containers": ["c"]}}, 500, "value for key 0 is not a map"),
    ({"spec": {"containers": [{"name": None, "image": "j"}]}}, 422, 'Pod "p" is invalid: '),
    ({"metadata": {"$deleteFromPrimitiveList/finalizers": "a/b"}}, 200, ""),
    ({"metadata": {"$deleteFromPrimitiveList/labels": ["x"]}}, 200, ""),
]


@pytest.mark.parametrize(("patch", "code", "message"), STRANGE)
def test_directives_of_strategic_patches_in_wrong_places(patch: Any, code: int, message: str) -> None:
    """Kind: a patch that is none is the client's fault, in upstream's words, and never a failure of ours."""

    async def story(client: Client) -> None:
        whole = pod()
        whole["metadata"] |= {"finalizers": ["a/b"], "labels": {"l": "1"}}
        await client.send("POST", f"{NS}/pods", whole)
        given, answer = await client.send("PATCH", f"{NS}/pods/p", patch, STRATEGIC)
        assert (given, answer.get("message", "")[: len(message)]) == (code, message)
        if code == 200:
            assert answer["metadata"]["finalizers"] == ["a/b"]

    play(story)


def test_what_deletes_a_list_of_texts_altogether() -> None:
    async def story(client: Client) -> None:
        whole = pod()
        whole["metadata"]["finalizers"] = ["a/b"]
        await client.send("POST", f"{NS}/pods", whole)
        patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": None}}
        code, answer = await client.send("PATCH", f"{NS}/pods/p", patch, STRATEGIC)
        assert (code, answer["metadata"].get("finalizers")) == (200, None)

    play(story)


def test_a_merge_key_that_comes_as_a_float_is_another() -> None:
    """Kind: integers that come as floats (B14): 80.0 is not found among the ports, and is a second 80 then."""

    async def story(client: Client) -> None:
        await client.send("POST", f"{NS}/services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
        for port, code in ((80, 200), (80.0, 422)):
            patch = {"spec": {"ports": [{"port": port, "name": "z"}]}}
            assert (await client.send("PATCH", f"{NS}/services/s", patch, STRATEGIC))[0] == code

    play(story)
