"""What webhooks are asked, and when they are."""

from typing import Any

import pytest

from pybernetes.api.field import Path
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.authorization.accessreview import field_selector_of, label_selector_of, spec_of
from pybernetes.apiserver.authorization.configuration import compiled
from pybernetes.apiserver.authorization.webhook import _Undecided, decision_of, holds
from pybernetes.apiserver.types import Decision, RequestInfo
from pybernetes.cel.environment import Program

from ..fakes import ask

JANE = User("jane", ("a", "b"), "7", {"k": ("v",)})
WHO = {"user": "jane", "groups": ["a", "b"], "uid": "7", "extra": {"k": ["v"]}}


def test_a_resource() -> None:
    asked = ask(
        "list", "pods/log", "n", "p", "g", field_selector="spec.x=a,y!=b", label_selector="l in (c,d),!e,f,g!=h,i>3"
    )
    resource = {
        "namespace": "n",
        "verb": "list",
        "group": "g",
        "version": "v1",
        "resource": "pods",
        "subresource": "log",
        "name": "p",
    }
    fields = [
        {"key": "spec.x", "operator": "In", "values": ["a"]},
        {"key": "y", "operator": "NotIn", "values": ["b"]},
    ]
    labels = spec_of(JANE, asked)["resourceAttributes"].pop("labelSelector")["requirements"]
    spec = spec_of(JANE, asked)
    spec["resourceAttributes"].pop("labelSelector")
    assert spec == {**WHO, "resourceAttributes": {**resource, "fieldSelector": {"requirements": fields}}}
    assert sorted(labels, key=lambda one: str(one["key"])) == [
        {"key": "e", "operator": "DoesNotExist"},
        {"key": "f", "operator": "Exists"},
        {"key": "g", "operator": "NotIn", "values": ["h"]},
        {"key": "l", "operator": "In", "values": ["c", "d"]},
    ]


def test_other_paths_and_the_old_version() -> None:
    asked = RequestInfo("get", "/healthz")
    assert spec_of(JANE, asked) == {**WHO, "nonResourceAttributes": {"path": "/healthz", "verb": "get"}}
    old = spec_of(JANE, asked, "v1beta1")
    assert (old["group"], "groups" in old) == (["a", "b"], False)
    assert spec_of(User(""), ask("get", "pods", label_selector="no selector!")) == {
        "resourceAttributes": {"verb": "get", "version": "v1", "resource": "pods"}
    }


@pytest.mark.parametrize(
    ("requirements", "fields", "labels"),
    [
        ([{"key": "a", "operator": "In", "values": ["b"]}], "a=b", "a in (b)"),
        ([{"key": "a", "operator": "NotIn", "values": ["b,c"]}], r"a!=b\,c", "a notin (b,c)"),
        ([{"key": "a", "operator": "In", "values": ["b", "c"]}], "", "a in (b,c)"),
        ([{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "DoesNotExist"}], "", "a,!b"),
        ([{"key": "a", "operator": "Gt", "values": ["1"]}], "", ""),
    ],
)
def test_selectors_of_reviews(requirements: list[dict[str, Any]], fields: str, labels: str) -> None:
    given = {"requirements": requirements}
    assert (field_selector_of(given), label_selector_of(given)) == (fields, labels)
    assert field_selector_of({"rawSelector": "x=y"}) == label_selector_of({"rawSelector": "x=y"}) == "x=y"


def condition(expression: str) -> Program:
    program = compiled(expression, Path())
    assert isinstance(program, Program)
    return program


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("request.user == 'jane' && request.uid == '7'", True),
        ("'b' in request.groups && request.extra['k'][0] == 'v'", True),
        ("has(request.resourceAttributes) && request.resourceAttributes.namespace == 'n'", True),
        ("request.resourceAttributes.subresource == ''", True),
        ("has(request.nonResourceAttributes)", False),
        ("has(request.resourceAttributes.fieldSelector)", False),
        ("request.resourceAttributes.labelSelector.requirements.exists(r, r.key == 'l' && r.values == ['c'])", True),
        ("request.resourceAttributes.?fieldSelector.hasValue()", False),
    ],
)
def test_conditions(expression: str, value: bool) -> None:
    spec = spec_of(JANE, ask("get", "pods", "n", label_selector="l=c"))
    assert holds([condition(expression)], spec) is value


def test_a_no_decides_whatever_went_wrong_with_others() -> None:
    spec = spec_of(JANE, ask("get", "pods"))
    wrong, no = condition("request.extra['none'][0] == 'x'"), condition("request.user == 'bob'")
    assert holds([wrong, no], spec) is False
    with pytest.raises(_Undecided) as undecided:
        holds([wrong, condition("true")], spec)
    assert str(undecided.value) == (
        "cel evaluation error: expression 'request.extra['none'][0] == 'x'' resulted in error: no such key: none"
    )


@pytest.mark.parametrize(
    ("status", "decision"),
    [
        ({"allowed": True, "reason": "r"}, Decision(allowed=True, reason="r")),
        ({"allowed": False}, Decision()),
        ({"denied": True, "reason": "r"}, Decision(denied=True, reason="r")),
        (
            {"allowed": True, "denied": True},
            Decision(denied=True, error="webhook subject access review returned both allow and deny response"),
        ),
        ({"allowed": "yes", "reason": 1}, Decision()),
        ({}, Decision()),
    ],
)
def test_answers(status: dict[str, Any], decision: Decision) -> None:
    assert decision_of(status) == decision
