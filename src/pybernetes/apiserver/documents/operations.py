"""Paths of a resource and their operations, as OpenAPI 2 writes them (upstream: apiserver/pkg/endpoints/installer.go, openapi/openapi.go).

What generators of clients make methods of: each operation has an id of its own, parameters, a body and responses with schemas. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..resource import Resource
from . import discovery
from .parameters import CONNECT, CREATE, DELETE, DELETE_COLLECTION, LIST, LOG, PATCH, READ_CUSTOM, UPDATE, body, common
from .parameters import in_path as path_parameter

META = "io.k8s.apimachinery.pkg.apis.meta.v1"
ANY = "*/*"
OBJECT_MEDIA = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
CUSTOM_MEDIA = OBJECT_MEDIA[:2]  # custom resources have no form in protobuf
STREAMS = ("application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC_PATCH, APPLY_PATCH = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
VERSION = "io.k8s.apimachinery.pkg.version.Info"
PROXY_METHODS = ("delete", "get", "head", "options", "patch", "post", "put")
STREAM_METHODS = ("get", "post")
# Verb of a subresource -> method.
METHODS = {"get": "get", "update": "put", "patch": "patch", "create": "post"}
# Definitions of what subresources take and give, where that is not the object.
DEFINITIONS = {
    "Binding": "io.k8s.api.core.v1.Binding",
    "Eviction": "io.k8s.api.policy.v1.Eviction",
    "TokenRequest": "io.k8s.api.authentication.v1.TokenRequest",
}
_LETTERS = re.compile(r"[^A-Za-z0-9_]+")

Operation = dict[str, Any]
Paths = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Scope:
    """A resource and the names that its operations refer to; `subresource` "" for the object itself."""

    resource: Resource
    definition: str
    kind: Mapping[str, str]  # x-kubernetes-group-version-kind
    subresource: str = ""

    @property
    def media(self) -> tuple[str, ...]:
        """In which its objects are answered."""
        return CUSTOM_MEDIA if self.resource.unstructured else OBJECT_MEDIA

    @property
    def prefix(self) -> str:
        """`/api/v1`, `/apis/apps/v1`."""
        resource = self.resource
        return f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"

    @property
    def noun(self) -> str:
        """`NamespacedPodStatus`, the end of most ids."""
        return f"{'Namespaced' * self.resource.namespaced}{self.resource.kind}{self.subresource.capitalize()}"


def reference(name: str) -> dict[str, str]:
    """To a definition."""
    return {"$ref": f"#/definitions/{name}"}


def paths(resource: Resource, definition: str) -> Paths:
    """All of a resource; `definition` is its objects' name."""
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    scope = Scope(resource, definition, kind)
    where = f"{scope.prefix}/namespaces/{{namespace}}/{resource.name}"
    collection = where if resource.namespaced else f"{scope.prefix}/{resource.name}"
    items = {collection: _collection(scope), f"{collection}/{{name}}": _single(scope)}
    if resource.namespaced and "list" in resource.verbs:
        items[f"{scope.prefix}/{resource.name}"] = {"get": _list(scope, "ForAllNamespaces")}
    for name in discovery.subresources(resource):
        items |= _subresource(scope, f"{collection}/{{name}}/{name}", name)
    if "watch" in resource.verbs and not resource.unstructured:
        items |= _watches(scope, collection.removeprefix(scope.prefix))
    return {path: common(item, _in_path(path, item)) for path, item in items.items() if item}


def group_version(prefix: str) -> Paths:
    """`/apis/apps/v1/`: the resources of a group-version."""
    operation = _plain("get available resources", f"get{_group(prefix)}APIResources", f"{META}.APIResourceList", prefix)
    return {f"{prefix}/": {"get": operation}}


def of_server(groups: Iterable[str]) -> Paths:
    """The server's own: its groups and its version."""
    items = {
        "/api/": _plain("get available API versions", "getCoreAPIVersions", f"{META}.APIVersions", "/api/"),
        "/apis/": _plain("get available API versions", "getAPIVersions", f"{META}.APIGroupList", "/apis/"),
        "/version/": _plain("get the version information for this server", "getCodeVersion", VERSION, "/version/"),
    }
    items["/version/"] |= {"consumes": ["application/json"], "produces": ["application/json"], "tags": ["version"]}
    for group in groups:
        path = f"/apis/{group}"
        name = f"get{_group(path)}APIGroup"
        items[f"{path}/"] = _plain("get information of a group", name, f"{META}.APIGroup", path)
    return {path: {"get": operation} for path, operation in items.items()}


