"""The parameters that a binding gives its policy (upstream: policy/generic/policy_dispatcher.go CollectParams). Pure but for the Reader."""

from __future__ import annotations

from collections.abc import Sequence

from pybernetes.api.jsoncopy import json_copy

from ...resource import Object, Resource
from ...types import Reader
from .definitions import ParamKind, ParamRef

NOT_FOUND = "no params found for policy binding with `Deny` parameterNotFoundAction"
NO_NAMESPACE = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
CLUSTER_SCOPED = "paramRef.namespace must not be provided for a cluster-scoped `paramKind`"


class Misconfigured(Exception):
    """Parameters that cannot be found out: the failure policy decides."""


def unknown(kind: ParamKind) -> str:
    """Why a policy fails whose kind of parameters is not served."""
    return f"failed to find resource referenced by paramKind: '{kind}'"


def namespace_of(resource: Resource, reference: ParamRef, requested: str) -> str:
    """Where parameters are looked for, "" of cluster-scoped ones; `requested` is the request's namespace. Misconfigured."""
    if not resource.namespaced:
        if reference.namespace:
            raise Misconfigured(CLUSTER_SCOPED)
        return ""
    namespace = reference.namespace or requested
    if not namespace:
        raise Misconfigured(NO_NAMESPACE)
    return namespace


def none_found(reference: ParamRef) -> Sequence[Object | None]:
    """What is to be done without any. Misconfigured."""
    if reference.deny:
        raise Misconfigured(NOT_FOUND)
    return ()


async def collect(
    reader: Reader, resource: Resource | None, reference: ParamRef | None, requested: str
) -> Sequence[Object | None]:
    """One evaluation for each object; [None] without parameters, and nothing where none is found and that is allowed. Misconfigured.

    `resource` is that of the policy's paramKind, None for a policy without. StatusError where a webhook that converts fails.
    """
    if resource is None or reference is None:
        return (None,)
    namespace = namespace_of(resource, reference, requested)
    params: list[Object] = []
    group, name, _ = resource.stored_at
    if reference.name:
        place = (group, name, namespace, reference.name)
        one = reader.get(*place) or await reader.fresh(*place)
        params = [one] if one is not None else []
    elif reference.selector is not None:
        every = reader.list(group, name, namespace)
        params = [obj for obj in every if reference.selector.matches(obj["metadata"].get("labels") or {})]
    if not params:
        return none_found(reference)
    return [await _in_version(obj, resource) for obj in params]


async def _in_version(obj: Object, resource: Resource) -> Object:
    if resource.conversions is None or obj.get("apiVersion") == resource.api_version:
        return obj
    [converted] = await resource.conversions.convert([json_copy(obj)], resource.api_version)
    resource.default(converted)
    return converted
