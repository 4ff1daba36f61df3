"""Objects beside their schema."""

import re
from typing import Any

import pytest

from pybernetes.apiserver.apply import typed
from pybernetes.apiserver.apply.schema import Node, Schemas
from pybernetes.apiserver.schema import compiled_type

STRING = {"type": "string"}
ITEM = {"type": "object", "properties": {"name": STRING, "value": STRING, "more": {"type": "object"}}}
SCHEMA = {
    "type": "object",
    "properties": {
        "one": STRING,
        "labels": {"type": "object", "additionalProperties": STRING},
        "fixed": {"type": "object", "additionalProperties": STRING, "x-kubernetes-map-type": "atomic"},
        "items": {
            "type": "array",
            "items": ITEM,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
        "names": {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
        "whole": {"type": "array", "items": STRING},
        "inner": {"type": "object", "properties": {"a": STRING, "b": STRING}},
        "count": {"type": "integer", "format": "int32"},
        "ready": {"type": "boolean"},
        "port": {"x-kubernetes-int-or-string": True},
        "when": {"type": "string", "format": "date-time"},
        "any": {"x-kubernetes-preserve-unknown-fields": True},
    },
}
NODE = Schemas({}).of(SCHEMA)


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ({"one": "x"}, {"f:one": {}}),
        ({"labels": {"a": "b"}}, {"f:labels": {"f:a": {}}}),
        ({"labels": {}}, {"f:labels": {}}),
        ({"fixed": {"a": "b"}}, {"f:fixed": {}}),
        (
            {"items": [{"name": "x", "value": "y"}]},
            {"f:items": {'k:{"name":"x"}': {".": {}, "f:name": {}, "f:value": {}}}},
        ),
        ({"items": []}, {}),
        ({"names": ["a", "b"]}, {"f:names": {'v:"a"': {}, 'v:"b"': {}}}),
        ({"whole": ["a"]}, {"f:whole": {}}),
        ({"inner": {"a": "1"}}, {"f:inner": {"f:a": {}}}),
        ({"any": {"x": [1], "y": {"z": 1}}}, {"f:any": {"f:x": {}, "f:y": {".": {}, "f:z": {}}}}),
    ],
)
def test_field_set(value: Any, fields: Any) -> None:
    assert typed.field_set(value, NODE) == fields


@pytest.mark.parametrize(
    ("old", "new", "added", "modified", "removed"),
    [
        ({}, {"one": "x"}, {"f:one": {}}, {}, {}),
        ({"one": "x"}, {"one": "y"}, {}, {"f:one": {}}, {}),
        ({"one": "x"}, {}, {}, {}, {"f:one": {}}),
        ({}, {"labels": {"a": "b"}}, {"f:labels": {".": {}, "f:a": {}}}, {}, {}),
        ({"labels": None}, {"labels": {"a": "b"}}, {"f:labels": {"f:a": {}}}, {}, {}),
        (
            {"labels": {"a": "b"}},
            {"labels": {"a": "c", "d": "e"}},
            {"f:labels": {"f:d": {}}},
            {"f:labels": {"f:a": {}}},
            {},
        ),
        ({"fixed": {"a": "b"}}, {"fixed": {"a": "b", "c": "d"}}, {}, {"f:fixed": {}}, {}),
        ({"whole": ["a"]}, {"whole": ["b"]}, {}, {"f:whole": {}}, {}),
        ({"names": ["a"]}, {"names": ["b"]}, {"f:names": {'v:"b"': {}}}, {}, {"f:names": {'v:"a"': {}}}),
        ({"items": [{"name": "a"}, {"name": "b"}]}, {"items": [{"name": "b"}, {"name": "a"}]}, {}, {}, {}),
        (
            {"items": [{"name": "a", "value": "1"}]},
            {"items": [{"name": "a", "value": "2"}, {"name": "b"}]},
            {"f:items": {'k:{"name":"b"}': {".": {}, "f:name": {}}}},
            {"f:items": {'k:{"name":"a"}': {"f:value": {}}}},
            {},
        ),
        ({"labels": {}}, {"labels": None}, {}, {"f:labels": {}}, {}),
    ],
)
def test_compare(old: Any, new: Any, added: Any, modified: Any, removed: Any) -> None:
    found = typed.compare(old, new, NODE)
    assert (found.added, found.modified, found.removed) == (added, modified, removed)


