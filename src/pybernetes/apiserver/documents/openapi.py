"""OpenAPI v2 and v3 of the resources served, made when first asked for (upstream: kube-openapi).

kubectl reads from it: field descriptions (explain), patch keys, and whether the server validates fields itself.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from email.utils import formatdate
from importlib import resources as files
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from pybernetes.api import errors, version
from pybernetes.wire.http import Request, Response

from ..resource import Resource
from ..schema import definitions, legacy_names
from . import operations, parameters

JSON = "application/json"
PROTOBUF_ASKED = (
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
)
PROTOBUF = PROTOBUF_ASKED[1]  # what is answered: the other is no media type by the book
DEFINITIONS, COMPONENTS = "#/definitions/", "#/components/schemas/"  # where references lead to in versions 2 and 3
PARTS = ("paths", "definitions", "parameters")  # of a document of version 2: those that custom resources add to
YEAR_SECONDS = 365 * 24 * 3600
_HIDDEN = ("x-go", "x-deprecated")
# OpenAPI 2 has no oneOf.
_V2_SCALARS = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": "string", "format": "int-or-string"},
}


@functools.cache
def descriptions(file: str = "descriptions") -> dict[str, str]:
    """Texts by definition.field.field."""
    data = files.files("pybernetes.api").joinpath(f"data/{file}.json.gz").read_bytes()
    texts: dict[str, str] = msgspec.json.decode(gzip.decompress(data))
    return texts


def _texts(name: str) -> dict[str, str]:
    """Where the texts of a definition are: those of old group-versions are read only where one is served."""
    return (
        descriptions() if name in descriptions() or name not in legacy_names() else descriptions("legacy_descriptions")
    )


class OpenAPI:
    """Answers under /openapi. They may be asked for in any thread: to make one takes some tenths of a second."""

    def __init__(self, served: Iterable[Resource]) -> None:
        self._always = list(served)
        self._custom: list[Resource] = []
        # Answers, by name. Never changed where definitions change, but replaced: who works on one just then adds it to the former ones.
        self._bodies: dict[str, bytes] = {}
        self._remote: dict[str, Any] = {}  # the index's items of other servers' documents

    def serve(self, custom: Iterable[Resource]) -> None:
        """These beside the built-in ones from now on."""
        changed = {f"apis/{r.group}/{r.version}" for r in self._custom}
        self._custom = list(custom)
        changed |= {f"apis/{r.group}/{r.version}" for r in self._custom}
        self._bodies = {k: v for k, v in self._bodies.items() if k not in ("v2", "v2.pb", *changed)}

    def serve_remote(self, index: Mapping[str, Any]) -> None:
        """Documents of other servers, which answer for them: `apis/GROUP/VERSION` -> item of the index of /openapi/v3."""
        self._remote = dict(index)

    def answer(self, path: str, request: Request) -> Response | None:
        """None for a path that there is not."""
        if path == "/openapi/v2":
            media = negotiated(request)
            body = self._v2_protobuf() if media == PROTOBUF else self._v2()
            return self._found(body, media, request)
        if path == "/openapi/v3":
            return self._found(self._index(), JSON, request)
        group_version = path.removeprefix("/openapi/v3/")
        served = self._group_versions().get(group_version)
        return self._hashed(group_version, served, request) if served is not None else None

    @staticmethod
    def _found(body: bytes, media: str, request: Request, headers: Sequence[tuple[str, str]] = ()) -> Response:
        etag = f'"{_digest(body)}"'
        if etag in (request.header("if-none-match") or ""):
            return Response(304, [("ETag", etag), *headers])
        return Response(200, [("Content-Type", media), ("ETag", etag), ("Vary", "Accept"), *headers], body)

    def _hashed(self, group_version: str, served: Sequence[Resource], request: Request) -> Response:
        """With the hash of the index in the URL it may be kept for ever; with another it is a redirect."""
        body = self._v3(group_version, served)
        asked = dict(parse_qsl(request.query.decode("latin-1"))).get("hash")
        if asked is None:
            return self._found(body, JSON, request)
        current = _digest(body)
        if asked != current:
            return Response(301, [("Location", f"/openapi/v3/{group_version}?hash={current}")])
        expires = formatdate(time.time() + YEAR_SECONDS, usegmt=True)
        return self._found(body, JSON, request, [("Cache-Control", "public, immutable"), ("Expires", expires)])

    def _group_versions(self) -> dict[str, list[Resource]]:
        resources: dict[str, list[Resource]] = {}
        for resource in (*self._always, *self._custom):
            prefix = f"apis/{resource.group}" if resource.group else "api"
            resources.setdefault(f"{prefix}/{resource.version}", []).append(resource)
        return resources

    def _index(self) -> bytes:
        urls = {
            name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={_digest(self._v3(name, served))}"}
            for name, served in self._group_versions().items()
        }
        return msgspec.json.encode({"paths": urls | self._remote})

    def _v3(self, group_version: str, served: Sequence[Resource]) -> bytes:
        bodies = self._bodies
        if group_version not in bodies:
            paths = operations.group_version(f"/{group_version}") | _paths(served)
            schemas = _definitions(served, paths, COMPONENTS, v3=True)
            paths = {path: parameters.version_3(item, COMPONENTS) for path, item in paths.items()}
            components = {"schemas": schemas, "securitySchemes": _SECURITY}
            body = {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": components}
            bodies[group_version] = msgspec.json.encode(body)
        return bodies[group_version]

    def v2_document(self) -> dict[str, Any]:
        """Of built-in kinds; made anew each time."""
        paths = _paths(self._always)
        prefixes = dict.fromkeys(
            f"/apis/{r.group}/{r.version}" if r.group else f"/api/{r.version}" for r in self._always
        )
        paths |= operations.of_server(dict.fromkeys(r.group for r in self._always if r.group))
        for prefix in prefixes:
            paths |= operations.group_version(prefix)
        schemas = _definitions(self._always, paths, DEFINITIONS, v3=False)
        schemas |= {name: {**schemas[name], **plain} for name, plain in _V2_SCALARS.items() if name in schemas}
        for name in _V2_SCALARS.keys() & schemas.keys():
            del schemas[name]["oneOf"]
        paths, shared = parameters.deduplicated(paths)
        return {
            "swagger": "2.0",
            "info": _INFO,
            "paths": paths,
            "definitions": schemas,
            "parameters": shared,
            **_SECURED,
        }

    def _v2_custom(self) -> dict[str, Any]:
        """What custom resources add to the document."""
        paths = _paths(self._custom)
        for prefix in dict.fromkeys(f"/apis/{r.group}/{r.version}" for r in self._custom):
            paths |= operations.group_version(prefix)
        definitions = _definitions(self._custom, paths, DEFINITIONS, v3=False)
        paths, shared = parameters.deduplicated(paths)
        added = {"paths": paths, "definitions": definitions, "parameters": shared}
        return {name: {k: v for k, v in added[name].items() if k not in self._known[name]} for name in PARTS}

    def _v2(self) -> bytes:
        bodies = self._bodies
        if "v2" not in bodies:
            bodies["v2"] = self._joined() if self._custom else msgspec.json.encode(self.v2_document())
        return bodies["v2"]

    @functools.cached_property
    def _parts(self) -> dict[str, bytes]:
        """Paths and definitions of built-in kinds, encoded: definitions come and go more often than anyone wants to wait for."""
        document = self.v2_document()
        return {name: msgspec.json.encode(document[name]) for name in PARTS}

    def _joined(self) -> bytes:
        added = self._v2_custom()
        head = msgspec.json.encode({"swagger": "2.0", "info": _INFO, **_SECURED})[:-1]
        pieces = [_merged(name, self._parts[name], msgspec.json.encode(added[name])) for name in PARTS]
        return b"%b,%b}" % (head, b",".join(pieces))

    @functools.cached_property
    def _known(self) -> dict[str, frozenset[str]]:
        """Names that built-in kinds have in the parts of the document."""
        document = self.v2_document()
        return {name: frozenset(document[name]) for name in PARTS}

    def _v2_protobuf(self) -> bytes:
        bodies = self._bodies
        if "v2.pb" not in bodies:
            from . import gnostic  # only old clients ask

            body = gnostic.document(self.v2_document())
            if self._custom:  # messages joined are one message with the fields of both
                body += gnostic.document(self._v2_custom())
            bodies["v2.pb"] = body
        return bodies["v2.pb"]


def negotiated(request: Request) -> str:
    """The media type of /openapi/v2; StatusError 406."""
    accept = ",".join(request.header_values("accept")) or JSON
    for clause in accept.split(","):
        media = clause.split(";")[0].strip().lower()
        if media in (JSON, "*/*", "application/*"):
            return JSON
        if media in PROTOBUF_ASKED:
            return PROTOBUF
    raise errors.not_acceptable(f"only the following media types are accepted: {JSON}, {PROTOBUF_ASKED[0]}")


_SECURITY = {
    "BearerToken": {
        "description": "Bearer Token authentication",
        "in": "header",
        "name": "authorization",
        "type": "apiKey",
    }
}
_SECURED = {"securityDefinitions": _SECURITY, "security": [{"BearerToken": []}]}
_INFO = {"title": "Kubernetes", "version": f"v{version.KUBERNETES}"}


def _digest(body: bytes) -> str:
    return hashlib.sha512(body).hexdigest().upper()


def _closure(names: Iterable[str]) -> list[str]:
    """The definitions and all that they refer to, with the lists of the kinds."""
    schemas, todo, reached = definitions(), list(names), set[str]()
    todo += [f"{name}List" for name in todo if f"{name}List" in schemas]
    while todo:
        name = todo.pop()
        if name and name not in reached:
            reached.add(name)
            todo += _references(schemas[name])
    return sorted(reached)


def _merged(name: str, built_in: bytes, custom: bytes) -> bytes:
    """A part of the document of two objects, as bytes."""
    return b'"%b":%b%b%b' % (name.encode(), built_in[:-1], b"," if len(custom) > 2 else b"", custom[1:])


def _paths(served: Iterable[Resource]) -> dict[str, Any]:
    """The operations of these resources."""
    return {path: item for r in served for path, item in operations.paths(r, _name(r)).items()}


def _name(resource: Resource) -> str:
    """Of its definition."""
    if not resource.unstructured:
        return resource.schema
    from ..crd import openapi as custom  # with the first definition only

    return custom.name(resource)


def _definitions(served: Iterable[Resource], paths: Mapping[str, Any], prefix: str, v3: bool) -> dict[str, Any]:
    """Of these resources and their operations, and all that they refer to."""
    schemas: dict[str, Any] = {}
    names = [name for name in dict.fromkeys(_references(paths)) if name in definitions()]
    for resource in served:
        if resource.unstructured:
            from ..crd import openapi as custom  # with the first definition only

            schemas |= custom.definitions(resource, resource.compile().source if resource.compile else {}, prefix, v3)
            names += [custom.OBJECT_META, custom.LIST_META]
        else:
            names.append(resource.schema)
    return {name: _described(name, prefix) for name in _closure(names)} | schemas


def _references(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"].rsplit("/", 1)[1]] if isinstance(schema.get("$ref"), str) else []
        return own + [ref for value in schema.values() for ref in _references(value)]
    return [ref for value in schema for ref in _references(value)] if isinstance(schema, list | tuple) else []


def _described(name: str, prefix: str) -> Any:
    """A definition with its descriptions back in, and references as the document has them."""
    texts = _texts(name)

    def build(schema: Any, path: str) -> Any:
        if isinstance(schema, list):
            return [build(item, path) for item in schema]
        if not isinstance(schema, dict):
            return schema
        described: dict[str, Any] = {}
        if path in texts:
            described["description"] = texts[path]
        for key, value in schema.items():
            if key == "properties":
                described[key] = {k: build(v, f"{path}.{k}") for k, v in value.items()}
            elif key == "$ref":
                described[key] = prefix + value.rsplit("/", 1)[1]
            elif key not in _HIDDEN:
                described[key] = build(value, "") if isinstance(value, dict | list) else value
        if "$ref" in described and len(described) > 1 and prefix.startswith("#/components"):
            described["allOf"] = [{"$ref": described.pop("$ref")}]  # OpenAPI 3.0 knows no neighbours of $ref
        return described

    return build(definitions()[name], name)
