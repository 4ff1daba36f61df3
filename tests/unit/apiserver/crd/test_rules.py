"""Rules of definitions: what is refused, where and with which words."""

from typing import Any

import pytest

from pybernetes.api.field import Path
from pybernetes.apiserver.crd import rules

TEXT = {"type": "string", "maxLength": 10}


def errors(schema: dict[str, Any]) -> list[str]:
    return [str(error) for error in rules.rule_errors(schema, Path("s"))]


def ruled(rule: dict[str, Any], **more: Any) -> dict[str, Any]:
    properties = {"x": TEXT, "n": {"type": "integer"}, "m": {"type": "object", "additionalProperties": TEXT}}
    return {"type": "object", "properties": properties, "x-kubernetes-validations": [rule], **more}


@pytest.mark.parametrize(
    ("rule", "places"),
    [
        ({"rule": " "}, ["rule: Required value: rule is not specified"]),
        ({"rule": "true", "reason": "Odd"}, ['reason: Unsupported value: "Odd"']),
        ({"rule": "true", "message": " "}, ["message: Invalid value: \" \": must be non-empty if specified"]),
        ({"rule": "true", "message": "a\nb"}, ["message: Invalid value: \"a\\nb\": must not contain line breaks"]),
        ({"rule": "true\n|| false"}, ["message: Required value: message must be specified if rule contains line breaks"]),
        ({"rule": "true", "messageExpression": " "}, ["messageExpression: Required value"]),
        ({"rule": "true", "fieldPath": ".nothing"}, ['fieldPath: Invalid value: ".nothing": must be a valid path']),
        ({"rule": "true", "fieldPath": "x"}, ['fieldPath: Invalid value: "x": must be a valid path']),
        ({"rule": "true", "fieldPath": ".m['k']"}, []),
        ({"rule": "true", "optionalOldSelf": True}, ["optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule"]),
        ({"rule": "oldSelf.hasValue()", "optionalOldSelf": True}, []),
    ],
)  # fmt: skip
def test_forms(rule: dict[str, Any], places: list[str]) -> None:
    told = [text.removeprefix("s.x-kubernetes-validations[0].") for text in errors(ruled(rule))]
    assert len(told) == len(places) and all(map(str.startswith, told, places)), told


def test_expressions_are_refused_with_the_rule_and_the_place() -> None:
    (told,) = errors(ruled({"rule": "self.y == 'a'"}))
    assert told == (
        's.x-kubernetes-validations[0].rule: Invalid value: {"Rule":"self.y == \'a\'","Message":"","MessageExpression":"",'
        '"Reason":null,"FieldPath":"","OptionalOldSelf":null}: compilation failed: '
        "ERROR: <input>:1:5: undefined field 'y'\n | self.y == 'a'\n | ....^"
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"rule": "self.n == 'a'"}, "found no matching overload for '_==_' applied to '(int, string)'"),
        ({"rule": "self.x.frob()"}, "undeclared reference to 'frob' (in container '')"),
        ({"rule": "self.n + 1"}, "rule: Invalid value: {"),
        ({"rule": "self.n + 1"}, "cel expression must evaluate to a bool"),
        ({"rule": "true", "messageExpression": "1"}, "messageExpression must evaluate to a string"),
        ({"rule": "true", "messageExpression": "self.y"}, "messageExpression compilation failed: ERROR: "),
        ({"rule": "self.x.matches('a(')"}, "invalid matches argument"),
        ({"rule": "self.n in [1, 'a']"}, "expected type 'int' but found 'string'"),
        ({"rule": "1 +"}, "Syntax error: mismatched input '<EOF>' expecting"),
    ],
)
def test_expressions(rule: dict[str, Any], words: str) -> None:
    (told,) = errors(ruled(rule))
    assert words in told


@pytest.mark.parametrize(
    ("list_type", "refused"), [({}, True), ({"x-kubernetes-list-type": "set"}, True),
                               ({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["x"]}, False)],
)  # fmt: skip
def test_what_was_is_not_known_of_items_without_keys(list_type: dict[str, Any], refused: bool) -> None:
    schema = {
        "type": "object",
        "properties": {
            "l": {"type": "array", "maxItems": 10, "items": ruled({"rule": "self.x == oldSelf.x"}), **list_type}
        },
    }
    told = errors(schema)
    text = "oldSelf cannot be used on the uncorrelatable portion of the schema within s.properties[l]"
    assert [text in each for each in told] == ([True] if refused else [])


def test_faults_of_form_hide_those_of_expressions() -> None:
    below = ruled({"rule": " "})
    assert (
        len(errors({"type": "object", "properties": {"b": below}, "x-kubernetes-validations": [{"rule": "nothing"}]}))
        == 1
    )


UNBOUNDED = {"type": "array", "items": {"type": "string"}}


@pytest.mark.parametrize(
    ("rule", "bounds", "words"),
    [
        ({"rule": "self.l.all(x, self.l.all(y, x == y))"}, {}, ["estimated rule cost exceeds budget by factor of more than 100x"]),
        ({"rule": "self.l.all(x, self.l.all(y, x.size() == y.size()))"}, {"maxItems": 10}, []),
        ({"rule": "self.l.all(x, x.startsWith('a'))"}, {}, []),
        ({"rule": "self.l.exists(x, x == 'a')", "messageExpression": "self.l.join(self.l.join(','))"}, {},
         ["estimated messageExpression cost exceeds budget by factor of more than 100x"]),
        ({"rule": "self.l.all(x, self.l.all(y, x == y))"}, {"maxItems": 700},
         ["estimated rule cost exceeds budget by factor of "]),
    ],
)  # fmt: skip
def test_costs(rule: dict[str, Any], bounds: dict[str, Any], words: list[str]) -> None:
    """The one rule is named, and the total that it is most of."""
    schema = {"type": "object", "properties": {"l": {**UNBOUNDED, **bounds}}, "x-kubernetes-validations": [rule]}
    told = errors(schema)
    assert [any(word in each for each in told) for word in words] == [True] * len(words)
    assert bool(told) is bool(words), told
    assert [text for text in errors_unpriced(schema) if "estimated rule cost exceeds" in text] == []


def errors_unpriced(schema: dict[str, Any]) -> list[str]:
    return [str(error) for error in rules.rule_errors(schema, Path("s"), priced=False)]


def test_all_rules_of_a_version_share_a_limit() -> None:
    rule = {"rule": "self.l.all(x, x.size() < 10)"}
    places = {
        f"p{index}": {"type": "object", "properties": {"l": UNBOUNDED}, "x-kubernetes-validations": [rule]}
        for index in range(30)
    }
    told = errors({"type": "object", "properties": places})
    assert [text.partition(": ")[2][:60] for text in told[:-1]] == [
        "Forbidden: contributed to estimated rule cost total exceedin"
    ] * 4
    assert told[-1].startswith(
        "s: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of"
    )
