"""Custom resources in the OpenAPI documents (upstream: pkg/controller/openapi/builder)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..resource import Resource
from .schema import with_metadata

LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
TEXTS = {
    "apiVersion": "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas "
    "to the latest internal value, and may reject unrecognized values.",
    "kind": "Kind is a string value representing the REST resource this object represents. In CamelCase.",
    "metadata": "Standard object's metadata.",
}
PRESERVE, INT_OR_STRING = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"
_LOGIC = ("allOf", "anyOf", "oneOf", "not")

Definitions = dict[str, Any]


def name(resource: Resource) -> str:
    """com.example.stable.v1.CronTab."""
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def definitions(resource: Resource, schema: Mapping[str, Any], prefix: str, v3: bool) -> Definitions:
    """The kind and its list; `prefix` of references. They refer to ObjectMeta and ListMeta."""
    shown: Mapping[str, Any] = schema if v3 else _plain(schema)
    made = _referring(with_metadata(shown, root=True), prefix)
    kind = {"group": resource.group, "version": resource.version}
    made["x-kubernetes-group-version-kind"] = [{**kind, "kind": resource.kind}]
    listed = {
        "description": f"{resource.list_kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            **{key: {"type": "string", "description": TEXTS[key]} for key in ("apiVersion", "kind")},
            "items": {
                "description": f"List of {resource.name}.",
                "type": "array",
                "items": {"$ref": prefix + name(resource)},
            },
            "metadata": {"$ref": prefix + LIST_META},
        },
        "x-kubernetes-group-version-kind": [{**kind, "kind": resource.list_kind}],
    }
    own = name(resource)
    return {own: made, f"{own.rsplit('.', 1)[0]}.{resource.list_kind}": listed}


def _referring(schema: Any, prefix: str) -> Any:
    """With descriptions of what every resource has, and references as the document writes them."""
    if not isinstance(schema, Mapping):
        return schema
    made = dict(schema)
    for key in ("items", "additionalProperties"):
        if key in made:
            made[key] = _referring(made[key], prefix)
    if "properties" in made:
        made["properties"] = {key: _property(key, below, prefix) for key, below in made["properties"].items()}
    return made


def _property(key: str, schema: Mapping[str, Any], prefix: str) -> Any:
    if "$ref" in schema:
        reference = {"$ref": prefix + OBJECT_META}
        if prefix.startswith("#/components"):  # OpenAPI 3.0 knows no neighbours of $ref
            return {"description": TEXTS[key], "allOf": [reference]}
        return {"description": TEXTS[key], **reference}
    if key in ("apiVersion", "kind") and schema == {"type": "string"}:
        return {"type": "string", "description": TEXTS[key]}
    return _referring(schema, prefix)


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What OpenAPI 2, and kubectl's validation against it, can say (ToStructuralOpenAPIV2)."""
    made = {key: value for key, value in schema.items() if key not in (*_LOGIC, "nullable", "default")}
    if schema.get("nullable") or schema.get(PRESERVE) or schema.get(INT_OR_STRING):
        for key in ("type", "properties", "items", "additionalProperties"):
            made.pop(key, None)
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), Mapping):
            made[key] = _plain(made[key])
    if "properties" in made:
        made["properties"] = {key: _plain(below) for key, below in made["properties"].items()}
    return made
