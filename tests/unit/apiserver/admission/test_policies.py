"""What policies decide, without a server: which requests they speak of, what an evaluation comes to, what becomes of the request."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from pybernetes.aio import apart
from pybernetes.apiserver.admission.policy import definitions, params, patching
from pybernetes.apiserver.admission.policy.definitions import Binding, ParamRef
from pybernetes.apiserver.admission.policy.evaluation import (
    OUT_OF_BUDGET,
    Annotation,
    Decision,
    Inputs,
    Loop,
    Verdict,
    validated,
)
from pybernetes.apiserver.admission.policy.matching import Constraints, Subject, Unmatched, matched
from pybernetes.apiserver.admission.policy.outcome import VALIDATION_FAILURE, Outcome
from pybernetes.apiserver.admission.policy.source import Source
from pybernetes.apiserver.apply.schema import Schemas
from pybernetes.apiserver.cel.authorizer import Answers
from pybernetes.apiserver.kinds.apps import deployment
from pybernetes.apiserver.kinds.core import configmap, pod
from pybernetes.apiserver.types import Attributes
from pybernetes.cel.library.authorizer import Attributes as AskedAbout
from pybernetes.cel.library.authorizer import Decision as Authorized

from ..fakes import Objects, meta, user

MAPS = configmap.RESOURCE
REGISTRATION = "admissionregistration.k8s.io"


def rule(*resources: str, names: tuple[str, ...] = (), operations: tuple[str, ...] = ("*",)) -> dict[str, Any]:
    return {
        "apiGroups": ["*"],
        "apiVersions": ["*"],
        "operations": list(operations),
        "resources": list(resources),
        "resourceNames": list(names),
    }


@pytest.mark.parametrize(
    ("match", "speaks"),
    [
        ({}, True),  # of a binding that names nothing
        ({"resourceRules": [rule("configmaps")]}, True),
        ({"resourceRules": [rule("pods")]}, False),
        ({"resourceRules": [rule("configmaps/status")]}, False),
        ({"resourceRules": [rule("configmaps", operations=("DELETE",))]}, False),
        ({"resourceRules": [rule("configmaps", names=("a",))]}, True),
        ({"resourceRules": [rule("configmaps", names=("b",))]}, False),
        ({"resourceRules": [rule("*")], "excludeResourceRules": [rule("configmaps", names=("a",))]}, False),
        ({"resourceRules": [rule("*")], "excludeResourceRules": [rule("configmaps", names=("b",))]}, True),
        ({"namespaceSelector": {"matchLabels": {"n": "1"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"n": "2"}}}, False),
        ({"objectSelector": {"matchLabels": {"old": "1"}}}, True),
        ({"objectSelector": {"matchLabels": {"old": "2"}}}, False),
    ],
)
def test_what_it_speaks_of(match: dict[str, Any], speaks: bool) -> None:
    subject = Subject(MAPS, "", "UPDATE", "a", (), {"n": "1"}, ({"new": "1"}, {"old": "1"}))
    assert matched(Constraints.read(match), subject) == (MAPS if speaks else None)


def test_a_namespace_that_is_not_there_matters_only_to_who_is_asked() -> None:
    subject = Subject(MAPS, "", "CREATE", "a", (), None, (), 'namespaces "x" not found')
    selector = {"namespaceSelector": {"matchLabels": {"n": "1"}}}
    assert matched(Constraints.read({"resourceRules": [rule("pods")], **selector}), subject) is None
    assert matched(Constraints.read({"resourceRules": [rule("configmaps")]}), subject) is MAPS
    with pytest.raises(Unmatched, match='namespaces "x" not found'):
        matched(Constraints.read({"resourceRules": [rule("configmaps")], **selector}), subject)
    nowhere = Subject(MAPS, "", "CREATE", "a", (), None, ())
    assert matched(Constraints.read({"resourceRules": [rule("configmaps")], **selector}), nowhere) is MAPS


@pytest.mark.parametrize(
    ("namespaced", "reference", "requested", "found"),
    [
        (True, "", "here", "here"),
        (True, "there", "here", "there"),
        (True, "", "", params.NO_NAMESPACE),
        (False, "", "here", ""),
        (False, "there", "here", params.CLUSTER_SCOPED),
    ],
)
def test_where_parameters_are(namespaced: bool, reference: str, requested: str, found: str) -> None:
    resource = replace(MAPS, namespaced=namespaced)
    given = ParamRef("p", reference, None, True)
    try:
        assert params.namespace_of(resource, given, requested) == found
    except params.Misconfigured as error:
        assert str(error) == found


async def _nobody(question: Any) -> Authorized:
    raise AssertionError(question)


def inputs(obj: Any = None, loop: Loop | None = None) -> Inputs:
    about = AskedAbout(group="", resource="configmaps", subresource="", namespace="n", name="a")
    request = {"operation": "CREATE"}
    return Inputs(obj or {"a": 1}, None, request, None, None, Answers(_nobody), about, loop or Loop())


def verdict(spec: dict[str, Any], ignore: bool = False) -> Verdict:
    return validated(definitions.compiled(spec), inputs(), ignore, lambda: 0.0)


TRUE, FALSE, BROKEN = "object.a == 1", "object.a == 2", "object.b == 1"
DEAR = "[1,2,3,4,5,6,7,8,9,10].map(x, [1,2,3,4,5,6,7,8,9,10].map(y, [1,2,3,4,5,6,7,8,9,10].map(z, 'a' + string(z))))"


@pytest.mark.parametrize(
    ("conditions", "ignore", "expected"),
    [
        ((), False, "decided"),
        ((TRUE,), False, "decided"),
        ((TRUE, FALSE), False, "unmet"),
        ((BROKEN, FALSE), False, "unmet"),
        ((BROKEN, TRUE), False, "failed"),
        ((BROKEN, TRUE), True, "unmet"),
    ],
)
def test_conditions(conditions: tuple[str, ...], ignore: bool, expected: str) -> None:
    named = [{"name": str(index), "expression": each} for index, each in enumerate(conditions)]
    found = verdict({"matchConditions": named, "validations": [{"expression": FALSE}]}, ignore)
    kind = "unmet" if found.unmet else "failed" if found.decisions[0].failed else "decided"
    assert kind == expected


@pytest.mark.parametrize("ignore", [False, True])
def test_failures_admit_where_they_are_ignored(ignore: bool) -> None:
    found = verdict({"validations": [{"expression": each} for each in (TRUE, FALSE, BROKEN)]}, ignore)
    assert [(each.admitted, each.failed) for each in found.decisions] == [(True, False), (False, False), (ignore, True)]
    assert found.decisions[2].message == f"expression '{BROKEN}' resulted in error: no such key: b"


def test_a_variable_is_evaluated_once_and_only_where_it_is_needed() -> None:
    dear = {"name": "dear", "expression": f"{DEAR}.size()"}
    once = {"variables": [dear], "validations": [{"expression": "variables.dear == 10 && variables.dear < 11"}]}
    never = {"variables": [dear], "validations": [{"expression": "object.a == 1 || variables.dear == 1"}]}

    def cost(spec: dict[str, Any]) -> int:
        async def measured() -> int:
            loop = Loop(10_000_000)
            compiled = definitions.compiled(spec)
            found = await apart.run(0, validated, compiled, inputs(loop=loop), False, lambda: 0.0)
            assert found.decisions[0].admitted
            return 10_000_000 - loop.left

        return asyncio.run(measured())

    alone = cost({"validations": [{"expression": f"{DEAR}.size() == 10"}]})
    assert cost(never) < 10 < alone < cost(once) < alone + 40


def test_all_rules_share_a_budget() -> None:
    """Each may cost a million, all together ten."""
    hundreds = "[" + ",".join(map(str, range(150))) + "]"
    dear = f"{hundreds}.all(x, {hundreds}.all(y, x + y >= 0))"
    within = verdict({"validations": [{"expression": dear}] * 20})
    assert all(each.admitted for each in within.decisions)
    beyond = verdict({"validations": [{"expression": dear}] * 100})
    assert [(each.admitted, each.message) for each in beyond.decisions] == [(False, OUT_OF_BUDGET)]
    assert verdict({"validations": [{"expression": dear}] * 100}, ignore=True).decisions[0].admitted


def test_annotations() -> None:
    spec = {
        "auditAnnotations": [
            {"key": "said", "valueExpression": "' a' + string(object.a)"},
            {"key": "nothing", "valueExpression": "null"},
            {"key": "empty", "valueExpression": "'  '"},
            {"key": "broken", "valueExpression": "string(object.b)"},
        ]
    }
    found = verdict(spec).annotations
    assert [(each.key, each.value, bool(each.error)) for each in found] == [("said", "a1", False), ("broken", "", True)]
    assert [each.key for each in verdict(spec, ignore=True).annotations] == ["said"]


def bound(*actions: str, name: str = "b") -> Binding:
    return Binding(name, "p", None, None, actions)


def attributes(**metadata: Any) -> Attributes:
    return Attributes(user("me"), "CREATE", MAPS, "", "n", "", {"metadata": metadata}, None)


def test_what_becomes_of_it() -> None:
    outcome = Outcome()
    denied = Verdict([Decision(True), Decision(False, "no", "Forbidden")], [Annotation("k", "v")])
    seen = [
        *outcome.add("p", bound("Audit", "Warn"), denied),
        *outcome.add("p", bound("Deny", name="c"), denied),
        *outcome.add("p", bound("Deny", name="d"), Verdict(annotations=[Annotation("k", "w"), Annotation("k", "v")])),
    ]
    assert [(each.binding, each.action, each.error_type) for each in seen] == [
        ("b", "audit", "invalid_error"),
        ("b", "warn", "invalid_error"),
        ("c", "deny", "invalid_error"),
    ]
    assert outcome.warnings == ["Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': no"]
    audited = outcome.audited()
    assert audited["p/k"] == "v, w"
    assert json.loads(audited[VALIDATION_FAILURE]) == [
        {
            "message": "no",
            "policy": "p",
            "binding": "b",
            "expressionIndex": 1,
            "validationActions": ["Audit", "Warn"],
        }
    ]
    status = outcome.refusal(attributes(generateName="a-")).status  # type: ignore[union-attr]  # there is one
    assert (status["code"], status["reason"], status["details"]["name"]) == (403, "Forbidden", "a-")
    assert Outcome().refusal(attributes()) is None


def test_many_failures_are_cut_and_errors_named() -> None:
    outcome = Outcome()
    failures = Verdict([Decision(False, f"compilation error: {index}", failed=True) for index in range(60)])
    seen = list(outcome.add("p", bound("Audit"), failures))
    assert {each.error_type for each in seen} == {"compile_error"} and outcome.refusal(attributes()) is None
    assert len(json.loads(outcome.audited()[VALIDATION_FAILURE])) == 50


SCHEMA = Schemas(
    {
        "Thing": {
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "atomic": {"type": "array", "items": {"type": "string"}},
                "byName": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": {"type": "string"},
                            "args": {"type": "array", "items": {"type": "string"}},
                        },
                    },
                },
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        }
    }
).named("Thing")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"labels": {"b": "2"}}, {"labels": {"a": "1", "b": "2"}, "byName": [{"name": "x"}]}),
        ({"byName": [{"name": "y"}]}, {"labels": {"a": "1"}, "byName": [{"name": "x"}, {"name": "y"}]}),
        ({"atomic": ["x"]}, "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .atomic"),
        ({"byName": [{"name": "x", "args": ["a"]}]}, "may not mutate atomic arrays, maps or structs: .byName[0].args"),
        ({"byName": [{}]}, "has an element that omits all key fields"),
        ({"none": 1}, "failed to convert patch object to typed object: .none: field not declared in schema"),
    ],
)
def test_configurations(config: dict[str, Any], expected: Any) -> None:
    obj = {"labels": {"a": "1"}, "byName": [{"name": "x"}]}
    try:
        assert patching.applied(obj, config, SCHEMA) == expected
    except patching.Inapplicable as error:
        assert expected in str(error)


def policy(name: str, generation: int, expression: str = "true") -> dict[str, Any]:
    return {
        "metadata": meta(name, uid=f"u-{name}", generation=generation),
        "spec": {
            "matchConstraints": {"resourceRules": [rule("configmaps")]},
            "validations": [{"expression": expression}],
        },
    }


def test_what_is_compiled_is_as_much_as_there_is() -> None:
    """Once a generation; of policies that are gone, or that no binding names, nothing is kept."""
    kinds = ("policies", "bindings")
    objects = Objects()
    source = Source(objects, kinds, lambda: (MAPS, pod.RESOURCE, deployment.RESOURCE))
    assert not source.find(MAPS, "", "CREATE").hooks
    objects.put(REGISTRATION, "policies", policy("p", 1))
    assert not source.find(MAPS, "", "CREATE").hooks
    objects.put(REGISTRATION, "bindings", {"metadata": meta("b"), "spec": {"policyName": "p"}})
    [hook] = source.find(MAPS, "", "CREATE").hooks
    assert not source.find(pod.RESOURCE, "", "CREATE").hooks
    first = asyncio.run(source.compiled(hook.policy))
    objects.put(REGISTRATION, "policies", {**policy("p", 1), "status": {"observedGeneration": 1}})
    [again] = source.find(MAPS, "", "CREATE").hooks
    assert asyncio.run(source.compiled(again.policy)) is first
    objects.put(REGISTRATION, "policies", policy("p", 2, "false"))
    [changed] = source.find(MAPS, "", "CREATE").hooks
    assert asyncio.run(source.compiled(changed.policy)) is not first
    assert len(source._compiled) == 1
    objects.drop(REGISTRATION, "bindings", "", "b")
    assert not source.find(MAPS, "", "CREATE").hooks and not source._compiled