def _collection(scope: Scope) -> dict[str, Operation]:
    verbs, noun, kind = scope.resource.verbs, scope.noun, scope.resource.kind
    item: dict[str, Operation] = {}
    if "list" in verbs:
        item["get"] = _list(scope)
    if "create" in verbs:
        item["post"] = _write(scope, "create", f"create{noun}", f"create a {kind}")
    if "deletecollection" in verbs:
        operation = _operation(scope, "deletecollection", f"deletecollection{noun}", f"delete collection of {kind}")
        operation["parameters"] = [body(reference(f"{META}.DeleteOptions"), required=False), *DELETE_COLLECTION]
        item["delete"] = operation | _responses(reference(f"{META}.Status"), 200)
    return item


def _list(scope: Scope, across: str = "") -> Operation:
    noun = f"{scope.resource.kind}{across}" if across else scope.noun
    text = f"list or watch objects of kind {scope.resource.kind}"
    operation = _operation(scope, "list", f"list{noun}", text)
    listed = f"{scope.definition.rpartition('.')[0]}.{scope.resource.list_kind}"
    if not scope.resource.unstructured:
        operation["produces"] = [*scope.media, *STREAMS]
    return operation | {"parameters": [*LIST]} | _responses(reference(listed), 200)


def _single(scope: Scope) -> dict[str, Operation]:
    verbs, noun, kind = scope.resource.verbs, scope.noun, scope.resource.kind
    item: dict[str, Operation] = {}
    if "get" in verbs:
        item["get"] = _read(scope, f"read the specified {kind}")
    if "update" in verbs:
        item["put"] = _write(scope, "update", f"replace{noun}", f"replace the specified {kind}")
    if "patch" in verbs:
        item["patch"] = _patch(scope, f"partially update the specified {kind}")
    if "delete" in verbs:
        gone = reference(scope.definition if scope.resource.returns_deleted else f"{META}.Status")
        operation = _operation(scope, "delete", f"delete{noun}", f"delete a {kind}")
        operation["parameters"] = [body(reference(f"{META}.DeleteOptions"), required=False), *DELETE]
        item["delete"] = operation | _responses(gone, 200, 202)
    return item


def _read(scope: Scope, text: str) -> Operation:
    operation = _operation(scope, "get", f"read{scope.noun}", text)
    if scope.resource.unstructured:
        operation["parameters"] = [*READ_CUSTOM]
    return operation | _responses(reference(scope.definition), 200)


def _write(scope: Scope, verb: str, operation_id: str, text: str) -> Operation:
    """Of create and update."""
    action, codes = ("post", (200, 201, 202)) if verb == "create" else ("put", (200, 201))
    operation = _operation(scope, action, operation_id, text)
    operation["parameters"] = [body(reference(scope.definition)), *(CREATE if verb == "create" else UPDATE)]
    return operation | _responses(reference(scope.definition), *codes)


def _patch(scope: Scope, text: str) -> Operation:
    operation = _operation(scope, "patch", f"patch{scope.noun}", text)
    strategic = () if scope.resource.unstructured else (STRATEGIC_PATCH,)
    operation["consumes"] = [JSON_PATCH, MERGE_PATCH, *strategic, APPLY_PATCH]
    operation["parameters"] = [body(reference(f"{META}.Patch")), *PATCH]
    return operation | _responses(reference(scope.definition), 200, 201)


def _subresource(parent: Scope, path: str, name: str) -> Paths:
    resource = parent.resource
    verbs, kind, group, version = discovery.subresource(resource, name)
    described = {"group": group, "version": version or resource.version, "kind": kind} if kind else parent.kind
    definition = parent.definition
    if kind == "Scale":
        definition = f"io.k8s.api.{group.partition('.')[0] or 'core'}.{version}.Scale"
    elif kind:
        definition = DEFINITIONS.get(kind) or f"{definition.rpartition('.')[0]}.{kind}"
    scope = Scope(resource, definition, described, name)
    if name == "log":
        operation = _operation(scope, "get", f"read{scope.noun}", f"read log of the specified {resource.kind}")
        operation["produces"] = ["text/plain", *scope.media]
        return {path: {"get": operation | {"parameters": [*LOG]} | _responses({"type": "string"}, 200)}}
    if name in CONNECT or name == "proxy":
        return _connections(scope, path)
    item: dict[str, Operation] = {}
    for verb in verbs:
        object_of = f"{name} of the specified {resource.kind}"
        if verb == "get":
            item["get"] = _read(scope, f"read {object_of}")
        elif verb == "patch":
            item["patch"] = _patch(scope, f"partially update {object_of}")
        elif verb == "update":
            item["put"] = _write(scope, "update", f"replace{scope.noun}", f"replace {object_of}")
        else:
            item["post"] = _write(scope, "create", f"create{scope.noun}", f"create {name} of a {resource.kind}")
    return {path: item}


