"""MutatingAdmissionPolicy end to end: what is changed, by whom, in which order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .customresources import definition, version
from .policies import DEPLOYMENTS, MAPS, PODS, REGISTRATION, binding, bound, config_map, deployment, mutating, put, rule
from .test_admission_policies import MERGE, run, validating
from .test_customresources import defined
from .webhooks import Bench, Object, patch

POD_RULES = [rule("pods", operations=("CREATE",))]
SIDECAR = """
Object{
  spec: Object.spec{
    initContainers: [
      Object.spec.initContainers{name: "mesh-proxy", image: "mesh/proxy:v1.0.0", restartPolicy: "Always"}
    ]
  }
}
"""


def pod(name: str, **metadata: Any) -> Object:
    return {"metadata": {"name": name, **metadata}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def test_the_documentation_s_sidecar(tmp_path: Path) -> None:
    """Merged as server-side apply merges; what the kind's defaults add is there."""

    async def story(b: Bench) -> None:
        absent = "!object.spec.?initContainers.orValue([]).exists(c, c.name == 'mesh-proxy')"
        conditions = [{"name": "does-not-already-have-sidecar", "expression": absent}]
        await bound(b, mutating("sidecar", SIDECAR, rules=POD_RULES, matchConditions=conditions))
        asked: Object = pod("a")
        asked["spec"]["initContainers"] = [{"name": "first", "image": "x"}]
        made = await b.ask("POST", PODS, asked)
        assert made.code == 201, made.body
        names = {each["name"]: each for each in made.body["spec"]["initContainers"]}
        assert set(names) == {"first", "mesh-proxy"}
        assert names["mesh-proxy"]["imagePullPolicy"] == "IfNotPresent"
        text = (await b.client.request("GET", "/metrics")).body.decode()
        counted = 'policy="sidecar",policy_binding="sidecar-binding",error_type="no_error"'
        assert f"apiserver_mutating_admission_policy_check_total{{{counted}}} 1" in text

    run(tmp_path, story)


def test_json_patches(tmp_path: Path) -> None:
    """Steps one after the other; a test that fails leaves the object as it is."""

    async def story(b: Bench) -> None:
        await bound(
            b,
            mutating(
                "labels",
                """(has(object.metadata.labels) ? [] : [JSONPatch{op: "add", path: "/metadata/labels", value: {}}]) + [
                  JSONPatch{op: "test", path: "/metadata/name", value: "a"},
                  JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/by"), value: "p"},
                  JSONPatch{op: "copy", from: "/data/a", path: "/data/b"},
                  JSONPatch{op: "add", path: "/metadata/annotations", value: {"n": string(1 + 1)}}
                ]""",
                rules=[rule("configmaps", operations=("CREATE",))],
            ),
        )
        made = (await b.ask("POST", MAPS, config_map("a"))).body
        assert made["metadata"]["labels"] == {"example.com/by": "p"}
        assert (made["data"], made["metadata"]["annotations"]) == ({"a": "1", "b": "1"}, {"n": "2"})
        other = (await b.ask("POST", MAPS, config_map("other"))).body
        assert other["data"] == {"a": "1"} and "annotations" not in other["metadata"]

    run(tmp_path, story)


