"""FlowSchema and PriorityLevelConfiguration."""

import copy
from typing import Any

import pytest

from pybernetes.apiserver.kinds.flowcontrol import flowschema
from pybernetes.apiserver.kinds.flowcontrol import prioritylevelconfiguration as level

from ..tables import fields, refusals

RULE: Any = {
    "subjects": [{"kind": "User", "user": {"name": "u"}}],
    "resourceRules": [{"verbs": ["get"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["a"]}],
}
SCHEMA = {
    "metadata": {"name": "a"},
    "spec": {"matchingPrecedence": 9, "priorityLevelConfiguration": {"name": "p"}, "rules": [RULE]},
}
QUEUE = {"type": "Queue", "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": 1}}
LEVEL = {"metadata": {"name": "a"}, "spec": {"type": "Limited", "limited": {"limitResponse": QUEUE}}}


@pytest.mark.parametrize("module", [flowschema, level])
def test_those_of_the_start_are_valid_and_fixed(module: Any) -> None:
    for name, spec in module.MANDATORY.items():
        made = {"metadata": {"name": name}, "spec": copy.deepcopy(spec)}
        module.default(made)
        assert module.validate(made) == []
    made["spec"] = {**made["spec"], "matchingPrecedence": 7, "limited": {"limitResponse": {"type": "Reject"}}}
    assert "spec Invalid" in fields(module.validate(made))


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({}, []),
        ({"matchingPrecedence": 1}, ["spec.matchingPrecedence Invalid"]),
        ({"matchingPrecedence": 10001}, ["spec.matchingPrecedence Invalid"]),
        ({"priorityLevelConfiguration": {"name": ""}}, ["spec.priorityLevelConfiguration.name Required"]),
        ({"distinguisherMethod": {"type": "X"}}, ["spec.distinguisherMethod.type NotSupported"]),
        ({"rules": [{}]}, ["spec.rules[0].subjects Required", "spec.rules[0] Required"]),
        (
            {"rules": [{**RULE, "subjects": [{"kind": "Group", "user": {"name": "u"}}]}]},
            ["spec.rules[0].subjects[0].group Required", "spec.rules[0].subjects[0].user Forbidden"],
        ),
        (
            {"rules": [{**RULE, "subjects": [{"kind": "ServiceAccount", "serviceAccount": {"name": "*"}}]}]},
            ["spec.rules[0].subjects[0].serviceAccount.namespace Required"],
        ),
        (
            {"rules": [{**RULE, "resourceRules": [{"verbs": ["get", "*"], "apiGroups": [], "resources": ["a"]}]}]},
            [
                "spec.rules[0].resourceRules[0].verbs Invalid",
                "spec.rules[0].resourceRules[0].apiGroups Required",
                "spec.rules[0].resourceRules[0].namespaces Required",
            ],
        ),
        (
            {
                "rules": [
                    {
                        **RULE,
                        "resourceRules": [],
                        "nonResourceRules": [{"verbs": ["odd"], "nonResourceURLs": ["/a", "b", "/a*", "/a/*", "//"]}],
                    }
                ]
            },
            [
                "spec.rules[0].nonResourceRules[0].verbs NotSupported",
                "spec.rules[0].nonResourceRules[0].nonResourceURLs[1] Invalid",
                "spec.rules[0].nonResourceRules[0].nonResourceURLs[2] Invalid",
                "spec.rules[0].nonResourceRules[0].nonResourceURLs[4] Invalid",
            ],
        ),
    ],
)
def test_schemas_refused(spec: Any, refused: list[str]) -> None:
    assert refusals(flowschema.validate, SCHEMA, {"spec": spec}) == refused


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({}, []),
        ({"type": "Other"}, ["spec.type NotSupported"]),
        ({"type": "Exempt"}, ["spec.type Invalid", "spec.limited Forbidden"]),
        ({"limited": None}, ["spec.limited Required"]),
        ({"limited": {"limitResponse": {"type": "Reject"}}}, ["spec.limited.limitResponse.queuing Forbidden"]),
        ({"limited": {"limitResponse": {"queuing": None}}}, ["spec.limited.limitResponse.queuing Required"]),
        (
            {"limited": {"limitResponse": {"queuing": {"handSize": 2}}}},
            ["spec.limited.limitResponse.queuing.handSize Invalid"],
        ),
        (
            {"limited": {"lendablePercent": 101, "borrowingLimitPercent": -1}},
            ["spec.limited.lendablePercent Invalid", "spec.limited.borrowingLimitPercent Invalid"],
        ),
    ],
)
def test_levels_refused(spec: Any, refused: list[str]) -> None:
    assert refusals(level.validate, LEVEL, {"spec": spec}) == refused
