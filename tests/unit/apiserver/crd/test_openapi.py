"""Custom resources in the OpenAPI documents: what the older version cannot say."""

from typing import Any

import pytest

from pybernetes.apiserver.crd import openapi
from pybernetes.apiserver.resource import Resource

RESOURCE = Resource(group="example.com", version="v1", name="things", kind="Thing", unstructured=True)
NAME = "com.example.v1.Thing"
KIND = [{"group": "example.com", "version": "v1", "kind": "Thing"}]
PRESERVE = "x-kubernetes-preserve-unknown-fields"


def shown(schema: Any, v3: bool = False) -> Any:
    return openapi.definitions(RESOURCE, schema, "#/definitions/", v3)[NAME]


def of_property(schema: Any) -> Any:
    return shown({"type": "object", "properties": {"x": schema}})["properties"]["x"]


@pytest.mark.parametrize(
    "more", [{}, {"properties": {"spec": {"type": "object"}}}, {"description": "d", "required": ["spec"]}]
)
def test_a_root_that_keeps_everything_is_an_object_and_no_more(more: Any) -> None:
    """kubectl would call unknown what is not among the properties, kind and metadata included."""
    schema = {"type": "object", PRESERVE: True, **more}
    assert shown(schema) == {"type": "object", "x-kubernetes-group-version-kind": KIND}
    assert "metadata" in shown(schema, v3=True)["properties"]
    assert shown(schema, v3=True)["type"] == "object"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object", PRESERVE: True, "properties": {"a": {"type": "string"}}}, {PRESERVE: True}),
        ({"type": "object", "nullable": True, "properties": {"a": {"type": "string"}}}, {}),
        ({"type": "array", "nullable": True, "items": {"type": "string"}}, {}),
        ({"type": "array", PRESERVE: True, "items": {"type": "string"}}, {PRESERVE: True}),
        ({"type": "string", PRESERVE: True}, {"type": "string", PRESERVE: True}),
        ({"type": "string", "anyOf": [{"minLength": 1}], "maxLength": 5}, {"type": "string", "maxLength": 5}),
        (
            {
                "type": "object",
                "required": ["a", "b"],
                "properties": {"a": {"type": "string", "nullable": True}, "b": {"type": "string"}},
            },
            {"type": "object", "required": ["b"], "properties": {"a": {}, "b": {"type": "string"}}},
        ),
        (
            {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "nullable": True}}},
            {"type": "object", "properties": {"a": {}}},
        ),
        (
            {"type": "object", "required": ["a"], "additionalProperties": {"type": "string", "nullable": True}},
            {"type": "object", "additionalProperties": {}},
        ),
    ],
)
def test_what_the_older_document_says_of_properties(schema: Any, expected: Any) -> None:
    assert of_property(schema) == expected


EMBEDDED = "x-kubernetes-embedded-resource"


@pytest.mark.parametrize(
    ("more", "v3", "declared"),
    [
        ({PRESERVE: True}, False, False),
        ({PRESERVE: True}, True, True),
        ({"properties": {"spec": {"type": "object"}}}, False, True),
        ({"properties": {"spec": {"type": "object"}}}, True, True),
    ],
)
@pytest.mark.parametrize("within", ["itself", "items", "additionalProperties"])
def test_embedded_objects_declare_what_all_objects_have(within: str, more: Any, v3: bool, declared: bool) -> None:
    """Not in OpenAPI 2 where they keep unknown fields: kubectl would refuse all others (upstream: addEmbeddedProperties)."""
    schema: Any = {"type": "object", EMBEDDED: True, "required": ["kind"], **more}
    if within != "itself":
        schema = {"type": "array" if within == "items" else "object", within: schema}
    made = shown({"type": "object", "properties": {"x": schema}}, v3)["properties"]["x"]
    made = made if within == "itself" else made[within]
    assert (made[EMBEDDED], "metadata" in made.get("properties", {})) == (True, declared)
    assert made["required"] == (["kind", "apiVersion"] if declared else ["kind"])
