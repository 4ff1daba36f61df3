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
    if not v3 and schema.get(PRESERVE):
        published: dict[str, Any] = {"type": "object"}  # with a property kubectl would call all others unknown
    else:
        # In OpenAPI 2 what kubectl finds declared is all that it takes: embedded objects that keep the rest declare nothing.
        declared = with_metadata(schema if v3 else _plain(schema), root=True, closed_only=not v3)
        published = _referring(declared, prefix)
    kind = {"group": resource.group, "version": resource.version}
    published["x-kubernetes-group-version-kind"] = [{**kind, "kind": resource.kind}]
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
    return {own: published, f"{own.rsplit('.', 1)[0]}.{resource.list_kind}": listed}


def _referring(schema: Any, prefix: str) -> Any:
    """With descriptions of what every resource has, and references as the document writes them."""
    if not isinstance(schema, Mapping):
        return schema
    published = dict(schema)
    for key in ("items", "additionalProperties"):
        if key in published:
            published[key] = _referring(published[key], prefix)
    if "properties" in published:
        published["properties"] = {key: _property(key, below, prefix) for key, below in published["properties"].items()}
    return published


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
    published = {key: value for key, value in schema.items() if key not in (*_LOGIC, "nullable", "default")}
    dropped = set()
    if schema.get("nullable"):
        dropped |= {"type", "items", "properties"}
    if schema.get(PRESERVE):
        dropped |= {"items", "properties"} | ({"type"} if schema.get("type") == "object" else set())
    if schema.get("type") == "array" and (schema.get("items") is None or "items" in dropped):
        dropped.add("type")
    if schema.get(INT_OR_STRING):
        dropped.add("type")
    for key in dropped:
        published.pop(key, None)
    for key in ("items", "additionalProperties"):
        if isinstance(published.get(key), Mapping):
            published[key] = _plain(published[key])
    if "properties" in published:
        published["properties"] = {key: _plain(below) for key, below in published["properties"].items()}
    return _without_nullable(published, schema)


def _without_nullable(published: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """What may be null cannot be told from what is missing: it is not required."""
    properties, extra = published.get("properties") or {}, schema.get("additionalProperties")
    required = [name for name in published.get("required") or () if not _nullable(schema, name, properties)]
    if isinstance(extra, Mapping) and extra.get("nullable"):
        required = []
    if "required" in published and not required:
        published.pop("required")
    elif "required" in published:
        published["required"] = required
    return published


def _nullable(schema: Mapping[str, Any], name: str, shown: Mapping[str, Any]) -> bool:
    return name in shown and bool(schema["properties"][name].get("nullable"))
