"""Webhook configurations, admission policies and their bindings."""

import copy
from typing import Any

import pytest

from pybernetes.api.field import Path
from pybernetes.apiserver.kinds.admissionregistration import (
    mutatingadmissionpolicy,
    policies,
    policybindings,
    rules,
    validatingadmissionpolicy,
    webhooks,
)

from ..tables import fields, merged

RULE: Any = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
HOOK: Any = {
    "name": "a.b.c",
    "clientConfig": {"url": "https://x"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "rules": [RULE],
}
POLICY: Any = {
    "metadata": {"name": "a"},
    "spec": {"matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": "true"}]},
}
policies.default(POLICY)


@pytest.mark.parametrize(
    ("resources", "refused"),
    [
        (["pods", "pods/status"], []),
        (["*/*"], []),
        (["*/*", "pods"], ["r Invalid"]),
        (["pods/*", "pods/status"], ["r[1] Invalid"]),
        (["*/scale", "deployments/scale"], ["r[1] Invalid"]),
        ([""], ["r[0] Required"]),
    ],
)
def test_resources(resources: list[str], refused: list[str]) -> None:
    found = rules.validate(Path(), {**RULE, "resources": resources})
    assert [text.replace("resources", "r") for text in fields(found)] == refused


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        ({"url": "https://a/b"}, []),
        ({"url": "https://a:8443/b"}, []),
        ({"url": "https://[::1]:8443"}, []),
        ({"url": "https://[::1]"}, []),
        ({"url": "https://a:"}, []),
        ({"url": "https://a:²"}, ["c.url Required"]),
        ({"url": "https://a:-1"}, ["c.url Required"]),
        ({"url": "https://[::1]:x"}, ["c.url Required"]),
        ({"url": "https://a:8_4"}, ["c.url Required"]),
        ({"url": "https://u:p@a"}, ["c.url Invalid"]),
        ({"url": "https://"}, ["c.url Invalid"]),
        ({"service": {"name": "s", "namespace": "n", "port": 443, "path": "/a/b/"}}, []),
        (
            {"service": {"name": "s", "namespace": "n", "port": 443, "path": "/a//B"}},
            ["c.service.path Invalid", "c.service.path Invalid"],
        ),
        (
            {"service": {"port": 0, "path": "x"}},
            [
                "c.service.name Required",
                "c.service.namespace Required",
                "c.service.port Invalid",
                "c.service.path Invalid",
                "c.service.path Invalid",
            ],
        ),
    ],
)
def test_clients(config: Any, refused: list[str]) -> None:
    assert [text for text in fields(webhooks.client(Path("c"), config)) if text][: len(refused)] == refused[
        : len(refused)
    ]


def test_hooks() -> None:
    made: Any = {"webhooks": [copy.deepcopy(HOOK)]}
    webhooks.default(made, mutating=True)
    hook = made["webhooks"][0]
    assert (hook["failurePolicy"], hook["timeoutSeconds"], hook["reinvocationPolicy"]) == ("Fail", 10, "Never")
    assert hook["rules"][0]["scope"] == "*"
    assert webhooks.validate(made, mutating=True) == []
    hook["matchConditions"] = [{"name": "a", "expression": " "}, {"name": "a", "expression": "true"}]
    hook["reinvocationPolicy"] = "Odd"
    assert fields(webhooks.validate(made, mutating=True)) == [
        "webhooks[0].reinvocationPolicy NotSupported",
        "webhooks[0].matchConditions[0].expression Required",
        "webhooks[0].matchConditions[1].name Duplicate",
    ]


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({}, []),
        ({"matchConstraints": None}, ["spec.matchConstraints Required"]),
        ({"validations": []}, ["spec.validations Required", "spec.auditAnnotations Required"]),
        (
            {"validations": [{"expression": "", "message": "a\nb", "reason": "X"}]},
            [
                "spec.validations[0].expression Required",
                "spec.validations[0].message Invalid",
                "spec.validations[0].reason NotSupported",
            ],
        ),
        ({"paramKind": {"kind": "K"}}, ["spec.paramKind.apiVersion Required"]),
        ({"variables": [{"name": "a-b", "expression": "1"}]}, ["spec.variables[0].name Invalid"]),
        ({"failurePolicy": "X"}, ["spec.failurePolicy NotSupported"]),
    ],
)
def test_validating_policies(spec: Any, refused: list[str]) -> None:
    assert fields(validatingadmissionpolicy.validate(merged(POLICY, {"spec": spec}))) == refused


