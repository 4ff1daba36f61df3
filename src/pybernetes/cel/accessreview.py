"""What match conditions of authorization webhooks speak of: `request`, a SubjectAccessReview's spec (upstream: apiserver/pkg/authorization/cel)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .environment import Environment, environment
from .types import STRING, list_of, map_of, object_type

REQUEST = "request"
_STRINGS = list_of(STRING)
_REQUIREMENT = object_type("kubernetes.SelectorRequirement", {"key": STRING, "operator": STRING, "values": _STRINGS})
_SELECTOR = {"rawSelector": STRING, "requirements": list_of(_REQUIREMENT)}
_RESOURCE = object_type(
    "kubernetes.ResourceAttributes",
    {
        **dict.fromkeys(("namespace", "verb", "group", "version", "resource", "subresource", "name"), STRING),
        "fieldSelector": object_type("kubernetes.FieldSelectorAttributes", _SELECTOR),
        "labelSelector": object_type("kubernetes.LabelSelectorAttributes", _SELECTOR),
    },
)
_SPEC = object_type(
    "kubernetes.SubjectAccessReviewSpec",
    {
        "resourceAttributes": _RESOURCE,
        "nonResourceAttributes": object_type("kubernetes.NonResourceAttributes", {"path": STRING, "verb": STRING}),
        "user": STRING,
        "groups": _STRINGS,
        "extra": map_of(STRING, _STRINGS),
        "uid": STRING,
    },
)


def review_environment() -> Environment:
    """With the variable `request`."""
    return environment({REQUEST: _SPEC})


def request_value(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Of a spec as it is sent (authorization.k8s.io/v1): what is text and empty is there, too; selectors only where there are some."""
    value: dict[str, Any] = {
        "user": spec.get("user", ""),
        "groups": spec.get("groups", []),
        "uid": spec.get("uid", ""),
        "extra": spec.get("extra", {}),
    }
    if (resource := spec.get("resourceAttributes")) is not None:
        names = ("namespace", "verb", "group", "version", "resource", "subresource", "name")
        value["resourceAttributes"] = {**{name: resource.get(name, "") for name in names}, **_selectors(resource)}
    if (other := spec.get("nonResourceAttributes")) is not None:
        value["nonResourceAttributes"] = {name: other.get(name, "") for name in ("verb", "path")}
    return value


def _selectors(resource: Mapping[str, Any]) -> dict[str, Any]:
    selectors = {}
    for name in ("fieldSelector", "labelSelector"):
        requirements = (resource.get(name) or {}).get("requirements")
        if requirements:
            selectors[name] = {"requirements": [{"values": [], **one} for one in requirements]}
    return selectors