def items(*names: str) -> dict[str, Any]:
    return {"items": [{"name": name} for name in names]}


@pytest.mark.parametrize(
    ("live", "config", "merged"),
    [
        ({"one": "x", "labels": {"a": "b"}}, {"labels": {"c": "d"}}, {"one": "x", "labels": {"a": "b", "c": "d"}}),
        ({"fixed": {"a": "b"}}, {"fixed": {"c": "d"}}, {"fixed": {"c": "d"}}),
        (items("a", "b", "c"), items("c", "a"), items("b", "c", "a")),
        (items("a", "b"), items("x", "b"), items("a", "x", "b")),
        (items(), items("a"), items("a")),
        (items("a"), {"items": None}, items("a")),
        ({"names": ["a", "b"]}, {"names": ["b", "c"]}, {"names": ["a", "b", "c"]}),
        (
            {"items": [{"name": "a", "value": "1"}]},
            {"items": [{"name": "a", "more": {"x": 1}}]},
            {"items": [{"name": "a", "value": "1", "more": {"x": 1}}]},
        ),
    ],
)
def test_merge(live: Any, config: Any, merged: Any) -> None:
    assert typed.merge(live, config, NODE) == merged


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"f:one": {}}, {"labels": {"a": "b"}, **items("x", "y")}),
        ({"f:labels": {"f:a": {}}}, {"one": "1", **items("x", "y")}),
        ({"f:items": {'k:{"name":"x"}': {}}}, {"one": "1", "labels": {"a": "b"}, **items("y")}),
    ],
)
def test_remove(fields: Any, left: Any) -> None:
    assert typed.remove({"one": "1", "labels": {"a": "b"}, **items("x", "y")}, fields, NODE) == left


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        ({"one": "x"}, []),
        ({"two": "x"}, [".two: field not declared in schema"]),
        ({"inner": {"c": 1}}, [".inner.c: field not declared in schema"]),
        (items("a", "a"), ['.items: duplicate entries for key [name="a"]']),
        ({"labels": ["a"]}, [".labels: expected map, got &{[a]}"]),
        ({"inner": 5}, [".inner: expected map, got &{5}"]),
        ({"items": {"a": 1}}, [".items: expected list, got &{map[a:1]}"]),
        ({"one": 5}, [".one: expected string, got &value.valueUnstructured{Value:5}"]),
        ({"one": True}, [".one: expected string, got &value.valueUnstructured{Value:true}"]),
        (
            {"one": {"a": ["x", None, 1.5]}},
            [
                ".one: expected string, got &value.valueUnstructured{Value:map[string]interface {}"
                '{"a":[]interface {}{"x", interface {}(nil), 1.5}}}'
            ],
        ),
        ({"labels": {"a": 1}}, [".labels.a: expected string, got &value.valueUnstructured{Value:1}"]),
        ({"fixed": {"a": 1}}, [".fixed.a: expected string, got &value.valueUnstructured{Value:1}"]),
        ({"whole": ["a", 1]}, [".whole[1]: expected string, got &value.valueUnstructured{Value:1}"]),
        ({"names": [1]}, [".names[=1]: expected string, got &value.valueUnstructured{Value:1}"]),
        (
            {"items": [{"name": "a", "value": 1}]},
            ['.items[name="a"].value: expected string, got &value.valueUnstructured{Value:1}'],
        ),
        ({"count": "5"}, [".count: expected numeric (int or float), got string"]),
        ({"count": True}, [".count: expected numeric (int or float), got bool"]),
        ({"count": {}}, [".count: expected numeric (int or float), got map[string]interface {}"]),
        ({"ready": "true"}, [".ready: expected boolean, got &{true}"]),
        ({"port": "http", "when": 5, "count": None, "one": None, "labels": None, "items": None}, []),
        ({"port": [1]}, [".port: expected any scalar, got &{[1]}"]),
        (
            {"items": [{"value": "1"}]},
            [
                '.items: element 0: associative list with keys has an element that omits all key fields ["name"] '
                "(and doesn't have default values for any key fields)"
            ],
        ),
    ],
)
def test_check(value: Any, problems: list[str]) -> None:
    assert typed.check(value, NODE) == problems


