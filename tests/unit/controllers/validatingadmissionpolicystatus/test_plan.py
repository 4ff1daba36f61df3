"""Which types a policy's expressions are checked for, and by which schema."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.types import admissionregistration_v1 as admissionregistration
from pybernetes.controllers.validatingadmissionpolicystatus import plan
from pybernetes.controllers.validatingadmissionpolicystatus.plan import Kind, Place

DEPLOYMENT = Kind("apps", "v1", "Deployment")


def policy(
    *rules: tuple[list[str], list[str], list[str]], **spec: Any
) -> admissionregistration.ValidatingAdmissionPolicy:
    named = [
        admissionregistration.NamedRuleWithOperations(api_groups=groups, api_versions=versions, resources=resources)
        for groups, versions, resources in rules
    ]
    return admissionregistration.ValidatingAdmissionPolicy(
        spec=admissionregistration.ValidatingAdmissionPolicySpec(
            match_constraints=admissionregistration.MatchResources(resource_rules=named), **spec
        )
    )


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([(["apps"], ["v1"], ["deployments", "deployments/scale", "*"])], [DEPLOYMENT]),
        ([(["apps", "*"], ["v1"], ["deployments"])], []),
        ([(["apps"], ["*"], ["deployments"])], []),
        ([(["apps"], ["v1", "v2"], ["deployments", "nothings"])], [DEPLOYMENT]),
        (
            [(["apps"], ["v1"], ["deployments"]), ([""], ["v1"], ["pods"])],
            [Kind("", "v1", "Pod"), DEPLOYMENT],
        ),
    ],
)
def test_types(rules: Any, expected: list[Kind]) -> None:
    served = {Place("apps", "v1", "deployments"): "Deployment", Place("", "v1", "pods"): "Pod"}
    assert plan.kinds(plan.places(policy(*rules)), served) == expected


def test_no_more_than_ten_of_a_rule() -> None:
    names = [f"r{index:02}" for index in range(30)]
    served = {Place("g", "v1", name): name.upper() for name in names}
    assert len(plan.kinds(plan.places(policy((["g"], ["v1"], names))), served)) == plan.MAX_TYPES


DOCUMENT: Any = {
    "components": {
        "schemas": {
            "Deployment": {
                "type": "object",
                "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Deployment"}],
                "properties": {
                    "spec": {"allOf": [{"$ref": "#/components/schemas/Spec"}], "default": {}},
                    "port": {"$ref": "#/components/schemas/Port"},
                },
            },
            "Spec": {
                "type": "object",
                "properties": {
                    "replicas": {"type": "integer"},
                    "child": {"$ref": "#/components/schemas/Spec"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
            "Port": {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"},
        }
    }
}


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("object.spec.replicas > 1 && object.port == 'x' && oldObject.spec.labels['a'] == 'b'", ""),
        ("object.spec.child.anything == 1 && object.metadata.name == 'a' && object.kind == 'x'", ""),
        ("variables.count + 1 > 2 && variables.unknown.x == 1", ""),
        ("params.x == 1 && request.userInfo.username == 'a'", ""),
        ("object.replicas > 1", "undefined field 'replicas'"),
        ("object.spec.replicas == 'a'", "found no matching overload for '_==_' applied to '(int, string)'"),
        ("variables.count == 'a'", "found no matching overload for '_==_' applied to '(int, string)'"),
    ],
)
def test_expressions(expression: str, fault: str) -> None:
    schema = plan.schema_of(DOCUMENT, DEPLOYMENT)
    assert schema is not None and plan.schema_of(DOCUMENT, Kind("", "v1", "Pod")) is None
    given = policy(
        validations=[admissionregistration.Validation(expression=expression)],
        variables=[
            admissionregistration.Variable(name="count", expression="object.spec.replicas"),
            admissionregistration.Variable(name="unknown", expression="object.none"),
        ],
        param_kind=admissionregistration.ParamKind(api_version="v1", kind="ConfigMap"),
    )
    warnings = plan.checked(given, [(DEPLOYMENT, schema)], None)
    assert [warning.field_ref for warning in warnings] == (["spec.validations[0].expression"] if fault else [])
    assert fault in (warnings[0].warning if warnings else "")
