"""Pruning, defaults, nulls, list types and embedded resources of structural schemas."""

import copy
from typing import Any

import pytest

from pybernetes.api.field import Path
from pybernetes.apiserver.crd import listtypes, objectmeta
from pybernetes.apiserver.crd.structural import Structural, prepare, prune, whole_numbers

TEXT = {"type": "string"}
PRESERVE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
EMBEDDED = {"type": "object", "x-kubernetes-embedded-resource": True}


def spec(**properties: Any) -> Structural:
    return Structural({"type": "object", "properties": properties})


@pytest.mark.parametrize(
    ("schema", "value", "kept", "unknown"),
    [
        (spec(a=TEXT), {"a": "1", "b": 2}, {"a": "1"}, ["b"]),
        (spec(o={"type": "object", "properties": {"a": TEXT}}), {"o": {"a": "1", "b": 2}}, {"o": {"a": "1"}}, ["o.b"]),
        (spec(o={"type": "object"}), {"o": {"b": 2}}, {"o": {}}, ["o.b"]),
        (spec(o=PRESERVE), {"o": {"b": {"c": 2}}}, {"o": {"b": {"c": 2}}}, []),
        (
            spec(o={**PRESERVE, "properties": {"a": {"type": "object", "properties": {"x": TEXT}}}}),
            {"o": {"a": {"x": "", "y": 1}, "b": {}}},
            {"o": {"a": {"x": ""}, "b": {}}},
            ["o.a.y"],
        ),
        (spec(m={"type": "object", "additionalProperties": TEXT}), {"m": {"k": "v"}}, {"m": {"k": "v"}}, []),
        (
            spec(m={"type": "object", "additionalProperties": {"type": "object", "properties": {"a": TEXT}}}),
            {"m": {"k": {"b": 1}}},
            {"m": {"k": {}}},
            ["m.k.b"],
        ),
        (
            spec(m={"type": "object", "additionalProperties": True}),
            {"m": {"k": {"b": 1}, "n": 1}},
            {"m": {"k": {}, "n": 1}},
            ["m.k.b"],
        ),
        (
            spec(l={"type": "array", "items": {"type": "object", "properties": {"a": TEXT}}}),
            {"l": [{"a": ""}, {"b": 1}]},
            {"l": [{"a": ""}, {}]},
            ["l[1].b"],
        ),
        (
            spec(e={**EMBEDDED, "properties": {"a": TEXT}}),
            {"e": {"kind": "K", "metadata": {}, "b": 1}},
            {"e": {"kind": "K", "metadata": {}}},
            ["e.b"],
        ),
    ],
)
def test_prune(schema: Structural, value: Any, kept: Any, unknown: list[str]) -> None:
    assert (prune(value, schema), value) == (unknown, kept)


def test_the_root_keeps_what_every_resource_has() -> None:
    obj = {"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n"}, "x": 1}
    assert prune(
        obj, Structural({"type": "object", "properties": {"metadata": {"type": "object"}}}, root=True), root=True
    ) == ["x"]
    assert obj == {"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n"}}


@pytest.mark.parametrize(
    ("schema", "value", "made"),
    [
        (spec(a={**TEXT, "default": "A"}), {}, {"a": "A"}),
        (spec(a={**TEXT, "default": "A"}), {"a": None}, {"a": "A"}),
        (spec(a={**TEXT, "default": "A", "nullable": True}), {"a": None}, {"a": None}),
        (spec(a=TEXT), {"a": None}, {}),
        (spec(a={**TEXT, "nullable": True}), {"a": None}, {"a": None}),
        (spec(o={"type": "object", "properties": {"a": {**TEXT, "default": "A"}}}), {}, {}),
        (
            spec(o={"type": "object", "default": {}, "properties": {"a": {**TEXT, "default": "A"}}}),
            {},
            {"o": {"a": "A"}},
        ),
        (spec(l={"type": "array", "items": {**TEXT, "default": "A"}}), {"l": [None, "b"]}, {"l": ["A", "b"]}),
        (
            spec(m={"type": "object", "additionalProperties": {**TEXT, "default": "A"}}),
            {"m": {"k": None}},
            {"m": {"k": "A"}},
        ),
        (spec(m={"type": "object", "additionalProperties": TEXT}), {"m": {"k": None}}, {"m": {"k": None}}),
    ],
)
def test_defaults_and_nulls(schema: Structural, value: Any, made: Any) -> None:
    prepare(value, schema)
    assert value == made
    again = copy.deepcopy(value)
    prepare(again, schema)
    assert again == made


def test_a_default_is_nobody_elses() -> None:
    schema = spec(o={"type": "object", "default": {"l": []}, "properties": {"l": {"type": "array", "items": TEXT}}})
    first: Any = {}
    prepare(first, schema)
    first["o"]["l"].append("x")
    second: Any = {}
    prepare(second, schema)
    assert second == {"o": {"l": []}}


def test_whole_numbers_are_integers() -> None:
    assert whole_numbers({"a": 1.0, "b": [2.5, 3.0], "c": 1e30}) == {"a": 1, "b": [2.5, 3], "c": 1e30}


@pytest.mark.parametrize(
    ("kind", "items", "value", "paths"),
    [
        ("set", TEXT, ["a", "b", "a"], ["l[2]"]),
        ("set", {"type": "integer"}, [1, 2], []),
        ("map", {"type": "object", "properties": {"k": TEXT}}, [{"k": "a"}, {"k": "a", "v": 1}], ["l[1]"]),
        ("map", {"type": "object", "properties": {"k": TEXT}}, [{"k": "a"}, {"k": "b"}, {}], []),
        ("atomic", TEXT, ["a", "a"], []),
    ],
)
def test_lists_that_are_sets_or_maps(kind: str, items: Any, value: Any, paths: list[str]) -> None:
    one = {"type": "array", "items": items, "x-kubernetes-list-type": kind, "x-kubernetes-list-map-keys": ["k"]}
    assert [e.field for e in listtypes.duplicates({"l": value}, spec(l=one), Path(""))] == paths


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"apiVersion": "v1", "kind": "Pod"}, []),
        ({}, ["e.apiVersion: Required value: must not be empty", "e.kind: Required value: must not be empty"]),
        (
            {"apiVersion": "a/b/c", "kind": "Pod"},
            ['e.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c'],
        ),
        (
            {"apiVersion": 1, "kind": ""},
            ["e.apiVersion: Invalid value: 1: must be a string", 'e.kind: Invalid value: "": must not be empty'],
        ),
    ],
)
def test_embedded_resources(value: Any, found: list[str]) -> None:
    schema = spec(e={**EMBEDDED, "x-kubernetes-preserve-unknown-fields": True})
    assert [str(e) for e in objectmeta.validate_embedded({"e": value}, schema, Path(""))] == found
