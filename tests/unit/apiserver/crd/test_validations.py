"""Rules in CEL: what they see, when they are asked, what is said of a broken one."""

from typing import Any

import pytest

from pybernetes.api.field import Path
from pybernetes.apiserver.crd import validations
from pybernetes.apiserver.crd.validations import Validations
from pybernetes.apiserver.crd.values import MISSING

pytest.importorskip("cel_expr_python", reason="rules are not enforced without the engine")

INTEGER, TEXT = {"type": "integer"}, {"type": "string"}


def ruled(*rules: Any, **properties: Any) -> dict[str, Any]:
    given = [rule if isinstance(rule, dict) else {"rule": rule} for rule in rules]
    return {"type": "object", "properties": properties, "x-kubernetes-validations": given}


def found(schema: dict[str, Any], value: Any, old: Any = MISSING) -> list[str]:
    return [
        str(e)
        for e in Validations({"type": "object", "properties": {"a": schema}}).check({"a": value}, Path(""), _old(old))
    ]


def _old(old: Any) -> Any:
    return old if old is MISSING else {"a": old}


@pytest.mark.parametrize(
    ("schema", "value", "errors"),
    [
        (ruled("self.x <= self.y", x=INTEGER, y=INTEGER), {"x": 1, "y": 2}, []),
        (
            ruled("self.x <= self.y", x=INTEGER),
            {"x": 3, "y": 2},
            ['a: Invalid value: "object": failed rule: self.x <= self.y'],
        ),
        (ruled({"rule": "self.x > 1", "message": "too small"}), {"x": 1}, ['a: Invalid value: "object": too small']),
        (
            ruled({"rule": "self.x > 1", "messageExpression": "'x is ' + string(self.x)"}),
            {"x": 1},
            ['a: Invalid value: "object": x is 1'],
        ),
        (
            ruled({"rule": "false", "reason": "FieldValueForbidden", "fieldPath": ".x"}),
            {},
            ["a.x: Forbidden: failed rule: false"],
        ),
        (ruled("self.x > 1"), {}, ['a: Invalid value: "object": no such key: x evaluating rule: self.x > 1']),
        (ruled("!has(self.x) || self.x > 1", x=INTEGER), {}, []),
        (
            ruled("self.a__dash__b == self.__namespace__", **{"a-b": TEXT, "namespace": TEXT}),
            {"a-b": "x", "namespace": "x"},
            [],
        ),
        (ruled("self.b == b'a'", b={**TEXT, "format": "byte"}), {"b": "YQ=="}, []),
        (
            {"type": "array", "items": {**INTEGER, "x-kubernetes-validations": [{"rule": "self > 1"}]}},
            [2, 1],
            ['a[1]: Invalid value: "integer": failed rule: self > 1'],
        ),
        (
            {"type": "object", "additionalProperties": {**TEXT, "x-kubernetes-validations": [{"rule": "self != 'x'"}]}},
            {"k": "x"},
            ["a[k]: Invalid value: \"string\": failed rule: self != 'x'"],
        ),
    ],
)
def test_rules(schema: dict[str, Any], value: Any, errors: list[str]) -> None:
    assert found(schema, value) == errors


@pytest.mark.parametrize(
    ("rule", "old", "new", "broken"),
    [
        ("self.x == oldSelf.x", MISSING, {"x": 1}, False),
        ("self.x == oldSelf.x", {"x": 1}, {"x": 1}, False),
        ("self.x == oldSelf.x", {"x": 1}, {"x": 2}, True),
        ("self.x > 5", {"x": 1}, {"x": 1}, False),  # as it was
        ("self.x > 5", {"x": 1}, {"x": 2}, True),
    ],
)
def test_updates(rule: str, old: Any, new: Any, broken: bool) -> None:
    assert bool(found(ruled(rule, x=INTEGER), new, old)) is broken


def test_items_of_map_lists_know_what_they_were() -> None:
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    schema = {"type": "array", **keyed, "items": ruled("self.n >= oldSelf.n", k=TEXT, n=INTEGER)}
    errors = found(schema, [{"k": "new", "n": 0}, {"k": "p", "n": 1}], [{"k": "p", "n": 2}])
    assert [text.partition(":")[0] for text in errors] == ["a[1]"]


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ({"rule": " "}, "rule"),
        ({"rule": "1 +"}, "rule"),
        ({"rule": "1 + 1"}, "rule"),
        ({"rule": "true", "reason": "Odd"}, "reason"),
        ({"rule": "true", "messageExpression": "1"}, "messageExpression"),
        ({"rule": "true\n|| false"}, "message"),
    ],
)
def test_rules_that_are_none(rule: dict[str, Any], place: str) -> None:
    (error,) = validations.rule_errors(ruled(rule), Path("s"))
    assert error.field == f"s.x-kubernetes-validations[0].{place}"


def test_rules_over_times_are_not_enforced() -> None:
    schema = ruled("self.until > timestamp('2020-01-01T00:00:00Z')", until={**TEXT, "format": "date-time"})
    assert not validations.enforced(schema["x-kubernetes-validations"][0], schema)
    assert found(schema, {"until": "2019-01-01T00:00:00Z"}) == []