def node(kind: str) -> Node:
    return compiled_type(f"io.k8s.api.core.v1.{kind}", "v1", kind).apply_node


def test_built_in_schema() -> None:
    ports = [{"containerPort": 80}]
    found = typed.field_set(
        {"spec": {"containers": [{"name": "c", "ports": ports}], "nodeSelector": {"a": "b"}}}, node("Pod")
    )
    assert found == {
        "f:spec": {
            "f:containers": {
                'k:{"name":"c"}': {
                    ".": {},
                    "f:name": {},
                    "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                }
            },
            "f:nodeSelector": {},
        }
    }


# --- keys of lists ------------------------------------------------------------------------------

PORT = {
    "type": "object",
    "properties": {
        "port": {"type": "integer"},
        "protocol": {"type": "string", "default": "UDP"},
        "name": {"type": "string"},
    },
}


def ports(*keys: str, **properties: Any) -> Node:
    """A list of ports that are told apart by these keys."""
    items = {**PORT, "properties": {**PORT["properties"], **properties}}  # type: ignore[dict-item]
    listed = {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": list(keys),
        "type": "array",
        "items": items,
    }
    return Schemas({}).of(listed)


@pytest.mark.parametrize(
    ("keys", "item", "element"),
    [
        (("port", "protocol"), {"port": 1}, 'k:{"port":1,"protocol":"UDP"}'),
        (("protocol", "port"), {"port": 1, "protocol": "TCP"}, 'k:{"port":1,"protocol":"TCP"}'),
        (("port", "name"), {"port": 1}, 'k:{"port":1}'),  # another item than one with a name
        (("port", "name"), {"name": "a"}, 'k:{"name":"a"}'),
        (("protocol",), {}, 'k:{"protocol":"UDP"}'),
        (("port", "name"), {"port": 1, "name": None}, 'k:{"name":null,"port":1}'),
    ],
)
def test_a_key_that_is_left_out_has_its_default_or_is_none(keys: tuple[str, ...], item: Any, element: str) -> None:
    """Once every key called protocol was TCP, whatever the schema said of it, and an item without a key an error."""
    assert typed.element(ports(*keys), item) == element


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (
            {"protocol": "TCP"},
            'has an element that omits all key fields ["port" "name"] (and doesn\'t have default values',
        ),
        (None, "may not have a null element"),
        ([], "may not have non-map elements"),
        ("a", "may not have non-map elements"),
    ],
)
def test_what_is_no_item(item: Any, why: str) -> None:
    with pytest.raises(typed.TypedError, match=f"^associative list with keys {re.escape(why)}"):
        typed.element(ports("port", "name"), item)


def test_built_in_lists_have_upstream_s_defaults() -> None:
    pod = compiled_type("io.k8s.api.core.v1.PodSpec", "v1", "PodSpec").apply_node
    port = pod.child("containers").element().child("ports")
    assert typed.element(port, {"containerPort": 80}) == 'k:{"containerPort":80,"protocol":"TCP"}'
    assert typed.element(pod.child("imagePullSecrets"), {}) == 'k:{"name":""}'
    service = compiled_type("io.k8s.api.core.v1.ServiceSpec", "v1", "ServiceSpec").apply_node
    assert typed.element(service.child("ports"), {"port": 1}) == 'k:{"port":1,"protocol":"TCP"}'
