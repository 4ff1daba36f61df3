"""ValidatingAdmissionPolicy end to end: who is asked, what is said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from .customresources import DEFINITIONS, definition, version
from .policies import (
    DEPLOYMENTS,
    MAPS,
    PODS,
    REGISTRATION,
    binding,
    bound,
    config_map,
    deployment,
    put,
    rule,
    validating,
)
from .test_customresources import defined, until
from .webhooks import Bench, Object, bench

MERGE = "application/merge-patch+json"
APPS = (rule("deployments", group="apps", version="v1", operations=("CREATE", "UPDATE")),)


def run(folder: Path, story: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        async with bench(folder) as made:
            await story(made)

    asyncio.run(main())


def test_the_documentation_s_first_policy(tmp_path: Path) -> None:
    """A limit of replicas, for namespaces of one environment."""

    async def story(b: Bench) -> None:
        policy = validating("demo-policy.example.com", "object.spec.replicas <= 5", rules=APPS)
        selector = {"namespaceSelector": {"matchLabels": {"environment": "test"}}}
        await put(b, policy, binding(policy, "demo-binding-test.example.com", matchResources=selector))
        assert (await b.ask("POST", DEPLOYMENTS, deployment("elsewhere", 6))).code == 201
        await b.ask("PATCH", "/api/v1/namespaces/default", {"metadata": {"labels": {"environment": "test"}}}, MERGE)
        assert (await b.ask("POST", DEPLOYMENTS, deployment("nginx", 5))).code == 201
        refused = await b.ask("POST", DEPLOYMENTS, deployment("large", 6))
        said = (
            "ValidatingAdmissionPolicy 'demo-policy.example.com' with binding 'demo-binding-test.example.com' denied "
            "request: failed expression: object.spec.replicas <= 5"
        )
        assert refused.body == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": f'deployments.apps "large" is forbidden: {said}',
            "reason": "Invalid",
            "details": {"name": "large", "group": "apps", "kind": "deployments", "causes": [{"message": said}]},
            "code": 422,
        }
        assert (await b.ask("PATCH", f"{DEPLOYMENTS}/nginx", {"spec": {"replicas": 6}}, MERGE)).code == 422
        assert (await b.ask("PATCH", f"{DEPLOYMENTS}/nginx?dryRun=All", {"spec": {"replicas": 6}}, MERGE)).code == 422
        assert (await b.ask("PATCH", f"{DEPLOYMENTS}/nginx", {"spec": {"replicas": 4}}, MERGE)).code == 200

    run(tmp_path, story)


LIMITS = "/apis/example.com/v1/namespaces/{}/replicalimits"


async def with_limits(b: Bench, scope: str = "Namespaced") -> None:
    """The kind of the parameters: a custom resource."""
    served = version(properties={"most": {"type": "integer"}})
    await defined(b, definition(served, plural="replicalimits", kind="ReplicaLimit", scope=scope))


def limited(**spec: Any) -> Object:
    check = {
        "expression": "object.spec.replicas <= params.spec.most",
        "messageExpression": "'no more than ' + string(params.spec.most) + ' of ' + string(params.metadata.name)",
        "reason": "Forbidden",
    }
    kind = {"apiVersion": "example.com/v1", "kind": "ReplicaLimit"}
    return validating("limits", check, rules=APPS, paramKind=kind, **spec)


def limit(name: str, most: int, **labels: str) -> Object:
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "example.com/v1", "kind": "ReplicaLimit", "metadata": metadata, "spec": {"most": most}}


def test_parameters_by_name(tmp_path: Path) -> None:
    """Of the request's namespace, or of the one that the binding names; each change of theirs counts at once."""

    async def story(b: Bench) -> None:
        await with_limits(b)
        await bound(b, limited(), paramRef={"name": "a", "parameterNotFoundAction": "Deny"})
        refused = await b.ask("POST", DEPLOYMENTS, deployment("d", 3))
        assert refused.code == 422 and refused.message.endswith(
            "ValidatingAdmissionPolicy 'limits' with binding 'limits-binding' denied request: failed to configure "
            "binding: no params found for policy binding with `Deny` parameterNotFoundAction"
        )
        await b.ask("POST", LIMITS.format("default"), limit("a", 2))
        refused = await b.ask("POST", DEPLOYMENTS, deployment("d", 3))
        assert (refused.code, refused.body["reason"]) == (403, "Forbidden")
        assert refused.message.endswith("denied request: no more than 2 of a")
        await b.ask("PATCH", LIMITS.format("default") + "/a", {"spec": {"most": 3}}, MERGE)
        assert (await b.ask("POST", DEPLOYMENTS, deployment("d", 3))).code == 201

        await b.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
        elsewhere = DEPLOYMENTS.replace("default", "other")
        assert (await b.ask("POST", elsewhere, deployment("d"))).code == 422
        path = f"{REGISTRATION}/validatingadmissionpolicybindings/limits-binding"
        await b.ask("PATCH", path, {"spec": {"paramRef": {"namespace": "default"}}}, MERGE)
        assert (await b.ask("POST", elsewhere, deployment("d"))).code == 201
        await b.ask("PATCH", path, {"spec": {"paramRef": {"name": "b", "parameterNotFoundAction": "Allow"}}}, MERGE)
        assert (await b.ask("POST", elsewhere, deployment("e", 9))).code == 201

    run(tmp_path, story)


