"""What the subresource scale shows of an object, and what it changes in it (autoscaling/v1 Scale). Pure."""

from __future__ import annotations

from typing import Any

from pybernetes.api import errors
from pybernetes.api.labels import SelectorError, selector_from_dict

from ..resource import Object, Resource


def _dig(obj: Object, path: tuple[str, ...]) -> Any:
    value: Any = obj
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def of(resource: Resource, obj: Object) -> Object:
    """The Scale of an object. StatusError where it has none that can be told."""
    if resource.scale is None:
        raise errors.not_found(resource.group, resource.name, obj["metadata"]["name"])
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Object = {"replicas": _dig(obj, resource.scale.status_replicas) or 0}
    selector = _dig(obj, resource.scale.selector) if resource.scale.selector else None
    if isinstance(selector, str):  # a custom resource says it as text
        status["selector"] = selector
    elif selector:
        wrapped = selector if {"matchLabels", "matchExpressions"} & selector.keys() else {"matchLabels": selector}
        try:
            status["selector"] = str(selector_from_dict(wrapped))
        except SelectorError as error:
            raise errors.bad_request(str(error)) from None
    found = _dig(obj, resource.scale.spec_replicas)
    if found is None and resource.custom:
        path = "".join(f".{part}" for part in resource.scale.spec_replicas)
        raise errors.internal_error(f'the spec replicas field "{path}" does not exist')
    replicas = found or 0
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def set_replicas(resource: Resource, obj: Object, replicas: int) -> None:
    """Writes the number that a Scale asks for into an object that has one."""
    assert resource.scale is not None
    *parts, last = resource.scale.spec_replicas
    for part in parts:
        obj = obj.setdefault(part, {})
    obj[last] = replicas