@pytest.mark.parametrize("failure", ["Fail", "Ignore"])
@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("Object{data: {'x': object.none}}", "resulted in error: no such key: none"),
        (
            "Object{metadata: Object.spec{labels: {'a': 'b'}}}",
            'type mismatch: unexpected type name "Object.spec", expected "Object.metadata", which matches field name path '
            "from root Object type",
        ),
        (
            "Object{spec: Object.spec{frob: 1}}",
            "error applying patch: failed to convert patch object to typed object: .spec: field not declared in schema",
        ),
        (
            "[JSONPatch{op: 'remove', path: '/data/none'}]",
            "JSON Patch: error in remove for path: '/data/none': Unable to remove nonexistent key: none: missing value",
        ),
        (
            "Object{metadata: Object.metadata{ownerReferences: [Object.metadata.ownerReferences{name: 'a'}]}}",
            "associative list with keys has an element that omits all key fields",
        ),
    ],
)
def test_what_goes_wrong(tmp_path: Path, expression: str, said: str, failure: str) -> None:
    async def story(b: Bench) -> None:
        await bound(b, mutating("p", expression, failurePolicy=failure))
        answer = await b.ask("POST", MAPS, config_map("a"))
        if failure == "Ignore":
            assert answer.code == 201
            return
        assert (answer.code, answer.body["reason"]) == (403, "Invalid"), answer.body
        assert (
            answer.message.startswith("policy 'p' with binding 'p-binding' denied request: ") and said in answer.message
        )
        assert answer.body["details"]["causes"] == [{"message": answer.message}]
        assert answer.body["details"]["name"] == "a"

    run(tmp_path, story)