def test_parameters_by_selector(tmp_path: Path) -> None:
    """Each of them has to admit."""

    async def story(b: Bench) -> None:
        await with_limits(b, "Cluster")
        reference = {"selector": {"matchLabels": {"tier": "x"}}, "parameterNotFoundAction": "Allow"}
        await bound(b, limited(), paramRef=reference)
        assert (await b.ask("POST", DEPLOYMENTS, deployment("none", 9))).code == 201
        for name, most in (("a", 5), ("b", 2), ("c", 1)):
            tier = "y" if name == "c" else "x"
            made = await b.ask("POST", "/apis/example.com/v1/replicalimits", limit(name, most, tier=tier))
            assert made.code == 201
        assert (await b.ask("POST", DEPLOYMENTS, deployment("two", 2))).code == 201
        refused = await b.ask("POST", DEPLOYMENTS, deployment("three", 3))
        assert refused.message.endswith("no more than 2 of b")
        path = f"{REGISTRATION}/validatingadmissionpolicybindings/limits-binding"
        await b.ask("PATCH", path, {"spec": {"paramRef": {"namespace": "default"}}}, MERGE)
        refused = await b.ask("POST", DEPLOYMENTS, deployment("two-more", 2))
        assert refused.message.endswith(
            "failed to configure binding: paramRef.namespace must not be provided for a cluster-scoped `paramKind`"
        )

    run(tmp_path, story)


