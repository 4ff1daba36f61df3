"""OpenAPI v2 and v3 of the resources served, made when first asked for (upstream: kube-openapi).

kubectl reads from it: field descriptions (explain), patch keys, and whether the server validates fields itself.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
from collections.abc import Iterable
from importlib import resources as files
from typing import Any

import msgspec

from pybernetes.wire.http import Request, Response

from .resource import Resource
from .schema import definitions

JSON = "application/json"
_HIDDEN = ("x-go",)


@functools.cache
def descriptions() -> dict[str, str]:
    """Texts by definition.field.field."""
    data = files.files("pybernetes.api").joinpath("data/descriptions.json.gz").read_bytes()
    found: dict[str, str] = msgspec.json.decode(gzip.decompress(data))
    return found


class OpenAPI:
    """Answers under /openapi."""

    def __init__(self, served: Iterable[Resource]) -> None:
        self._served = list(served)

    def answer(self, path: str, request: Request) -> Response | None:
        """None for a path that there is not."""
        if path == "/openapi/v2":
            return self._found(self._v2(), request)
        if path == "/openapi/v3":
            return self._found(self._index(), request)
        group_version = path.removeprefix("/openapi/v3/")
        if group_version in self._group_versions():
            return self._found(self._v3(group_version), request)
        return None

    @staticmethod
    def _found(body: bytes, request: Request) -> Response:
        etag = f'"{_digest(body)}"'
        if etag in (request.header("if-none-match") or ""):
            return Response(304, [("ETag", etag)])
        return Response(200, [("Content-Type", JSON), ("ETag", etag), ("Vary", "Accept")], body)

    def _group_versions(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for resource in self._served:
            prefix = f"apis/{resource.group}" if resource.group else "api"
            found.setdefault(f"{prefix}/{resource.version}", []).append(resource)
        return found

    @functools.cached_property
    def _bodies(self) -> dict[str, bytes]:
        return {}

    def _index(self) -> bytes:
        urls = {
            name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={_digest(self._v3(name))}"}
            for name in self._group_versions()
        }
        return msgspec.json.encode({"paths": urls})

    def _v3(self, group_version: str) -> bytes:
        if group_version not in self._bodies:
            served = self._group_versions()[group_version]
            schemas = {name: _described(name, "#/components/schemas/") for name in _closure(r.schema for r in served)}
            paths = {path: item for r in served for path, item in _paths(r, v3=True).items()}
            body = {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas}}
            self._bodies[group_version] = msgspec.json.encode(body)
        return self._bodies[group_version]

    def _v2(self) -> bytes:
        if "v2" not in self._bodies:
            schemas = {name: _described(name, "#/definitions/") for name in _closure(r.schema for r in self._served)}
            paths = {path: item for r in self._served for path, item in _paths(r, v3=False).items()}
            body = {"swagger": "2.0", "info": _INFO, "paths": paths, "definitions": schemas}
            self._bodies["v2"] = msgspec.json.encode(body)
        return self._bodies["v2"]


_INFO = {"title": "Kubernetes", "version": "v1.37.0"}


def _digest(body: bytes) -> str:
    return hashlib.sha512(body).hexdigest().upper()


def _closure(names: Iterable[str]) -> list[str]:
    """The definitions and all that they refer to, with the lists of the kinds."""
    known, todo, found = definitions(), list(names), set[str]()
    todo += [f"{name}List" for name in todo if f"{name}List" in known]
    while todo:
        name = todo.pop()
        if name and name not in found:
            found.add(name)
            todo += _references(known[name])
    return sorted(found)


def _references(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"].rsplit("/", 1)[1]] if isinstance(schema.get("$ref"), str) else []
        return own + [ref for value in schema.values() for ref in _references(value)]
    return [ref for value in schema for ref in _references(value)] if isinstance(schema, list) else []


def _described(name: str, prefix: str) -> Any:
    """A definition with its descriptions back in, and references as the document has them."""
    texts = descriptions()

    def build(schema: Any, path: str) -> Any:
        if isinstance(schema, list):
            return [build(item, path) for item in schema]
        if not isinstance(schema, dict):
            return schema
        made: dict[str, Any] = {}
        if path in texts:
            made["description"] = texts[path]
        for key, value in schema.items():
            if key == "properties":
                made[key] = {k: build(v, f"{path}.{k}") for k, v in value.items()}
            elif key == "$ref":
                made[key] = prefix + value.rsplit("/", 1)[1]
            elif key not in _HIDDEN:
                made[key] = build(value, "") if isinstance(value, dict | list) else value
        if "$ref" in made and len(made) > 1 and prefix.startswith("#/components"):
            made["allOf"] = [{"$ref": made.pop("$ref")}]  # OpenAPI 3.0 knows no neighbours of $ref
        return made

    return build(definitions()[name], name)


def _paths(resource: Resource, v3: bool) -> dict[str, Any]:
    """The operations of one resource, as far as clients look at them."""
    prefix = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    collection = (
        f"{prefix}/namespaces/{{namespace}}/{resource.name}" if resource.namespaced else f"{prefix}/{resource.name}"
    )
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    verbs = set(resource.verbs)
    whole = {
        m: _operation(a, kind, v3) for m, a, v in (("get", "list", "list"), ("post", "post", "create")) if v in verbs
    }
    named = (
        ("get", "get", "get"),
        ("put", "put", "update"),
        ("patch", "patch", "patch"),
        ("delete", "delete", "delete"),
    )
    single = {m: _operation(a, kind, v3) for m, a, v in named if v in verbs}
    paths = {collection: whole}
    if single:
        paths[f"{collection}/{{name}}"] = single
    return {path: item for path, item in paths.items() if item}


def _operation(action: str, kind: dict[str, str], v3: bool) -> dict[str, Any]:
    """kubectl finds out by the parameter fieldValidation that the server checks fields."""
    checked = ("dryRun", "fieldManager", "fieldValidation")
    names = {"post": checked, "put": checked, "patch": (*checked, "force")}
    parameters = [
        {"name": name, "in": "query", **({"schema": {"type": "string"}} if v3 else {"type": "string"})}
        for name in names.get(action, ())
    ]
    made: dict[str, Any] = {"responses": {"200": {"description": "OK"}}, "parameters": parameters}
    return {**made, "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind}
