"""What a webhook is shown of a request, and how its changes come back (upstream: admission.VersionedAttributes)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pybernetes.api.jsoncopy import json_copy

from ...generic import scaled
from ...resource import Object, Resource
from ...schema import CompiledSchema, Validation, compiled, compiled_type
from ...types import Attributes

SCALE = ("autoscaling/v1", "Scale")
# Kinds of what is posted to a subresource, where the object itself does not say.
KINDS = {
    ("pods", "attach"): ("v1", "PodAttachOptions"),
    ("pods", "binding"): ("v1", "Binding"),
    ("pods", "eviction"): ("policy/v1", "Eviction"),
    ("pods", "exec"): ("v1", "PodExecOptions"),
    ("pods", "portforward"): ("v1", "PodPortForwardOptions"),
    ("pods", "proxy"): ("v1", "PodProxyOptions"),
    ("services", "proxy"): ("v1", "ServiceProxyOptions"),
    ("nodes", "proxy"): ("v1", "NodeProxyOptions"),
    ("serviceaccounts", "token"): ("authentication.k8s.io/v1", "TokenRequest"),
}


def namespace(attributes: Attributes) -> str:
    """Of the request; a namespace is in itself."""
    return attributes.name if is_namespace(attributes.resource) else attributes.namespace


def is_namespace(resource: Resource) -> bool:
    """Whether these are core/v1 Namespaces."""
    return resource.name == "namespaces" and not resource.group


def kind(attributes: Attributes, resource: Resource) -> tuple[str, str]:
    """(apiVersion, kind) of the request in a version of its resource."""
    if attributes.subresource == "scale":
        return SCALE
    subresource_kind = KINDS.get((resource.name, attributes.subresource))
    if subresource_kind is None:
        return resource.api_version, resource.kind
    given = attributes.object or {}
    return (given["apiVersion"], given["kind"]) if given.get("kind") and given.get("apiVersion") else subresource_kind


async def shown(attributes: Attributes, obj: Object | None, resource: Resource) -> Object | None:
    """The object, or the old one, in a version of its resource; the same object where it is in that already.

    StatusError 500 where a webhook that converts fails.
    """
    if obj is None:
        return None
    own = attributes.resource
    if attributes.subresource == "scale":
        return scaled.of(own, obj)
    if obj.get("kind") != own.kind:  # what is posted to a subresource, or options of a connection
        version, name = kind(attributes, resource)
        return obj if obj.get("kind") else {"kind": name, "apiVersion": version, **obj}
    return await converted(obj, own, resource)


async def converted(obj: Object, own: Resource, other: Resource) -> Object:
    """An object of one version in another version of its resource, with the defaults of that. StatusError as `shown`."""
    if own.conversions is None or own.api_version == other.api_version:
        return obj
    [result] = await own.conversions.convert([json_copy(obj)], other.api_version)
    other.default(result)
    return result


def schema_of(attributes: Attributes, resource: Resource, served: Iterable[Resource]) -> CompiledSchema | None:
    """Of what `shown` gives; None for what is in no schema, as options of a connection."""
    version, name = kind(attributes, resource)
    if (version, name) == (resource.api_version, resource.kind):
        return compiled(resource)
    if (version, name) == SCALE:
        return compiled_type("io.k8s.api.autoscaling.v1.Scale", *SCALE)
    for other in served:
        if (other.api_version, other.kind) == (version, name):
            return compiled(other)
    return None


def decoded(
    attributes: Attributes,
    document: Any,
    resource: Resource,
    served: Iterable[Resource],
    validation: Validation = "Ignore",
) -> Object:
    """What a webhook or policy made of `shown`, as if a client had sent it: types checked, unknown fields dropped, defaults set.

    StatusError where it does not fit.
    """
    schema = schema_of(attributes, resource, served)
    if schema is None:
        obj: Object = document
        return obj
    plain, _ = schema.normalize(document, validation, from_map=False)
    version, name = kind(attributes, resource)
    if (version, name) == (resource.api_version, resource.kind):
        plain["apiVersion"], plain["kind"] = version, name
        plain.setdefault("metadata", {})
        resource.default(plain)
    return plain


async def take(attributes: Attributes, changed: Object, resource: Resource) -> None:
    """Makes the request's object what a webhook made of `shown`."""
    own, obj = attributes.resource, attributes.object
    assert obj is not None
    if attributes.subresource == "scale":
        scaled.set_replicas(own, obj, (changed.get("spec") or {}).get("replicas", 0))
        return
    own_version = await converted(changed, resource, own) if changed.get("kind") == resource.kind else changed
    obj.clear()
    obj.update(own_version)