def test_a_kind_of_parameters_that_is_not_served_yet(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await bound(b, limited(), paramRef={"name": "a", "parameterNotFoundAction": "Allow"})
        refused = await b.ask("POST", DEPLOYMENTS, deployment("d"))
        assert refused.code == 422 and refused.message.endswith(
            "ValidatingAdmissionPolicy 'limits' denied request: failed to configure policy: failed to find resource "
            "referenced by paramKind: 'example.com/v1, Kind=ReplicaLimit'"
        )
        await with_limits(b)
        assert (await b.ask("POST", DEPLOYMENTS, deployment("d"))).code == 201
        policy = f"{REGISTRATION}/validatingadmissionpolicies/limits"
        await b.ask("DELETE", f"{DEFINITIONS}/replicalimits.example.com")
        await b.ask("PATCH", policy, {"spec": {"failurePolicy": "Ignore"}}, MERGE)
        assert (await b.ask("POST", DEPLOYMENTS, deployment("e"))).code == 201

    run(tmp_path, story)


def test_parameters_that_are_config_maps_or_none(tmp_path: Path) -> None:
    """A binding without paramRef gives none: params is null. Cluster-scoped requests have no namespace to look in."""

    async def story(b: Bench) -> None:
        check = "params == null || params.data.prefix == object.metadata.name.substring(0, 1)"
        kind = {"apiVersion": "v1", "kind": "ConfigMap"}
        policy = validating("names", check, rules=[rule("configmaps", "nodes")], paramKind=kind)
        await put(b, policy, binding(policy, "none"))
        assert (await b.ask("POST", MAPS, config_map("rules", {"prefix": "a"}))).code == 201
        await put(b, binding(policy, "some", paramRef={"name": "rules", "parameterNotFoundAction": "Deny"}))
        assert (await b.ask("POST", MAPS, config_map("b"))).code == 422
        assert (await b.ask("POST", MAPS, config_map("a"))).code == 201
        refused = await b.ask("POST", "/api/v1/nodes", {"metadata": {"name": "n"}})
        assert refused.message.endswith(
            "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
        )

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("actions", "code", "warned"),
    [(["Deny"], 422, False), (["Warn"], 201, True), (["Audit"], 201, False), (["Deny", "Audit"], 422, False)],
)
def test_actions(tmp_path: Path, actions: list[str], code: int, warned: bool) -> None:
    async def story(b: Bench) -> None:
        await bound(b, validating("p", {"expression": "false", "message": " not today "}), validationActions=actions)
        answer = await b.ask("POST", MAPS, config_map("a"))
        said = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p-binding': not today"
        assert (answer.code, answer.warnings) == (code, [f'299 - "{said}"'] if warned else [])
        text = (await b.client.request("GET", "/metrics")).body.decode()
        for action in actions:
            labels = f'policy="p",policy_binding="p-binding",error_type="invalid_error",enforcement_action="{action.lower()}"'
            assert f"apiserver_validating_admission_policy_check_total{{{labels}}} 1" in text

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("validation", "said"),
    [
        ({"expression": "false"}, "failed expression: false"),
        ({"expression": " 1 > 2 ", "message": "m"}, "m"),
        ({"expression": "false", "message": "m", "messageExpression": "'x' + string(object.metadata.name)"}, "xa"),
        ({"expression": "false", "message": "m", "messageExpression": "'a\\nb'"}, "m"),
        ({"expression": "false", "message": "m", "messageExpression": "string(object.data.none)"}, "m"),
        ({"expression": "false", "messageExpression": "'  '"}, "failed expression: false"),
        (
            {"expression": 'object.data.none == ""'},
            "expression 'object.data.none == \"\"' resulted in error: no such key: none",
        ),
    ],
)
def test_messages(tmp_path: Path, validation: Object, said: str) -> None:
    async def story(b: Bench) -> None:
        await bound(b, validating("p", validation))
        refused = await b.ask("POST", MAPS, config_map("a"))
        assert refused.message.endswith(f"with binding 'p-binding' denied request: {said}")

    run(tmp_path, story)


@pytest.mark.parametrize(("reason", "code"), [("Forbidden", 403), ("Invalid", 422), ("RequestEntityTooLarge", 413)])
def test_reasons(tmp_path: Path, reason: str, code: int) -> None:
    async def story(b: Bench) -> None:
        await bound(b, validating("p", {"expression": "false", "reason": reason}))
        refused = await b.ask("POST", MAPS, config_map("a"))
        assert (refused.code, refused.body["code"], refused.body["reason"]) == (code, code, reason)

    run(tmp_path, story)


DEAR = "size([1,2,3,4,5,6,7,8,9,10])"
for _ in range(6):
    DEAR = f"[1,2,3,4,5,6,7,8,9,10].map(x, {DEAR}).size()"


@pytest.mark.parametrize(("failure", "code"), [("Fail", 422), ("Ignore", 201)])
@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "expression 'object.none == 1' resulted in error: no such key: none"),
        (
            {
                "validations": [{"expression": "variables.x == 1"}],
                "variables": [{"name": "x", "expression": "object.none"}],
            },
            'composited variable "x" fails to evaluate: no such key: none',
        ),
        (
            {"matchConditions": [{"name": "x", "expression": "object.none == 2"}]},
            "'object.none == 2' resulted in error",
        ),
        (
            {
                "validations": None,
                "auditAnnotations": [{"key": "k", "valueExpression": "string(object.none)"}],
            },
            "expression 'string(object.none)' resulted in error: no such key: none",
        ),
        ({"validations": [{"expression": f"{DEAR} == 1"}]}, "operation cancelled: actual cost limit exceeded"),
    ],
    ids=["rule", "variable", "condition", "annotation", "cost"],
)
def test_what_goes_wrong(tmp_path: Path, spec: Object, said: str, failure: str, code: int) -> None:
    async def story(b: Bench) -> None:
        policy = validating("p", "object.none == 1", failurePolicy=failure)
        policy["spec"] |= spec
        await bound(b, policy)
        answer = await b.ask("POST", MAPS, config_map("a"))
        assert answer.code == code and (said in answer.message or code == 201), answer.body

    run(tmp_path, story)


