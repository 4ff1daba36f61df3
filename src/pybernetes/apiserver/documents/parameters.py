"""Parameters of operations in OpenAPI 2: tables, and what of them a path's operations share (upstream: endpoints/installer.go,
kube-openapi/pkg/builder). Pure."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

Parameter = dict[str, Any]

FNV_OFFSET, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3  # of 64 bits
# What clients before 1.27 look for in the operation itself, and what is another one for each kind.
OWN = ("dryRun", "fieldValidation", "name")


def _query(name: str, text: str, kind: str = "string", required: bool = False) -> Parameter:
    parameter = {"uniqueItems": True, "type": kind, "description": text, "name": name, "in": "query"}
    return parameter | ({"required": True} if required else {})


PRETTY = _query("pretty", "'true' indents the answer. A browser or curl gets it so unless told 'false'.")
DRY_RUN = _query("dryRun", "All: every stage is gone through and nothing is stored. Another value is refused.")
MANAGER = _query(
    "fieldManager", "Who makes the change, up to 128 printable characters. By default the first part of User-Agent."
)
APPLY_MANAGER = _query(
    "fieldManager", "Who makes the change, up to 128 printable characters. Required for apply patches."
)
VALIDATION = _query(
    "fieldValidation", "What is done about unknown and repeated fields: Ignore, Warn (the default) or Strict."
)
FORCE = _query("force", "Of apply patches: takes fields over from other managers.", "boolean")
GRACE = _query("gracePeriodSeconds", "Seconds until the object is deleted; 0 for at once.", "integer")
ORPHAN = _query("orphanDependents", "Deprecated: use propagationPolicy. Whether dependents stay.", "boolean")
PROPAGATION = _query("propagationPolicy", "What becomes of dependents: Orphan, Background or Foreground.")
CONTINUE = _query("continue", "Where a list goes on: the value that the page before it gave.")
FIELDS = _query("fieldSelector", "Restricts the list of returned objects by their fields.")
LABELS = _query("labelSelector", "Restricts the list of returned objects by their labels.")
LIMIT = _query("limit", "The most objects of one answer; more are told by `continue`.", "integer")
VERSION = _query("resourceVersion", "As of when the objects are to be.")
VERSION_MATCH = _query("resourceVersionMatch", "How resourceVersion is meant: Exact or NotOlderThan.")
INITIAL = _query("sendInitialEvents", "Whether a watch begins with what there is.", "boolean")
TIMEOUT = _query("timeoutSeconds", "Limits the time of the call.", "integer")
BOOKMARKS = _query("allowWatchBookmarks", "Whether a watch may tell how far it is.", "boolean")
WATCH = _query("watch", "Watch for changes to the described resources, told one by one instead of a list.", "boolean")

CREATE = UPDATE = (DRY_RUN, MANAGER, VALIDATION)
PATCH = (DRY_RUN, APPLY_MANAGER, VALIDATION, FORCE)
DELETE = (DRY_RUN, GRACE, ORPHAN, PROPAGATION)
LIST = (BOOKMARKS, CONTINUE, FIELDS, LABELS, LIMIT, VERSION, VERSION_MATCH, INITIAL, TIMEOUT, WATCH)
DELETE_COLLECTION = (
    *(CONTINUE, DRY_RUN, FIELDS, GRACE, LABELS, LIMIT, ORPHAN, PROPAGATION),
    *(VERSION, VERSION_MATCH, INITIAL, TIMEOUT),
)
READ_CUSTOM = (VERSION,)
_CONTAINER = _query("container", "Which container; the only one where there is but one.")
LOG = (
    _CONTAINER,
    _query("follow", "Goes on with what is written from now on.", "boolean"),
    _query("insecureSkipTLSVerifyBackend", "Whether the kubelet's certificate may be of anybody.", "boolean"),
    _query("limitBytes", "The most bytes.", "integer"),
    _query("previous", "Of the container before it was started again.", "boolean"),
    _query("sinceSeconds", "Only lines of so many seconds.", "integer"),
    _query("stream", "All, Stdout or Stderr."),
    _query("tailLines", "Only so many lines from the end.", "integer"),
    _query("timestamps", "Each line with its time.", "boolean"),
)
_STREAMS = tuple(_query(name, f"Whether {name} is connected.", "boolean") for name in ("stderr", "stdin", "stdout"))
_TTY = _query("tty", "Whether there is a terminal.", "boolean")
CONNECT: Mapping[str, Sequence[Parameter]] = {
    "attach": (_CONTAINER, *_STREAMS, _TTY),
    "exec": (_query("command", "The command's words."), _CONTAINER, *_STREAMS, _TTY),
    "portforward": (_query("ports", "The ports; required over WebSocket.", "integer"),),
    "proxy": (_query("path", "The path of the request behind the proxy."),),
}
PATH_TEXTS = {
    "name": "name of the object",
    "namespace": "object name and auth scope, such as for teams and projects",
    "path": "path to the resource",
}


def body(schema: Mapping[str, Any], required: bool = True) -> Parameter:
    """What is sent."""
    return {"name": "body", "in": "body", **({"required": True} if required else {}), "schema": schema}


def in_path(path: str, connects: bool = False) -> list[Parameter]:
    """Of the names in braces, and `pretty` where objects are answered."""
    names = [name for name in PATH_TEXTS if f"{{{name}}}" in path]
    declared: list[Parameter] = [
        {
            "uniqueItems": True,
            "type": "string",
            "description": PATH_TEXTS[name],
            "name": name,
            "in": "path",
            "required": True,
        }
        for name in names
    ]
    return declared if connects else [*declared, PRETTY]


def common(item: Mapping[str, Any], shared: Sequence[Parameter]) -> dict[str, Any]:
    """A path with the parameters that all its operations take told once."""
    operations = list(item.values())
    first = [one for one in operations[0]["parameters"] if one["in"] != "body"]
    everywhere = [one for one in first if all(one in operation["parameters"] for operation in operations[1:])]
    divided = {
        method: {**operation, "parameters": [one for one in operation["parameters"] if one not in everywhere]}
        for method, operation in item.items()
    }
    parameters = sorted((*everywhere, *shared), key=lambda one: str(one["name"]))
    return {**divided, "parameters": parameters}


def deduplicated(paths: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Parameter]]:
    """(the paths, the document's parameters that they refer to), as kube-openapi's deduplicateParameters."""
    names: dict[int, str] = {}  # by identity: tables above are shared
    kept: dict[str, Parameter] = {}
    alive: list[Parameter] = []

    def told(parameter: Parameter) -> Parameter:
        if not _is_shared(parameter):
            return parameter
        name = names.get(id(parameter))
        if name is None:
            alive.append(parameter)  # or its identity would be another's
            name = names[id(parameter)] = f"{parameter['name']}-{_digest(msgspec.json.encode(parameter))}"
            kept[name] = parameter
        return {"$ref": f"#/parameters/{name}"}

    return {path: _with_parameters(item, told) for path, item in paths.items()}, kept


def _is_shared(parameter: Parameter) -> bool:
    if parameter["in"] == "body":
        return str(parameter["schema"].get("$ref", "")).startswith("#/definitions/io.k8s.apimachinery")
    return parameter["name"] not in OWN


def _with_parameters(item: Mapping[str, Any], told: Callable[[Parameter], Parameter]) -> dict[str, Any]:
    """A path item, or an operation, with each parameter as `told` tells it."""
    changed: dict[str, Any] = {}
    for key, value in item.items():
        if key == "parameters":
            changed[key] = [told(one) for one in value]
        else:
            changed[key] = _with_parameters(value, told) if isinstance(value, dict) and "responses" in value else value
    return changed


def _digest(data: bytes) -> str:
    """Eight characters of FNV-1."""
    value = FNV_OFFSET
    for byte in data:
        value = (value * FNV_PRIME & 0xFFFFFFFFFFFFFFFF) ^ byte
    return base64.urlsafe_b64encode(value.to_bytes(8, "big")[:6]).decode()


# OpenAPI 3.


def version_3(item: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """A path as OpenAPI 3 writes it; `prefix` of references to schemas."""
    converted: dict[str, Any] = {}
    for method, operation in item.items():
        if method == "parameters":
            converted[method] = [_parameter(one) for one in operation]
        else:
            converted[method] = dict(_operation_3(operation, prefix))
    return converted


def _operation_3(operation: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    consumes, produces = operation["consumes"], operation["produces"]
    for key, value in operation.items():
        if key in ("consumes", "produces", "schemes"):
            continue
        if key == "parameters":
            sent = next((one for one in value if one["in"] == "body"), None)
            rest = [_parameter(one) for one in value if one is not sent]
            if rest:
                yield key, rest
            if sent is not None:
                required = {"required": True} if sent.get("required") else {}
                yield "requestBody", {"content": _content(consumes, sent["schema"], prefix), **required}
        elif key == "responses":
            yield key, {code: _response(answer, produces, prefix) for code, answer in value.items()}
        else:
            yield key, value


def _parameter(parameter: Parameter) -> Parameter:
    named: Parameter = {
        key: value for key, value in parameter.items() if key in ("description", "name", "in", "required")
    }
    return {**named, "schema": {"type": parameter["type"], "uniqueItems": True}}


def _response(answer: Mapping[str, Any], produces: Sequence[str], prefix: str) -> dict[str, Any]:
    if "schema" not in answer:
        return dict(answer)
    return {"description": answer["description"], "content": _content(produces, answer["schema"], prefix)}


def _content(media: Sequence[str], schema: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    if "$ref" in schema:
        schema = {"$ref": prefix + schema["$ref"].rpartition("/")[2]}
    return {one: {"schema": schema} for one in media}