def test_atomic_lists_and_types(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        rules = [rule("deployments", operations=("CREATE",))]
        atomic = "Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {'a': 'b'}}}}"
        await bound(b, mutating("atomic", atomic, rules=rules))
        refused = await b.ask("POST", DEPLOYMENTS, deployment("d"))
        assert refused.message.endswith(
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.selector"
        )
        await b.ask("DELETE", f"{REGISTRATION}/mutatingadmissionpolicybindings/atomic-binding")
        await bound(b, mutating("typed", "Object{spec: Object.spec{replicas: 'many'}}", rules=rules))
        refused = await b.ask("POST", DEPLOYMENTS, deployment("d"))
        assert (refused.code, refused.body["reason"]) == (403, "Invalid")
        await b.ask("DELETE", f"{REGISTRATION}/mutatingadmissionpolicybindings/typed-binding")
        unknown = "[JSONPatch{op: 'add', path: '/spec/frob', value: 1}]"
        await bound(b, mutating("unknown", unknown, rules=rules, failurePolicy="Ignore"))
        refused = await b.ask("POST", DEPLOYMENTS, deployment("d"))
        assert refused.code == 500, refused.body
        assert refused.message == 'Internal error occurred: strict decoding error: unknown field "spec.frob"'

    run(tmp_path, story)


def test_order_and_reinvocation(tmp_path: Path) -> None:
    """Policies before webhooks, by name; one with IfNeeded sees what came after it. Validating policies see all of it."""

    async def story(b: Bench) -> None:
        counted = "Object{data: {'seen': string(size(object.data))}}"
        await bound(b, mutating("a-first", counted, reinvocationPolicy="IfNeeded"))
        await bound(b, mutating("b-never", "Object{data: {'never': string(size(object.data))}}"))
        await b.configure("Mutating", "hook", b.hooks.hook("/hook"))
        b.hooks.decide["/hook"] = lambda request: patch(
            {"op": "add", "path": "/data/hook", "value": str(len(request["object"]["data"]))}
        )
        await bound(b, validating("all", "object.data.size() == 4"))
        made = await b.ask("POST", MAPS, config_map("a"))
        assert made.code == 201, made.body
        assert made.body["data"] == {"a": "1", "seen": "4", "never": "2", "hook": "3"}

    run(tmp_path, story)


def test_parameters_and_variables(tmp_path: Path) -> None:
    """Each object of parameters is a mutation of its own."""

    async def story(b: Bench) -> None:
        served = version(properties={"key": {"type": "string"}})
        await defined(b, definition(served))
        policy = mutating(
            "p",
            "Object{data: {params.spec.key: variables.value}}",
            paramKind={"apiVersion": "example.com/v1", "kind": "Thing"},
            variables=[{"name": "value", "expression": "params.metadata.name + '-' + namespaceObject.metadata.name"}],
        )
        await put(b, policy, binding(policy, paramRef={"selector": {}, "parameterNotFoundAction": "Deny"}))
        refused = await b.ask("POST", MAPS, config_map("a"))
        assert refused.message == (
            "policy 'p' with binding 'p-binding' denied request: failed to configure binding: no params found for policy "
            "binding with `Deny` parameterNotFoundAction"
        )
        assert (refused.code, refused.body["reason"]) == (403, "Forbidden")
        for name, key in (("t1", "x"), ("t2", "y")):
            thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": name}, "spec": {"key": key}}
            await b.ask("POST", "/apis/example.com/v1/namespaces/default/things", thing)
        made = await b.ask("POST", MAPS, config_map("a"))
        assert made.body["data"] == {"a": "1", "x": "t1-default", "y": "t2-default"}, made.body

    run(tmp_path, story)


def test_other_versions_scales_and_custom_resources(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        old = rule("horizontalpodautoscalers", group="autoscaling", version="v1", operations=("CREATE",))
        await bound(b, mutating("old", "Object{spec: Object.spec{targetCPUUtilizationPercentage: 42}}", rules=[old]))
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
        scaler = {"metadata": {"name": "h"}, "spec": {"maxReplicas": 3, "scaleTargetRef": target}}
        made = await b.ask("POST", "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", scaler)
        assert made.code == 201, made.body
        assert made.body["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 42

        scale = [rule("deployments/scale", operations=("UPDATE",))]
        await bound(b, mutating("scale", "Object{spec: Object.spec{replicas: object.spec.replicas + 1}}", rules=scale))
        await b.ask("POST", DEPLOYMENTS, deployment("d"))
        answer = await b.ask("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 3}}, MERGE)
        assert answer.body["spec"]["replicas"] == 4, answer.body

        await defined(b, definition())
        things = [rule("things", group="example.com")]
        things[0]["operations"] = ["CREATE"]
        await bound(b, mutating("thing", "Object{spec: Object.spec{x: object.metadata.name}}", rules=things))
        thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {}}
        made = await b.ask("POST", "/apis/example.com/v1/namespaces/default/things", thing)
        assert made.body["spec"] == {"x": "a"}, made.body

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("mutations", "spec", "field", "words"),
    [
        (["[JSONPatch{op: 1}]"], {}, "mutations[0].jsonPatch.expression", "expected type of field 'op' is 'string'"),
        (["[]"], {}, "mutations[0].jsonPatch.expression", "must evaluate to list(JSONPatch) but got list(dyn)"),
        (["{'a': 'b'}"], {}, "mutations[0].applyConfiguration.expression", "must evaluate to Object but got map("),
        (["Object{}.frob()"], {}, "mutations[0].applyConfiguration.expression", "undeclared reference to 'frob'"),
        (["Object{}"], {"reinvocationPolicy": ""}, "reinvocationPolicy", "Required value"),
        ([], {}, "mutations", "mutations must contain at least one item"),
    ],
)
def test_policies_that_are_none(tmp_path: Path, mutations: list[str], spec: Object, field: str, words: str) -> None:
    async def story(b: Bench) -> None:
        policy = mutating("p", *mutations)
        policy["spec"] |= spec
        refused = await b.ask("POST", f"{REGISTRATION}/mutatingadmissionpolicies", policy)
        assert refused.code == 422 and refused.body["details"]["causes"][0]["field"] == f"spec.{field}", refused.body
        assert words in refused.message

    run(tmp_path, story)


def test_deletions_are_no_business_of_theirs(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        policy = mutating("p", "Object{}", rules=[rule("configmaps", operations=("DELETE",))])
        refused = await b.ask("POST", f"{REGISTRATION}/mutatingadmissionpolicies", policy)
        assert (
            refused.code == 422 and 'Unsupported value: "DELETE": supported values: "*", "CONNECT"' in refused.message
        )
        await bound(
            b, mutating("all", "Object{data: {'x': object.none}}", rules=[rule("configmaps")], failurePolicy="Fail")
        )
        assert (await b.ask("DELETE", f"{MAPS}/none")).code == 404

    run(tmp_path, story)