def test_variables_conditions_and_all_that_expressions_see(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await bound(
            b,
            validating(
                "p",
                "variables.image.startsWith('good/') || variables.privileged",
                "namespaceObject.metadata.name == 'default' && request.namespace == 'default'",
                "request.userInfo.username == 'golden' && request.kind.kind == 'Pod' && !request.dryRun",
                "authorizer.group('').resource('pods').namespace('default').check('create').allowed()",
                "authorizer.requestResource.check('create').allowed()",
                "oldObject == null",
                rules=[rule("pods", operations=("CREATE",))],
                variables=[
                    {"name": "images", "expression": "object.spec.containers.map(c, c.image)"},
                    {"name": "image", "expression": "variables.images[0]"},
                    {"name": "privileged", "expression": "'system:masters' in request.userInfo.groups && false"},
                    {"name": "unused", "expression": "object.no.such.field"},
                ],
                matchConditions=[{"name": "not-exempt", "expression": "!object.metadata.name.startsWith('exempt')"}],
            ),
        )
        pod: Object = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "bad/x"}]}}
        refused = await b.ask("POST", PODS, pod)
        assert refused.code == 422 and "failed expression: variables.image.startsWith" in refused.message
        pod["spec"]["containers"][0]["image"] = "good/x"
        made = await b.ask("POST", PODS, pod)
        assert made.code == 201, made.body
        pod["metadata"]["name"], pod["spec"]["containers"][0]["image"] = "exempt-a", "bad/x"
        assert (await b.ask("POST", PODS, pod)).code == 201

    run(tmp_path, story)


def test_deletions_scales_and_connections(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        kept = "oldObject.data.keep != 'yes' && object == null"
        await bound(b, validating("d", kept, rules=[rule("configmaps", operations=("DELETE",))]))
        small = "object.kind == 'Scale' && object.spec.replicas < 5"
        await bound(b, validating("s", small, rules=[rule("deployments/scale")]))
        await bound(b, validating("c", "false", rules=[rule("pods/exec", operations=("CONNECT",))]))
        for name, keep in (("a", "yes"), ("b", "no")):
            await b.ask("POST", MAPS, config_map(name, {"keep": keep}))
        assert (await b.ask("DELETE", f"{MAPS}/a")).code == 422
        assert (await b.ask("DELETE", f"{MAPS}/b")).code == 200
        collection = await b.ask("DELETE", MAPS)
        assert collection.code == 422, collection.body
        await b.ask("POST", DEPLOYMENTS, deployment("d"))
        scale = {"spec": {"replicas": 5}}
        assert (await b.ask("PATCH", f"{DEPLOYMENTS}/d/scale", scale, MERGE)).code == 422
        assert (await b.ask("PATCH", f"{DEPLOYMENTS}/d", scale, MERGE)).code == 200
        pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}}
        await b.ask("POST", PODS, pod)
        refused = await b.ask("POST", f"{PODS}/p/exec?command=ls")
        assert refused.code == 422 and refused.message.startswith('pods "p" is forbidden: ValidatingAdmissionPolicy')

    run(tmp_path, story)


