"""Rules in CEL: what they see, when they are asked, what is said of a broken one."""

import asyncio
import threading
from typing import Any

import pytest

from pybernetes.aio import apart
from pybernetes.api.field import Path
from pybernetes.apiserver.crd.ruleplaces import Outcome
from pybernetes.apiserver.crd.validations import Validations
from pybernetes.apiserver.crd.values import MISSING
from pybernetes.cel import schematypes

INTEGER, TEXT = {"type": "integer"}, {"type": "string"}


def ruled(*rules: Any, **properties: Any) -> dict[str, Any]:
    given = [rule if isinstance(rule, dict) else {"rule": rule} for rule in rules]
    return {"type": "object", "properties": properties, "x-kubernetes-validations": given}


def checked(schema: dict[str, Any], value: Any, old: Any = MISSING) -> Outcome:
    whole = {"type": "object", "properties": {"a": schema}}
    before = old if old is MISSING else {"a": old}
    return Validations(whole, schematypes.declaration(whole)).check({"a": value}, Path(""), before)


def found(schema: dict[str, Any], value: Any, old: Any = MISSING) -> list[str]:
    return [str(error) for error in checked(schema, value, old).errors]


@pytest.mark.parametrize(
    ("schema", "value", "errors"),
    [
        (ruled("self.x <= self.y", x=INTEGER, y=INTEGER), {"x": 1, "y": 2}, []),
        (
            ruled("self.x <= self.y", x=INTEGER, y=INTEGER),
            {"x": 3, "y": 2},
            ["a: Invalid value: failed rule: self.x <= self.y"],
        ),
        (
            ruled({"rule": "self.x > 1", "message": " too small "}, x=INTEGER),
            {"x": 1},
            ["a: Invalid value: too small"],
        ),
        (
            ruled({"rule": "self.x > 1", "messageExpression": "'x is ' + string(self.x)"}, x=INTEGER),
            {"x": 1},
            ["a: Invalid value: x is 1"],
        ),
        (  # a message that fails, is empty or has several lines is none
            ruled({"rule": "self.x > 1", "message": "m", "messageExpression": "self.y"}, x=INTEGER, y=TEXT),
            {"x": 1},
            ["a: Invalid value: m"],
        ),
        (
            ruled({"rule": "self.x > 1", "messageExpression": "'a\\nb'"}, x=INTEGER),
            {"x": 1},
            ["a: Invalid value: failed rule: self.x > 1"],
        ),
        (
            ruled({"rule": "false", "reason": "FieldValueForbidden", "fieldPath": ".x"}, x=INTEGER),
            {},
            ["a.x: Forbidden: failed rule: false"],
        ),
        (
            ruled({"rule": "false", "reason": "FieldValueRequired", "fieldPath": "['x']"}, x=INTEGER),
            {},
            ["a.x: Required value: failed rule: false"],
        ),
        (
            ruled({"rule": "false", "reason": "FieldValueDuplicate"}, x=INTEGER),
            {},
            ["a: Duplicate value"],
        ),
        (
            ruled("self.x > 1", x=INTEGER),
            {},
            ['a: Invalid value: "object": no such key: x evaluating rule: self.x > 1'],
        ),
        (
            ruled({"rule": "1 / self.x > 1", "message": "m"}, x=INTEGER),
            {"x": 0},
            ['a: Invalid value: "object": division by zero evaluating rule: m'],
        ),
        (ruled("!has(self.x) || self.x > 1", x=INTEGER), {}, []),
        (
            ruled("self.a__dash__b == self.__namespace__", **{"a-b": TEXT, "namespace": TEXT}),
            {"a-b": "x", "namespace": "x"},
            [],
        ),
        (ruled("self.b == b'a'", b={**TEXT, "format": "byte"}), {"b": "YQ=="}, []),
        (
            ruled("self.until > timestamp('2020-01-01T00:00:00Z')", until={**TEXT, "format": "date-time"}),
            {"until": "2019-01-01T00:00:00Z"},
            ["a: Invalid value: failed rule: self.until > timestamp('2020-01-01T00:00:00Z')"],
        ),
        (
            ruled("self.v > 3", v={"x-kubernetes-int-or-string": True}),
            {"v": "x"},
            [
                "a: Invalid value: \"object\": 'no such overload': call arguments did not match a supported operator, "
                "function or macro signature for rule: self.v > 3"
            ],
        ),
        (
            {"type": "array", "items": {**INTEGER, "x-kubernetes-validations": [{"rule": "self > 1"}]}},
            [2, 1],
            ["a[1]: Invalid value: 1: failed rule: self > 1"],
        ),
        (
            {"type": "object", "additionalProperties": {**TEXT, "x-kubernetes-validations": [{"rule": "self != 'x'"}]}},
            {"k": "x"},
            ["a[k]: Invalid value: \"x\": failed rule: self != 'x'"],
        ),
    ],
)
def test_rules(schema: dict[str, Any], value: Any, errors: list[str]) -> None:
    assert found(schema, value) == errors


