"""Tables for the three patch formats."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.api.patch import PatchError, json_patch, merge_patch
from pybernetes.api.strategicpatch import FieldMerge, FieldTable, strategic_merge_patch

CONTAINER = FieldTable(
    {
        "ports": FieldMerge(FieldTable(), "merge", "containerPort"),
        "env": FieldMerge(FieldTable(), "merge", "name"),
        "args": FieldMerge(),
    }
)
SCHEMA = FieldTable(
    {
        "containers": FieldMerge(CONTAINER, "merge", "name"),
        "finalizers": FieldMerge(None, "merge"),
        "volumes": FieldMerge(FieldTable(), "merge,retainKeys", "name"),
        "strategy": FieldMerge(FieldTable(), "retainKeys"),
        "whole": FieldMerge(FieldTable(), "replace"),
        "keyless": FieldMerge(None, "merge"),
    }
)


def named(*names: str) -> list[dict[str, Any]]:
    return [{"name": name} for name in names]


@pytest.mark.parametrize(
    ("document", "operation", "expected"),
    [
        ({"a": 1}, {"op": "add", "path": "/b", "value": 2}, {"a": 1, "b": 2}),
        ({"a": [1, 3]}, {"op": "add", "path": "/a/1", "value": 2}, {"a": [1, 2, 3]}),
        ({"a": [1]}, {"op": "add", "path": "/a/-", "value": None}, {"a": [1, None]}),
        ({"a": [1]}, {"op": "add", "path": "/a/1", "value": 2}, {"a": [1, 2]}),
        ({}, {"op": "add", "path": "/", "value": 1}, {"": 1}),
        ({"a": 1, "b": 2}, {"op": "remove", "path": "/a"}, {"b": 2}),
        ({"a": [1, 2]}, {"op": "remove", "path": "/a/0"}, {"a": [2]}),
        ({"a/b": 1, "m~n": 2}, {"op": "remove", "path": "/a~1b"}, {"m~n": 2}),
        ({"m~n": 2}, {"op": "replace", "path": "/m~0n", "value": 3}, {"m~n": 3}),
        ({"~1": 1}, {"op": "replace", "path": "/~01", "value": 2}, {"~1": 2}),
        ([1, 2], {"op": "replace", "path": "/1", "value": 3}, [1, 3]),
        ({"a": 1}, {"op": "replace", "path": "", "value": [5]}, [5]),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a/b", "path": "/c"}, {"a": {}, "c": 1}),
        ([1, 2, 3], {"op": "move", "from": "/0", "path": "/2"}, [2, 3, 1]),
        ({"a": 1}, {"op": "move", "from": "/a", "path": "/a"}, {"a": 1}),
        ({"a": [1]}, {"op": "copy", "from": "/a", "path": "/b"}, {"a": [1], "b": [1]}),
        ({"a": {"x": [1]}}, {"op": "test", "path": "/a", "value": {"x": [1]}}, {"a": {"x": [1]}}),
        ({"a": 1}, {"op": "test", "path": "", "value": {"a": 1}}, {"a": 1}),
        # Where upstream's library goes beyond the RFC, or does not know it.
        ({}, {"op": "replace", "path": "/a", "value": 1}, {"a": 1}),
        ({"a": {}}, {"op": "replace", "path": "/a/b", "value": None}, {"a": {"b": None}}),
        ({}, {"op": "copy", "from": "/a", "path": "/b"}, {"b": None}),
        ({}, {"op": "test", "path": "/a", "value": None}, {}),
        ({"a": None}, {"op": "test", "path": "/a"}, {"a": None}),
        ({}, {"op": "add", "path": "/a"}, {"a": None}),
        ({"a": 1}, {"op": "replace", "path": "/a"}, {"a": None}),
        ({}, {"op": "add", "path": "x/a", "value": 1}, {"a": 1}),
        ({}, {"op": "add", "path": "/a~2", "value": 1}, {"a~2": 1}),
        ([1, 2], {"op": "remove", "path": "/-1"}, [1]),
        ([1, 2], {"op": "replace", "path": "/-2", "value": 3}, [3, 2]),
        ([1, 2], {"op": "add", "path": "/-1", "value": 3}, [1, 2, 3]),
        ([1, 2], {"op": "add", "path": "/-3", "value": 3}, [3, 1, 2]),
        ([1, 2], {"op": "test", "path": "/-1", "value": 2}, [1, 2]),
        ([1, 2], {"op": "remove", "path": "/+01"}, [1]),
    ],
)
def test_json_patch(document: Any, operation: dict[str, Any], expected: Any) -> None:
    before = deepcopy((document, operation))
    assert json_patch(document, [operation]) == expected
    assert (document, operation) == before


@pytest.mark.parametrize(
    ("document", "operation", "reason"),
    [
        ({}, {"op": "remove", "path": "/a"}, "does not exist"),
        ({}, {"op": "add", "path": "/a/b", "value": 1}, "does not exist"),
        ({}, {"op": "add", "path": "a", "value": 1}, "must have a '/'"),
        ({}, {"op": "replace", "path": "/a/b", "value": 1}, "does not exist"),
        ({}, {"op": "move", "from": "/a", "path": "/b"}, "does not exist"),
        ({"a": None}, {"op": "add", "path": "/a/b", "value": 1}, "scalar"),
        ([1], {"op": "remove", "path": "/-2"}, "out of range"),
        ([1], {"op": "add", "path": "/-3", "value": 1}, "out of range"),
        ([1], {"op": "remove", "path": "/\u00b2"}, "not an array index"),
        ([1], {"op": "remove", "path": "/" + "9" * 5000}, "not an array index"),
        ({"a": 1}, {"op": "add", "path": "", "value": {}}, "must have a '/'"),
        ({"a": 1}, {"op": "replace", "path": "", "value": 5}, "an object or a list"),
        ({"a": 1}, {"op": "test", "path": "/a", "value": 1.0}, "differs"),
        ({"a": 1}, {"op": "test", "path": "/a"}, "differs"),
        ({"a": None}, {"op": "test", "path": "/a", "value": {}}, "differs"),
        ([1], {"op": "add", "path": "/2", "value": 1}, "out of range"),
        ([1], {"op": "remove", "path": "/1"}, "out of range"),
        ([1], {"op": "remove", "path": "/-"}, "not an array index"),
        ({"a": 1}, {"op": "add", "path": "/a/b", "value": 1}, "scalar"),
        ({"a": 1}, {"op": "remove", "path": "/a/b"}, "scalar"),
        ({"a": 1}, {"op": "remove", "path": ""}, "must have a '/'"),
        ({"a": {}}, {"op": "move", "from": "/a", "path": "/a/b"}, "into itself"),
        ({"a": {}}, {"op": "copy", "path": "/b"}, "'from' is missing"),
        ({"a": 1}, {"op": "test", "path": "/a", "value": True}, "differs"),
        ({"a": 1}, {"op": "test", "path": "/a", "value": "1"}, "differs"),
        ({}, {"op": "frob", "path": "/a"}, "unknown operation"),
    ],
)
def test_json_patch_errors_name_path_and_op(document: Any, operation: dict[str, Any], reason: str) -> None:
    with pytest.raises(PatchError) as caught:
        json_patch(document, [operation])
    assert reason in str(caught.value)
    assert (caught.value.op, caught.value.path) == (operation["op"], operation["path"])


@pytest.mark.parametrize("operations", ["add", {"op": "add"}, ["add"], [{"op": "add"}], [{}]])
def test_json_patch_rejects_malformed(operations: Any) -> None:
    with pytest.raises(PatchError):
        json_patch({}, operations)


def test_json_patch_failure_leaves_document() -> None:
    document = {"a": [1]}
    with pytest.raises(PatchError):
        json_patch(document, [{"op": "add", "path": "/a/-", "value": 2}, {"op": "remove", "path": "/x"}])
    assert document == {"a": [1]}


def test_json_patch_copy_is_independent() -> None:
    operations: list[dict[str, Any]] = [
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/b/-", "value": 2},
    ]
    assert json_patch({"a": [1]}, operations) == {"a": [1], "b": [1, 2]}


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a"], ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(document: Any, patch: Any, expected: Any) -> None:
    before = deepcopy((document, patch))
    assert merge_patch(document, patch) == expected
    assert (document, patch) == before


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        pytest.param({"a": 1, "b": 2}, {"a": 3, "b": None, "c": 4}, {"a": 3, "c": 4}, id="scalars"),
        pytest.param({"m": {"a": 1}}, {"m": {"b": 2}}, {"m": {"a": 1, "b": 2}}, id="maps-merge"),
        pytest.param({"whole": {"a": 1}}, {"whole": {"b": 2}}, {"whole": {"b": 2}}, id="map-strategy-replace"),
        pytest.param({"m": {"a": 1}}, {"m": {"$patch": "replace", "b": 2}}, {"m": {"b": 2}}, id="map-replace"),
        pytest.param({"m": {"a": 1}}, {"m": {"$patch": "delete"}}, {"m": {}}, id="map-delete"),
        pytest.param({}, {"m": {"$patch": "replace", "b": 2}, "n": {"a": 1}}, {"n": {"a": 1}}, id="directive-alone"),
        pytest.param({"m": 1}, {"m": {"$patch": "delete"}}, {}, id="directive-for-another-type"),
        pytest.param(
            {}, {"m": {"l": [{"$patch": "replace"}, {"a": 1}]}}, {"m": {"l": [{"a": 1}]}}, id="directive-within"
        ),
        pytest.param({"a": 1}, {"$patch": "replace", "b": 2}, {"b": 2}, id="root-replace"),
        pytest.param({}, {"m": {"a": None, "b": {"c": None}}}, {"m": {"b": {}}}, id="unmatched-nulls"),
        pytest.param({"l": [1, 2]}, {"l": [3]}, {"l": [3]}, id="list-atomic"),
        pytest.param(
            {"containers": [{"name": "a", "image": "1"}, {"name": "b"}]},
            {"containers": [{"name": "a", "image": "2"}]},
            {"containers": [{"name": "a", "image": "2"}, {"name": "b"}]},
            id="list-merge",
        ),
        pytest.param(
            {"containers": named("a")}, {"containers": named("b")}, {"containers": named("b", "a")}, id="list-new-first"
        ),
        pytest.param(
            {"containers": named("a", "b")},
            {"containers": [{"$patch": "delete", "name": "a"}]},
            {"containers": named("b")},
            id="list-delete",
        ),
        pytest.param(
            {"containers": named("a", "b")},
            {"containers": [{"$patch": "replace"}, {"name": "c"}]},
            {"containers": named("c")},
            id="list-replace",
        ),
        pytest.param(
            {},
            {
                "containers": [{"name": "a"}, {"name": "b", "$patch": "delete"}],
                "$setElementOrder/containers": named("a"),
            },
            {"containers": named("a")},
            id="list-added",
        ),
        pytest.param(
            {"containers": [{"name": "a", "ports": [{"containerPort": 80}], "args": ["x"]}]},
            {"containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "web"}], "args": ["y"]}]},
            {"containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "web"}], "args": ["y"]}]},
            id="nested-lists",
        ),
        pytest.param({"finalizers": ["a", "b"]}, {"finalizers": ["c", "b"]}, {"finalizers": ["c", "a", "b"]}, id="set"),
        pytest.param(
            {"finalizers": ["a", "b", "a"]},
            {"$deleteFromPrimitiveList/finalizers": ["a", "z"]},
            {"finalizers": ["b"]},
            id="delete-primitives",
        ),
        pytest.param({}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {}, id="delete-primitives-absent"),
        pytest.param(
            {"finalizers": ["a", "b", "c"]},
            {"$setElementOrder/finalizers": ["c", "d", "a"], "finalizers": ["d"]},
            {"finalizers": ["b", "c", "d", "a"]},
            id="order-primitives",
        ),
        pytest.param(
            {"containers": named("a", "b", "c")},
            {"$setElementOrder/containers": named("c", "b", "a")},
            {"containers": named("c", "b", "a")},
            id="order-only",
        ),
        pytest.param(
            {"containers": named("a", "b")},
            {"$setElementOrder/containers": named("a", "c"), "containers": [{"name": "c"}]},
            {"containers": named("a", "c", "b")},
            id="order-new-item",
        ),
        pytest.param(
            {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}},
            {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}},
            {"strategy": {"type": "Recreate"}},
            id="retain-keys",
        ),
        pytest.param(
            {"volumes": [{"name": "v", "emptyDir": {}}]},
            {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]},
            {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]},
            id="retain-keys-in-list",
        ),
        pytest.param({"m": 1}, {"m": {"$retainKeys": ["a"], "a": 1}}, {"m": {"a": 1}}, id="type-change"),
    ],
)
def test_strategic(document: Any, patch: Any, expected: Any) -> None:
    before = deepcopy((document, patch))
    assert strategic_merge_patch(document, patch, SCHEMA) == expected
    assert (document, patch) == before


@pytest.mark.parametrize(
    ("document", "patch", "path", "op"),
    [
        ({"m": {}}, {"m": {"$patch": "frob"}}, "/m", "$patch"),
        ({"m": {}}, {"m": {"$retainKeys": ["a"], "b": 1}}, "/m", "$retainKeys"),
        ({"m": {}}, {"m": {"$retainKeys": "a"}}, "/m", "$retainKeys"),
        ({"containers": named("a")}, {"containers": [{"image": "x"}]}, "/containers", "merge"),
        ({"containers": named("a")}, {"containers": [{"$patch": "delete"}]}, "/containers", "merge"),
        ({"containers": named("a")}, {"containers": [{}]}, "/containers", "merge"),
        ({"containers": named("a")}, {"containers": ["a"]}, "/containers", "merge"),
        ({"keyless": [{"a": 1}]}, {"keyless": [{"a": 2}]}, "/keyless", "merge"),
        ({"finalizers": [[1]]}, {"finalizers": ["a"]}, "/finalizers", "merge"),
        (
            {"containers": named("a")},
            {"containers": named("b"), "$setElementOrder/containers": named("a")},
            "/containers",
            "$setElementOrder",
        ),
        (
            {"containers": named("a")},
            {"$deleteFromPrimitiveList/containers": ["a"]},
            "/containers",
            "merge",
        ),
        ([], {}, "", "strategic-merge"),
        ({}, None, "", "strategic-merge"),
    ],
)
def test_strategic_errors(document: Any, patch: Any, path: str, op: str) -> None:
    with pytest.raises(PatchError) as caught:
        strategic_merge_patch(document, patch, SCHEMA)
    assert (caught.value.path, caught.value.op) == (path, op)


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
JSON = st.recursive(
    SCALARS,
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text(max_size=3), child, max_size=3),
    max_leaves=8,
)
NAMES = st.lists(st.sampled_from("abcdef"), unique=True)


@given(JSON, JSON)
def test_merge_patch_is_idempotent(document: Any, patch: Any) -> None:
    once = merge_patch(document, patch)
    assert merge_patch(once, patch) == once


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3), st.text(max_size=3), JSON)
def test_json_patch_add_then_test_then_remove(document: dict[str, Any], key: str, value: Any) -> None:
    path = "/" + key.replace("~", "~0").replace("/", "~1")
    steps = [{"op": "add", "path": path, "value": value}, {"op": "test", "path": path, "value": value}]
    rest = {name: item for name, item in document.items() if name != key}
    assert json_patch(document, [*steps, {"op": "remove", "path": path}]) == rest


@given(NAMES, NAMES)
def test_strategic_list_merge_keeps_every_item_once(current: list[str], added: list[str]) -> None:
    merged = strategic_merge_patch({"containers": named(*current)}, {"containers": named(*added)}, SCHEMA)
    names = [item["name"] for item in merged["containers"]]
    assert sorted(names) == sorted({*current, *added})
    assert [name for name in names if name in added] == added
    assert [name for name in names if name not in added] == [name for name in current if name not in added]


@pytest.mark.parametrize(
    ("patch", "text", "malformed"),
    [
        ({"items": [{"x": 1}]}, "map: map[x:1] does not contain declared merge key: name", False),
        (
            {"items": [{"name": "a", "$patch": "wipe"}]},
            "unknown patch type: wipe in map: map[$patch:wipe name:a]",
            False,
        ),
        (
            {"$setElementOrder/items": [{"name": "b"}], "items": [{"name": "a", "x": [True, None]}]},
            "The order in patch list:\n[map[name:a x:[true <nil>]]]\n doesn't match $setElementOrder list:\n[map[name:b]]\n",
            False,
        ),
        (
            {"items": [{"name": "a", "$patch": "merge"}]},
            "merging lists cannot yet be specified in the patch",
            False,
        ),
        ({"map": {"$patch": "merge", "x": 1}}, "unknown patch type: merge in map: map[$patch:merge x:1]", False),
        ({"items": ["a"]}, "list element types are not identical: [[map[name:a]] [a]]", False),
        ({"items": [1, "a"]}, "list element types are not identical: [[map[name:a]] [1 a]]", False),
        ({"lists": [["a"]]}, "lists of lists are not supported", False),
        ({"$setElementOrder/none": []}, 'unable to find api field in struct Spec for the json field "none"', False),
        ({"$setElementOrder/items": "b"}, "expected a []interface {}, but received a string", False),
        ({"$retainKeys": ["b"], "a": 1}, "invalid patch format of retainKeys", True),
        ({"$retainKeys": "b"}, "invalid patch format of retainKeys", True),
    ],
)
def test_bad_strategic_patches_in_the_words_of_upstream(patch: dict[str, Any], text: str, malformed: bool) -> None:
    fields = {"items": FieldMerge(FieldTable(), "merge", "name"), "lists": FieldMerge(FieldTable(), "merge")}
    schema = FieldTable({**fields, "map": FieldMerge(FieldTable())}, FieldMerge(undeclared_in="Spec"))
    with pytest.raises(PatchError) as caught:
        strategic_merge_patch({"items": [{"name": "a"}], "lists": [["b"]], "map": {}}, patch, schema)
    assert (caught.value.text, caught.value.malformed) == (text, malformed)


def test_copies_of_copies_are_bounded() -> None:
    doubling = [{"op": "copy", "from": "/a", "path": f"/a/{number}"} for number in range(60)]
    with pytest.raises(PatchError, match="the copied values exceed 3145728 bytes"):
        json_patch({"a": {"b": "c" * 100}}, doubling)
    assert json_patch({"a": {"b": "c"}}, doubling[:2])["a"]["1"]["0"] == {"b": "c"}