def test_who_is_spoken_of(tmp_path: Path) -> None:
    """Names, exclusions, object selectors, other versions."""

    async def story(b: Bench) -> None:
        named = {**rule("configmaps"), "resourceNames": ["only"]}
        excluded = {"excludeResourceRules": [{**rule("configmaps"), "resourceNames": ["free"]}]}
        labelled = {"objectSelector": {"matchLabels": {"check": "yes"}}}
        await bound(b, validating("names", {"expression": "false", "message": "names"}, rules=[named]))
        selected = {"expression": "false", "message": "selected"}
        await bound(b, validating("selected", selected, match={**excluded, **labelled}))
        old = rule("horizontalpodautoscalers", group="autoscaling", version="v1")
        await bound(b, validating("versions", "object.apiVersion == 'autoscaling/v1' && false", rules=[old]))
        await bound(b, validating("exact", "false", rules=[old], match={"matchPolicy": "Exact"}))
        cases: list[tuple[str, Object, str]] = [
            ("only", {}, "names"),
            ("other", {}, ""),
            ("checked", {"check": "yes"}, "selected"),
            ("free", {"check": "yes"}, ""),
        ]
        for name, labels, said in cases:
            answer = await b.ask("POST", MAPS, config_map(name, labels=labels))
            assert answer.message.endswith(said) and answer.code == (422 if said else 201), name
        scaler = {
            "metadata": {"name": "h"},
            "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}},
        }
        refused = await b.ask("POST", "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", scaler)
        assert refused.code == 422 and "'versions' with binding" in refused.message

    run(tmp_path, story)


def test_policies_do_not_judge_themselves(tmp_path: Path) -> None:
    """Nor reviews, without which nobody could log in; webhooks' configurations they do."""

    async def story(b: Bench) -> None:
        await bound(b, validating("all", "false", rules=[rule("*")]))
        assert (await b.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})).code == 422
        webhook = {"metadata": {"name": "w"}, "webhooks": []}
        assert (await b.ask("POST", f"{REGISTRATION}/validatingwebhookconfigurations", webhook)).code == 422
        review = {"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        assert (await b.ask("POST", path, review)).code == 201
        assert (await b.ask("DELETE", f"{REGISTRATION}/validatingadmissionpolicybindings/all-binding")).code == 200
        assert (await b.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})).code == 201

    run(tmp_path, story)


