"""Schemas as types and JSON as values: what rules see, and what they do not."""

from typing import Any

import pytest

from pybernetes.cel import schematypes
from pybernetes.cel.environment import environment
from pybernetes.cel.errors import CelError
from pybernetes.cel.escaping import escaped

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


def listed(kind: str, items: dict[str, Any], *keys: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array", "items": items, "x-kubernetes-list-type": kind}
    return {**schema, "x-kubernetes-list-map-keys": list(keys)} if keys else schema


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def asked(schema: dict[str, Any], value: Any, source: str, root: bool = False) -> Any:
    declared = schematypes.declaration(schema, root)
    assert declared is not None
    try:
        program = environment({"self": declared.type}).compile(source)
        return program.evaluate({"self": schematypes.reader(schema, root)(value)})
    except CelError as error:
        return str(error).partition("\n")[0]


@pytest.mark.parametrize(
    ("schema", "value", "source", "expected"),
    [
        (obj(v={"type": "number"}), {"v": 1}, "type(self.v) == double && self.v == 1.0", True),
        (obj(v={"x-kubernetes-int-or-string": True}), {"v": "5%"}, "type(self.v) == string && self.v == '5%'", True),
        (obj(v={"x-kubernetes-int-or-string": True}), {"v": 5}, "self.v > 3", True),
        (obj(v={**TEXT, "format": "byte"}), {"v": "aGk="}, "self.v == b'hi'", True),
        (obj(v={**TEXT, "format": "date"}), {"v": "2020-02-29"}, "self.v.getDate()", 29),
        (
            obj(v={**TEXT, "format": "date-time"}),
            {"v": "2020-01-01T00:00:00+01:00"},
            "self.v < timestamp('2020-01-01T00:00:00Z')",
            True,
        ),
        (obj(v={**TEXT, "format": "duration"}), {"v": "1h"}, "self.v.getMinutes()", 60),
        (obj(v={**TEXT, "format": "duration"}), {"v": "2 days"}, "self.v.getHours()", 48),
        (obj(v={**TEXT, "format": "uuid"}), {"v": "x"}, "self.v + 'y'", "xy"),
        (obj(v=NUMBER), {}, "has(self.v)", False),
        (obj(v=NUMBER), {}, "self.v", "no such key: v"),
        (obj(v={**NUMBER, "nullable": True}), {"v": None}, "has(self.v)", False),
        (obj(v=NUMBER), {"v": 1}, "self.w", "ERROR: <input>:1:5: undefined field 'w'"),
        (obj(v=TEXT), {"v": "a", "other": 1}, "self.other", "ERROR: <input>:1:5: undefined field 'other'"),
        (
            obj(v={"x-kubernetes-preserve-unknown-fields": True}),
            {"v": {"a": 1}},
            "self.v",
            "ERROR: <input>:1:5: undefined field 'v'",
        ),
        (
            obj(v={"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
            {"v": {"a": 1}},
            "self.v.a",
            "ERROR: <input>:1:7: undefined field 'a'",
        ),
        (obj(v={"type": "object", "x-kubernetes-preserve-unknown-fields": True}), {"v": {"a": 1}}, "has(self.v)", True),
        (obj(on={"type": "boolean"}), {"on": True}, "self.on", True),
        (
            obj(**{"in-use": TEXT, "a.b": TEXT, "c/d": TEXT, "e__f": TEXT}),
            {"in-use": "1", "a.b": "2", "c/d": "3", "e__f": "4"},
            "self.in__dash__use + self.a__dot__b + self.c__slash__d + self.e__underscores__f",
            "1234",
        ),
        (
            obj(namespace=TEXT, **{"while": TEXT}),
            {"namespace": "n", "while": "w"},
            "self.__namespace__ + self.namespace + self.__while__ + self.while",
            "nnww",
        ),
        (
            obj(m={"type": "object", "additionalProperties": NUMBER}),
            {"m": {"a-b": 1}},
            "self.m['a-b'] + self.m.size()",
            2,
        ),
        (
            obj(m={"type": "object", "additionalProperties": {"type": "number"}}),
            {"m": {"a": 1}},
            "self.m.all(k, self.m[k] == 1.0)",
            True,
        ),
        (obj(a=NUMBER, b=TEXT), {"b": "x", "a": 1}, "self.a == 1 && self == self", True),
    ],
)
def test_values(schema: dict[str, Any], value: Any, source: str, expected: Any) -> None:
    assert asked(schema, value, source) == expected


SET, MAP = listed("set", TEXT), listed("map", obj(k=TEXT, v=NUMBER), "k")
ATOMIC = listed("atomic", TEXT)


@pytest.mark.parametrize(
    ("schema", "one", "other", "source", "expected"),
    [
        (SET, ["a", "b"], ["b", "a"], "self.x == self.y", True),
        (SET, ["a", "b"], ["b", "c"], "self.x == self.y", False),
        (SET, ["a", "b"], ["b", "c"], "(self.x + self.y).size() == 3 && (self.x + self.y)[2] == 'c'", True),
        (ATOMIC, ["a", "b"], ["b", "a"], "self.x == self.y", False),
        (ATOMIC, ["a"], ["a"], "self.x + self.y == ['a', 'a']", True),
        (
            MAP,
            [{"k": "a", "v": 1}, {"k": "b", "v": 2}],
            [{"k": "b", "v": 2}, {"k": "a", "v": 1}],
            "self.x == self.y",
            True,
        ),
        (MAP, [{"k": "a", "v": 1}], [{"k": "a", "v": 2}], "self.x == self.y", False),
        (
            MAP,
            [{"k": "a", "v": 1}, {"k": "b", "v": 2}],
            [{"k": "c", "v": 3}, {"k": "a", "v": 9}],
            "(self.x + self.y).map(e, e.k + string(e.v)) == ['a9', 'b2', 'c3']",
            True,
        ),
        (MAP, [{"k": "a", "v": 1, "unknown": 1}], [{"k": "a", "v": 1, "unknown": 2}], "self.x == self.y", False),
        (
            obj(v={"x-kubernetes-preserve-unknown-fields": True}),
            {"v": {"a": 1}},
            {"v": {"a": 2}},
            "self.x == self.y",
            False,
        ),
        (
            obj(v={"x-kubernetes-preserve-unknown-fields": True}),
            {"v": {"a": 1}},
            {"v": {"a": 1}},
            "self.x == self.y",
            True,
        ),
    ],
)
def test_equality_and_sums_follow_the_schema(schema: Any, one: Any, other: Any, source: str, expected: bool) -> None:
    """Both are of one place: objects of two places are of two types."""
    both = source.replace("self.x", "self.l[0]").replace("self.y", "self.l[1]")
    assert asked(obj(l={"type": "array", "items": schema}), {"l": [one, other]}, both) is expected


def test_roots_and_embedded_resources_have_a_name() -> None:
    embedded = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    value = {
        "apiVersion": "v1",
        "kind": "X",
        "metadata": {"name": "n", "labels": {}},
        "e": {"kind": "Y", "metadata": {"generateName": "g"}},
    }
    assert (
        asked(
            obj(e=embedded),
            value,
            "self.kind + self.metadata.name + self.e.kind + self.e.metadata.generateName",
            root=True,
        )
        == "XnYg"
    )
    assert "undefined field 'labels'" in asked(obj(e=embedded), value, "self.metadata.labels", root=True)
    assert "undefined field 'kind'" in asked(obj(e=embedded), value, "self.kind")


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("a", "a"),
        ("a-b", "a__dash__b"),
        ("a.b/c", "a__dot__b__slash__c"),
        ("a__b", "a__underscores__b"),
        ("namespace", "__namespace__"),
        ("on", "on"),
        ("_a", "_a"),
        ("1a", None),
        ("a b", None),
        ("", None),
        ("é", None),
        ("while", "__while__"),
        ("int", "int"),
    ],
)
def test_names(name: str, identifier: str | None) -> None:
    assert escaped(name) == identifier


@pytest.mark.parametrize(
    "schema", [{}, {"type": "array"}, {"type": "array", "items": {}}, {"type": "object", "additionalProperties": {}}]
)
def test_what_expressions_may_not_speak_of_has_no_type(schema: dict[str, Any]) -> None:
    assert schematypes.declaration(schema) is None


def test_sizes_are_what_the_schema_allows() -> None:
    def largest(schema: dict[str, Any]) -> int:
        declared = schematypes.declaration(schema)
        assert declared is not None
        return declared.largest

    assert largest({**TEXT, "maxLength": 5}) == 20  # characters may have four bytes
    assert largest({**TEXT, "enum": ["a", "abc"]}) == 3
    assert largest(TEXT) == 3 * 1024 * 1024 - 2
    assert largest({"type": "array", "items": TEXT}) == (3 * 1024 * 1024 - 2) // 3
    assert largest({"type": "array", "items": TEXT, "maxItems": 7}) == 7
    assert largest({"type": "object", "additionalProperties": NUMBER}) == (3 * 1024 * 1024 - 2) // 7
