"""Definitions that tests of custom resources share."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
THINGS = "/apis/example.com/v1/namespaces/default/things"


def schema(**properties: Object) -> Object:
    """Of an object whose spec has these properties."""
    return {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}}


def version(name: str = "v1", *, storage: bool = True, properties: Object | None = None, **more: Any) -> Object:
    """A version that is served."""
    given = {"x": {"type": "string"}} if properties is None else properties
    return {"name": name, "served": True, "storage": storage, "schema": schema(**given), **more}


def definition(
    *versions: Object, plural: str = "things", kind: str = "Thing", scope: str = "Namespaced", **spec: Any
) -> Object:
    """A definition in the group example.com."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": scope,
            "names": {"plural": plural, "kind": kind},
            "versions": list(versions or (version(),)),
            **spec,
        },
    }


def thing(name: str, version: str = "v1", kind: str = "Thing", **more: Any) -> Object:
    """An object of it."""
    metadata = {"name": name, **more.pop("metadata", {})}
    return {"apiVersion": f"example.com/{version}", "kind": kind, "metadata": metadata, **more}
