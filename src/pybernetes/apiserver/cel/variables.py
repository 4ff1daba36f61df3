"""The variables of conditions and policies (upstream: admission/plugin/cel/compile.go).

object, oldObject and params are of no type: a field that is not there is told of when an expression comes to it, not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

from pybernetes.cel import types
from pybernetes.cel.environment import Environment, Program, environment
from pybernetes.cel.errors import CompileError
from pybernetes.cel.library import authorizer
from pybernetes.cel.types import BOOL, DYN, STRING, TIMESTAMP, Type, list_of, map_of, object_type

PROGRAMS = 2000  # conditions that stay compiled
_STRINGS, _MAP = list_of(STRING), map_of(STRING, STRING)
_GVK = object_type("kubernetes.GroupVersionKind", {"group": STRING, "version": STRING, "kind": STRING})
_GVR = object_type("kubernetes.GroupVersionResource", {"group": STRING, "version": STRING, "resource": STRING})
_USER = object_type(
    "kubernetes.UserInfo",
    {"username": STRING, "uid": STRING, "groups": _STRINGS, "extra": map_of(STRING, _STRINGS)},
)
REQUEST = object_type(
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
NAMESPACE = object_type(
    "kubernetes.Namespace",
    {
        "metadata": _META,
        "spec": object_type("kubernetes.NamespaceSpec", {"finalizers": _STRINGS}),
        "status": object_type("kubernetes.NamespaceStatus", {"conditions": list_of(_CONDITION), "phase": STRING}),
    },
)
AUTHORIZER, REQUEST_RESOURCE = "authorizer", "authorizer.requestResource"


@cache
def admission(parameters: bool = False) -> Environment:
    """For conditions of webhooks and, with `parameters`, for expressions of policies."""
    variables: dict[str, Type] = {
        "object": DYN,
        "oldObject": DYN,
        "namespaceObject": NAMESPACE,
        "request": REQUEST,
        AUTHORIZER: authorizer.AUTHORIZER,
        REQUEST_RESOURCE: authorizer.RESOURCE_CHECK,
    }
    return environment({**variables, "params": DYN} if parameters else variables)


@lru_cache(maxsize=PROGRAMS)
def condition(expression: str) -> Program:
    """A condition of a webhook. CompileError, in the words that a configuration with it is refused with."""
    try:
        program = admission().compile(expression)
    except CompileError as error:
        raise CompileError(f"compilation failed: {error}") from None
    if program.type != types.BOOL:
        raise CompileError("must evaluate to bool")
    return program


def request(given: Mapping[str, object]) -> dict[str, object]:
    """The variable `request` of an AdmissionRequest: what is not set is not there."""
    return {name: value for name, value in given.items() if value is not None}