@pytest.mark.parametrize(
    ("mutations", "refused"),
    [
        ([{"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add'}]"}}], []),
        ([], ["spec.mutations Required"]),
        ([{"patchType": "X"}], ["spec.mutations[0].patchType NotSupported"]),
        (
            [{"patchType": "JSONPatch", "applyConfiguration": {}}],
            ["spec.mutations[0].jsonPatch Required", "spec.mutations[0].applyConfiguration Invalid"],
        ),
    ],
)
def test_mutating_policies(mutations: Any, refused: list[str]) -> None:
    made = merged(POLICY, {"spec": {"validations": None, "mutations": mutations, "reinvocationPolicy": "Never"}})
    assert fields(mutatingadmissionpolicy.validate(made)) == refused


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({"policyName": "p", "validationActions": ["Deny"]}, []),
        ({"policyName": "", "validationActions": []}, ["spec.policyName Required", "spec.validationActions Required"]),
        (
            {"policyName": "p", "validationActions": ["Deny", "Warn", "X"]},
            ["spec.validationActions[2] NotSupported", "spec.validationActions Invalid"],
        ),
        ({"policyName": "p", "validationActions": ["Deny"], "paramRef": {}}, ["spec.paramRef Required"]),
        (
            {"policyName": "p", "validationActions": ["Deny"], "paramRef": {"name": "a", "selector": {}}},
            ["spec.paramRef.name Forbidden", "spec.paramRef.selector Forbidden"],
        ),
    ],
)
def test_bindings(spec: Any, refused: list[str]) -> None:
    made: Any = {"metadata": {"name": "b"}, "spec": copy.deepcopy(spec)}
    policybindings.default(made)
    assert fields(policybindings.validate_validating(made)) == refused


@pytest.mark.parametrize(
    ("expression", "refused"),
    [
        ("request.operation == 'CREATE' && has(object.metadata.labels)", []),
        (" true ", []),
        ("object.x", ["webhooks[0].matchConditions[0].expression Invalid"]),
        ("request.x == ''", ["webhooks[0].matchConditions[0].expression Invalid"]),
        ("true &&", ["webhooks[0].matchConditions[0].expression Invalid"]),
    ],
)
def test_conditions_are_read_once(expression: str, refused: list[str]) -> None:
    """What was there before an update may stay, whatever it is."""
    configuration = {"webhooks": [{**HOOK, "matchConditions": [{"name": "c", "expression": expression}]}]}
    assert fields(webhooks.validate(configuration, mutating=False)) == refused
    assert fields(webhooks.validate(configuration, mutating=False, old=configuration)) == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://x y/", 'invalid character " " in host name'),
        ("https://a^b/", 'invalid character "^" in host name'),
        ("https://[::1:443/", "missing ']' in host"),
        ("https://[::1]x/", 'invalid port "x" after host'),
        ("https://x:-1/", 'invalid port ":-1" after host'),
        ("https://x:²/", 'invalid port ":²" after host'),
        ("https://x%zz/", 'invalid URL escape "%zz"'),
        ("https://x/\n", "net/url: invalid control character in URL"),
        ("https://x:/", ""),
        ("https://x:65536/", ""),
        ("https://é/p", ""),
        ("https://[fe80::1]:443/p", ""),
    ],
)
def test_urls_are_those_that_go_parses(url: str, why: str) -> None:
    """The kind: Python's reader of URLs cuts line ends out, and takes anything for a host."""
    errors = webhooks.client(Path("c"), {"url": url})
    quoted = url.replace("\n", "\\n")
    expected = [f'url must be a valid URL: parse "{quoted}": {why}{webhooks.FORM}'] if why else []
    assert [error.body.removeprefix("Required value: ") for error in errors] == expected