@pytest.mark.parametrize(
    ("rule", "old", "new", "broken", "warned"),
    [
        ("self.x == oldSelf.x", MISSING, {"x": 1}, False, False),
        ("self.x == oldSelf.x", {"x": 1}, {"x": 1}, False, False),
        ("self.x == oldSelf.x", {"x": 1}, {"x": 2}, True, False),
        ("self.x > 5", {"x": 1}, {"x": 1}, False, True),  # as it was: ratcheting
        ("self.x > 5", {"x": 1}, {"x": 2}, True, False),
        ("self.x > 5 || oldSelf.x > 5", {"x": 1}, {"x": 1}, True, False),  # speaks of what was: no ratcheting
    ],
)
def test_updates(rule: str, old: Any, new: Any, broken: bool, warned: bool) -> None:
    outcome = checked(ruled(rule, x=INTEGER), new, old)
    assert (bool(outcome.errors), bool(outcome.warnings)) == (broken, warned)


@pytest.mark.parametrize(("old", "broken"), [(MISSING, True), ({"x": 1}, False), ({"x": 9}, True)])
def test_rules_with_an_optional_old_self_are_asked_on_creation_too(old: Any, broken: bool) -> None:
    rule = {"rule": "oldSelf.hasValue() && oldSelf.value().x < 5", "optionalOldSelf": True}
    assert bool(found(ruled(rule, x=INTEGER), {"x": 2}, old)) is broken


def test_items_of_map_lists_know_what_they_were() -> None:
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    schema = {"type": "array", **keyed, "items": ruled("self.n >= oldSelf.n", k=TEXT, n=INTEGER)}
    errors = found(schema, [{"k": "new", "n": 0}, {"k": "p", "n": 1}], [{"k": "p", "n": 2}])
    assert [text.partition(":")[0] for text in errors] == ["a[1]"]


def test_rules_share_a_budget() -> None:
    """Of 10,000,000 for an object and 1,000,000 for each call; who exceeds it is told, and no other rule is asked."""
    costly = "self.x.all(a, self.x.all(b, self.x.all(c, a + b + c >= 0)))"
    schema = ruled(costly, "false", x={"type": "array", "items": INTEGER})
    (error,) = found(schema, {"x": list(range(200))})
    assert error == (
        "a: Invalid value: \"object\": 'operation cancelled: actual cost limit exceeded': "
        f"no further validation rules will be run due to call cost exceeds limit for rule: {costly}"
    )
    half = ruled("self.x.all(a, self.x.all(b, a + b >= 0))", x={"type": "array", "items": INTEGER})
    errors = found({"type": "array", "items": half}, [{"x": list(range(250))}] * 40)
    assert len(errors) == 1 and "validation failed due to running out of cost budget" in errors[0]


def test_dear_rules_leave_the_event_loop_and_say_the_same() -> None:
    """One call that is dear, and many that are cheap."""
    numbers = {"type": "array", "items": INTEGER}
    once = ruled("self.x.exists(a, self.x.exists(b, a + b < 0))", x=numbers), {"x": [*range(150)]}
    often = {"type": "array", "items": ruled("self.x.all(a, a >= 0)", x=numbers)}, [{"x": [*range(50), -1]}] * 400
    for schema, value in (once, often):
        threads: list[str] = []

        def work(schema: dict[str, Any] = schema, value: Any = value, threads: list[str] = threads) -> list[str]:
            threads.append(threading.current_thread().name)
            return found(schema, value)

        assert asyncio.run(apart.run(0, work)) == found(schema, value)
        assert len(threads) == 2 and threads[1].startswith("apart")
    assert asyncio.run(apart.run(0, found, ruled("self.x >= 0", x=INTEGER), {"x": -1})) != []