def test_custom_resources_are_judged(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await defined(b, definition())
        await bound(b, validating("p", "object.spec.x != 'bad'", rules=[rule("things", group="example.com")]))
        things = "/apis/example.com/v1/namespaces/default/things"
        thing: Object = {
            "apiVersion": "example.com/v1",
            "kind": "Thing",
            "metadata": {"name": "a"},
            "spec": {"x": "bad"},
        }
        assert (await b.ask("POST", things, thing)).code == 422
        thing["spec"]["x"] = "good"
        assert (await b.ask("POST", things, thing)).code == 201
        thing["spec"]["x"] = "bad"
        apply = "application/apply-patch+yaml"
        assert (await b.ask("PATCH", f"{things}/a?fieldManager=m&force=true", thing, apply)).code == 422

    run(tmp_path, story)


def test_namespaces_are_in_themselves(tmp_path: Path) -> None:
    """Selectors see a namespace's own labels, as they will be; namespaceObject is null."""

    async def story(b: Bench) -> None:
        selector = {"namespaceSelector": {"matchLabels": {"locked": "yes"}}}
        await bound(
            b,
            validating(
                "p", "namespaceObject != null", rules=[rule("namespaces", "configmaps", "nodes")], match=selector
            ),
        )
        spaces = "/api/v1/namespaces"
        assert (await b.ask("POST", spaces, {"metadata": {"name": "a", "labels": {"locked": "yes"}}})).code == 422
        assert (await b.ask("POST", spaces, {"metadata": {"name": "a"}})).code == 201
        assert (await b.ask("PATCH", f"{spaces}/a", {"metadata": {"labels": {"locked": "yes"}}}, MERGE)).code == 422
        assert (await b.ask("POST", MAPS.replace("default", "a"), config_map("m"))).code == 201
        assert (
            await b.ask("POST", "/api/v1/nodes", {"metadata": {"name": "n"}})
        ).code == 422  # as upstream: of no namespace
        assert (await b.ask("DELETE", f"{spaces}/a")).code == 200

    run(tmp_path, story)


def test_a_kind_of_parameters_that_goes(tmp_path: Path) -> None:
    """And comes again: as the other scope, its parameters are looked for elsewhere."""

    async def story(b: Bench) -> None:
        await with_limits(b)
        await bound(b, limited(), paramRef={"name": "a", "parameterNotFoundAction": "Deny"})
        await b.ask("POST", LIMITS.format("default"), limit("a", 2))
        assert (await b.ask("POST", DEPLOYMENTS, deployment("d", 2))).code == 201
        definition_path = f"{DEFINITIONS}/replicalimits.example.com"
        await b.ask("DELETE", definition_path)
        await until(b, definition_path, lambda answer: answer.code == 404)
        refused = await b.ask("POST", DEPLOYMENTS, deployment("e", 2))
        assert refused.code == 422 and "failed to configure" in refused.message, refused.body
        await with_limits(b, "Cluster")
        await b.ask("POST", "/apis/example.com/v1/replicalimits", limit("a", 1))
        assert (await b.ask("POST", DEPLOYMENTS, deployment("e", 2))).code == 403
        assert (await b.ask("POST", DEPLOYMENTS, deployment("e", 1))).code == 201

    run(tmp_path, story)


def test_names_that_the_server_makes(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await bound(b, validating("p", "false"))
        refused = await b.ask("POST", MAPS, {"metadata": {"generateName": "a-"}})
        assert refused.code == 422 and refused.message.startswith('configmaps "a-')

    run(tmp_path, story)


def test_many_that_are_dear_together(tmp_path: Path) -> None:
    """What is too much for the event loop is evaluated beside it, all the same."""

    async def story(b: Bench) -> None:
        numbers = "[" + ",".join(map(str, range(100))) + "]"
        for index in range(10):
            await bound(b, validating(f"p{index}", f"{numbers}.all(x, {numbers}.all(y, x + y >= 0))"))
        assert (await b.ask("POST", MAPS, config_map("a"))).code == 201

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        (
            {"validations": [{"expression": "object.x =="}]},
            "validations[0].expression",
            "compilation failed: ERROR: <input>:1:12: Syntax error: mismatched input '<EOF>' expecting",
        ),
        ({"validations": [{"expression": "1"}]}, "validations[0].expression", "must evaluate to bool but got int"),
        (
            {"validations": [{"expression": "params == null"}]},
            "validations[0].expression",
            "undeclared reference to 'params'",
        ),
        (
            {"validations": [{"expression": "variables.x"}]},
            "validations[0].expression",
            "undeclared reference to 'variables'",
        ),
        (
            {"variables": [{"name": "x", "expression": "variables.y"}, {"name": "y", "expression": "1"}]},
            "variables[0].expression",
            "undefined field 'y'",
        ),
        ({"variables": [{"name": "while", "expression": "1"}]}, "variables[0].name", "must be a valid CEL identifier"),
        (
            {"auditAnnotations": [{"key": "k", "valueExpression": "true"}]},
            "auditAnnotations[0].valueExpression",
            "must evaluate to one of [string null_type] but got bool",
        ),
        (
            {"matchConditions": [{"name": "c", "expression": "params.x == 1"}]},
            "matchConditions[0].expression",
            "undeclared reference to 'params'",
        ),
        (
            {
                "validations": [
                    {"expression": "true", "messageExpression": "authorizer.path('/').check('get').reason()"}
                ]
            },
            "validations[0].messageExpression",
            "undeclared reference to 'authorizer'",
        ),
        (
            {"validations": [{"expression": "true", "messageExpression": "object.none"}]},
            "validations[0].messageExpression",
            "must evaluate to string but got dyn",
        ),
        ({"paramKind": {"apiVersion": "a/b/c", "kind": "K"}}, "paramKind.apiVersion", "unexpected GroupVersion string"),
        ({"validations": [{"expression": "true", "reason": "Gone"}]}, "validations[0].reason", "Unsupported value"),
    ],
)
def test_policies_that_are_none(tmp_path: Path, spec: Object, field: str, words: str) -> None:
    async def story(b: Bench) -> None:
        policy = validating("p", "true")
        policy["spec"] |= spec
        refused = await b.ask("POST", f"{REGISTRATION}/validatingadmissionpolicies", policy)
        assert refused.code == 422 and refused.body["details"]["causes"][0]["field"] == f"spec.{field}", refused.body
        assert words in refused.message

    run(tmp_path, story)