def _connections(scope: Scope, path: str) -> Paths:
    """exec, attach, portforward and proxy: any bytes both ways."""
    name, kind = scope.subresource, scope.resource.kind

    def item(methods: Sequence[str], parameters: Sequence[Any], suffix: str = "") -> dict[str, Operation]:
        operations: dict[str, Operation] = {}
        for method in methods:
            text = f"connect {method.upper()} requests to {name} of {kind}"
            operation = _operation(scope, "connect", f"connect{method.capitalize()}{scope.noun}{suffix}", text)
            operation |= {"produces": [ANY], "parameters": [*parameters]}
            operations[method] = operation | _responses({"type": "string"}, 200)
        return operations

    if name != "proxy":
        return {path: item(STREAM_METHODS, CONNECT[name])}
    parameters = CONNECT["proxy"]
    return {path: item(PROXY_METHODS, parameters), f"{path}/{{path}}": item(PROXY_METHODS, parameters, "WithPath")}


def _watches(scope: Scope, collection: str) -> Paths:
    """Watches by a path of their own, which nobody should use any more."""
    resource, prefix = scope.resource, f"{scope.prefix}/watch"
    ids = {
        collection: ("watchlist", f"watch{scope.noun}List"),
        f"{collection}/{{name}}": ("watch", f"watch{scope.noun}"),
    }
    if resource.namespaced:
        ids[f"/{resource.name}"] = ("watchlist", f"watch{resource.kind}ListForAllNamespaces")
    items: Paths = {}
    for path, (action, operation_id) in ids.items():
        text = f"watch changes of {resource.kind}. deprecated: use the parameter watch of a list instead"
        operation = _operation(scope, action, operation_id, text) | {"produces": [*scope.media, *STREAMS]}
        operation |= {"parameters": [*LIST]} | _responses(reference(f"{META}.WatchEvent"), 200)
        items[prefix + path] = {"get": operation}
    return items


def _operation(scope: Scope, action: str, operation_id: str, text: str) -> Operation:
    """What every operation has; its id has the group-version after the verb."""
    group = _group(scope.prefix)
    verb, noun = _divided(operation_id)
    return {
        "consumes": [ANY],
        "description": text,
        "operationId": f"{verb}{group}{noun[:1].upper()}{noun[1:]}",
        "parameters": [],
        "produces": [*scope.media],
        "schemes": ["https"],
        "tags": [_tag(scope.prefix)],
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": scope.kind,
    }


def _plain(text: str, operation_id: str, definition: str, path: str) -> Operation:
    operation = {"description": text, "operationId": operation_id, "schemes": ["https"], "tags": [_tag(path)]}
    return (
        operation | {"consumes": [*OBJECT_MEDIA], "produces": [*OBJECT_MEDIA]} | _responses(reference(definition), 200)
    )


def _responses(schema: Mapping[str, Any], *codes: int) -> dict[str, Any]:
    texts = {200: "OK", 201: "Created", 202: "Accepted"}
    answers: dict[str, Any] = {str(code): {"description": texts[code], "schema": schema} for code in codes}
    return {"responses": {**answers, "401": {"description": "Unauthorized"}}}


def _in_path(path: str, item: Mapping[str, Operation]) -> list[dict[str, Any]]:
    """Parameters that the path has, and `pretty`, which all but connections take."""
    return path_parameter(path, any(one["x-kubernetes-action"] == "connect" for one in item.values()))


def _divided(operation_id: str) -> tuple[str, str]:
    """(`delete`, `collectionNamespacedPod`): upstream's verbs.GetPrefix."""
    verbs = ("connect", "create", "delete", "list", "patch", "read", "replace", "watch")
    verb = next(verb for verb in verbs if operation_id.startswith(verb))
    return verb, operation_id.removeprefix(verb)


def _parts(path: str) -> list[str]:
    """(group, version) of a path, as ids and tags name them."""
    parts = path.strip("/").split("/")
    parts = ["core", *parts[1:]] if parts[0] == "api" else parts[1:]
    return [part.removesuffix(".k8s.io") if place == 0 else part for place, part in enumerate(parts)]


def _group(path: str) -> str:
    """`RbacAuthorizationV1`."""
    words = [word for part in _parts(path) for word in _LETTERS.split(part)]
    return "".join(word[:1].upper() + word[1:] for word in words)


def _tag(path: str) -> str:
    """`rbacAuthorization_v1`."""
    names = []
    for part in _parts(path):
        first, *more = _LETTERS.split(part)
        names.append(first + "".join(word[:1].upper() + word[1:] for word in more))
    return "_".join(names) or path.strip("/")
