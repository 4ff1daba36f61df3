"""What expressions of admission speak of, as types (upstream: apiserver/pkg/admission/plugin/cel/{compile,composition}.go).

object, oldObject and params are of no type: a field that is not there is told of when an expression comes to it, not before. The type check
of a policy's status gives them one.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import types
from .environment import Environment, environment, mutating
from .library import authorizer as authorizers
from .types import BOOL, DYN, STRING, TIMESTAMP, Type, list_of, map_of, object_type

OBJECT, OLD_OBJECT, PARAMS, REQUEST, NAMESPACE = "object", "oldObject", "params", "request", "namespaceObject"
AUTHORIZER, REQUEST_RESOURCE, VARIABLES = "authorizer", "authorizer.requestResource", "variables"

_STRINGS, _MAP = list_of(STRING), map_of(STRING, STRING)
_GVK = object_type("kubernetes.GroupVersionKind", {"group": STRING, "version": STRING, "kind": STRING})
_GVR = object_type("kubernetes.GroupVersionResource", {"group": STRING, "version": STRING, "resource": STRING})
_USER = object_type(
    "kubernetes.UserInfo",
    {"username": STRING, "uid": STRING, "groups": _STRINGS, "extra": map_of(STRING, _STRINGS)},
)
REQUEST_TYPE = object_type(
    "kubernetes.AdmissionRequest",
    {
        "kind": _GVK,
        "resource": _GVR,
        "subResource": STRING,
        "requestKind": _GVK,
        "requestResource": _GVR,
        "requestSubResource": STRING,
        "name": STRING,
        "namespace": STRING,
        "operation": STRING,
        "userInfo": _USER,
        "dryRun": BOOL,
        "options": DYN,
    },
)
_CONDITION = object_type(
    "kubernetes.NamespaceCondition",
    {"status": STRING, "type": STRING, "lastTransitionTime": TIMESTAMP, "message": STRING, "reason": STRING},
)
_META = object_type(
    "kubernetes.NamespaceMetadata",
    {
        "name": STRING,
        "generateName": STRING,
        "namespace": STRING,
        "labels": _MAP,
        "annotations": _MAP,
        "UID": STRING,
        "creationTimestamp": TIMESTAMP,
        "deletionGracePeriodSeconds": types.INT,
        "deletionTimestamp": TIMESTAMP,
        "generation": types.INT,
        "resourceVersion": STRING,
        "finalizers": _STRINGS,
    },
)
NAMESPACE_TYPE = object_type(
    "kubernetes.Namespace",
    {
        "metadata": _META,
        "spec": object_type("kubernetes.NamespaceSpec", {"finalizers": _STRINGS}),
        "status": object_type("kubernetes.NamespaceStatus", {"conditions": list_of(_CONDITION), "phase": STRING}),
    },
)


def variables(
    *, parameters: bool = False, authorizer: bool = True, composed: Mapping[str, Type] | None = None
) -> dict[str, Type]:
    """The variables with their types. `composed`: those of a policy that expressions reach as variables.NAME; it may grow later."""
    types: dict[str, Type] = {OBJECT: DYN, OLD_OBJECT: DYN, NAMESPACE: NAMESPACE_TYPE, REQUEST: REQUEST_TYPE}
    if parameters:
        types[PARAMS] = DYN
    if authorizer:
        types |= {AUTHORIZER: authorizers.AUTHORIZER, REQUEST_RESOURCE: authorizers.RESOURCE_CHECK}
    if composed is not None:
        types[VARIABLES] = object_type("kubernetes.variables", composed)
    return types


def declared(given: Mapping[str, Type], patches: bool = False) -> Environment:
    """An environment of these variables, for expressions that make patches if `patches`."""
    return mutating(given) if patches else environment(given)


def as_variable(given: Type) -> Type:
    """The type that variables.NAME is of, where its expression is of `given`: what is no plain value, list or map is dyn."""
    if given.kind in ("list", "map"):
        return types.Type(given.kind, given.name, [as_variable(parameter) for parameter in given.parameters])
    return given if given in _PLAIN else DYN


_PLAIN = (
    BOOL, types.BYTES, types.DOUBLE, types.DURATION, types.INT, types.NULL, STRING, TIMESTAMP, types.UINT,
)  # fmt: skip
