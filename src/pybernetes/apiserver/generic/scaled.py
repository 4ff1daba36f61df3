"""What the subresource scale shows of an object, and what it changes in it (autoscaling/v1 Scale). Pure."""

from __future__ import annotations

from typing import Any

from pybernetes.api import errors
from pybernetes.api.govalues import go_type, go_value
from pybernetes.api.labels import SelectorError, selector_from_dict

from ..resource import Object, Resource

UNSET = -(1 << 31)  # what no client asks for: the number of an object that has none


def _dig(obj: Object, path: tuple[str, ...]) -> Any:
    value: Any = obj
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def replicas_path(resource: Resource) -> str:
    """Where the number stands, as definitions say it: `.spec.replicas`."""
    assert resource.scale is not None
    return "".join(f".{part}" for part in resource.scale.spec_replicas)


def of(resource: Resource, obj: Object, unset: int | None = None) -> Object:
    """The Scale of an object. StatusError where it has none that can be told.

    `unset` is the number of a custom resource that has none, which is an error otherwise.
    """
    if resource.scale is None:
        raise errors.not_found(resource.group, resource.name, obj["metadata"]["name"])
    metadata = obj["metadata"]
    shown = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Object = {"replicas": _number(obj, resource.scale.status_replicas) or 0}
    selector = _selector(resource, obj)
    if selector:
        status["selector"] = selector
    replicas = _number(obj, resource.scale.spec_replicas)
    if replicas is None and resource.unstructured:
        if unset is None:
            raise errors.internal_error(f'the spec replicas field "{replicas_path(resource)}" does not exist')
        replicas = unset
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in shown if name in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def _number(obj: Object, path: tuple[str, ...]) -> int | None:
    value = _dig(obj, path)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise errors.unclassified(accessor_error(path, value, "int64"))


def _selector(resource: Resource, obj: Object) -> str:
    """As text. A custom resource has it as text, or nowhere."""
    assert resource.scale is not None
    path = resource.scale.selector
    selector = _dig(obj, path) if path else None
    if resource.unstructured:
        if selector is None or isinstance(selector, str):
            return selector or ""
        raise errors.unclassified(accessor_error(path, selector, "string"))
    if not selector:
        return ""
    wrapped = selector if {"matchLabels", "matchExpressions"} & selector.keys() else {"matchLabels": selector}
    try:
        return str(selector_from_dict(wrapped))
    except SelectorError as error:
        raise errors.bad_request(str(error)) from None


def accessor_error(path: tuple[str, ...], value: Any, expected: str) -> str:
    """Upstream's words for a field of another type (apimachinery/pkg/apis/meta/v1/unstructured/helpers.go)."""
    shown = "".join(f".{part}" for part in path)
    return f"{shown} accessor error: {go_value(value)} is of the type {go_type(value)}, expected {expected}"


def set_replicas(resource: Resource, obj: Object, replicas: int) -> None:
    """Writes the number that a Scale asks for into an object that has one."""
    assert resource.scale is not None
    *parts, last = resource.scale.spec_replicas
    for part in parts:
        obj = obj.setdefault(part, {})
    obj[last] = replicas
