"""OpenAPI v2 documents as protobuf, which kubectl before 1.27 asks for (upstream: google/gnostic openapiv2/OpenAPIv2.proto).

Messages are tables of (field number, how to write the value). Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from pybernetes.api.protowire import chunk, varint

Writer = Callable[[Any], bytes]


def _text(number: int) -> Writer:
    return lambda value: chunk(number, str(value).encode())


def _texts(number: int) -> Writer:
    return lambda values: b"".join(chunk(number, value.encode()) for value in values)


def _flag(number: int) -> Writer:
    return lambda value: varint(number << 3) + b"\x01" if value else b""


def _nested(number: int, write: Writer) -> Writer:
    return lambda value: chunk(number, write(value))


def _each(number: int, write: Writer) -> Writer:
    return lambda values: b"".join(chunk(number, write(value)) for value in values)


def _named(number: int, write: Writer) -> Writer:
    """A map as repeated (name = 1, value = 2), in the order of the names."""
    return lambda values: b"".join(
        chunk(number, chunk(1, name.encode()) + chunk(2, write(value))) for name, value in sorted(values.items())
    )


def _any(value: Any) -> bytes:
    """Any: its YAML, of which JSON is a part."""
    return chunk(2, msgspec.json.encode(value) + b"\n")


def _message(table: Mapping[str, Writer], value: Mapping[str, Any], extensions: int) -> bytes:
    """What the table knows, in its order; keys with x- become vendor extensions with that field number."""
    fields = b"".join(write(value[name]) for name, write in table.items() if name in value)
    extra = {name: item for name, item in value.items() if name.startswith("x-")}
    return fields + _named(extensions, _any)(extra)


def _type(value: Any) -> bytes:
    """TypeItem."""
    return _texts(1)([value] if isinstance(value, str) else value)


def _additional(value: Any) -> bytes:
    """AdditionalPropertiesItem."""
    return _flag(2)(value) if isinstance(value, bool) else chunk(1, schema(value))


def schema(value: Mapping[str, Any]) -> bytes:
    """Schema."""
    return _message(_SCHEMA, value, 31)


_SCHEMA: dict[str, Writer] = {
    "$ref": _text(1),
    "format": _text(2),
    "title": _text(3),
    "description": _text(4),
    "default": _nested(5, _any),
    "pattern": _text(13),
    "uniqueItems": _flag(16),
    "required": _texts(19),
    "enum": _each(20, _any),
    "additionalProperties": _nested(21, _additional),
    "type": _nested(22, _type),
    "items": _nested(23, lambda value: chunk(1, schema(value))),
    "allOf": _each(24, schema),
    "properties": _nested(25, _named(1, schema)),
    "readOnly": _flag(27),
}
_BODY_PARAMETER: dict[str, Writer] = {
    "description": _text(1),
    "name": _text(2),
    "in": _text(3),
    "required": _flag(4),
    "schema": _nested(5, schema),
}
_QUERY_PARAMETER: dict[str, Writer] = {
    "required": _flag(1),
    "in": _text(2),
    "description": _text(3),
    "name": _text(4),
    "type": _text(6),
    "format": _text(7),
    "uniqueItems": _flag(20),
}
# As the query's, but that it cannot be empty: what follows has a number less.
_PATH_PARAMETER: dict[str, Writer] = {
    "required": _flag(1),
    "in": _text(2),
    "description": _text(3),
    "name": _text(4),
    "type": _text(5),
    "format": _text(6),
    "uniqueItems": _flag(19),
}


def _parameter(value: Mapping[str, Any]) -> bytes:
    """Parameter: of a body, or NonBodyParameter of the query or the path."""
    if value["in"] == "body":
        return chunk(1, _message(_BODY_PARAMETER, value, 6))
    if value["in"] == "path":
        return chunk(2, chunk(4, _message(_PATH_PARAMETER, value, 22)))
    return chunk(2, chunk(3, _message(_QUERY_PARAMETER, value, 23)))


def _parameters_item(value: Mapping[str, Any]) -> bytes:
    """ParametersItem: a parameter, or a reference to one of the document's."""
    return chunk(2, _text(1)(value["$ref"])) if "$ref" in value else chunk(1, _parameter(value))


_RESPONSE: dict[str, Writer] = {"description": _text(1), "schema": _nested(2, lambda value: chunk(1, schema(value)))}
_OPERATION: dict[str, Writer] = {
    "tags": _texts(1),
    "summary": _text(2),
    "description": _text(3),
    "operationId": _text(5),
    "produces": _texts(6),
    "consumes": _texts(7),
    "parameters": _each(8, _parameters_item),
    "responses": _nested(9, _named(1, _nested(1, lambda value: _message(_RESPONSE, value, 5)))),
    "schemes": _texts(10),
}
_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}
_PATH_ITEM: dict[str, Writer] = {
    **{name: _nested(number, lambda value: _message(_OPERATION, value, 13)) for name, number in _METHODS.items()},
    "parameters": _each(9, _parameters_item),
}
_API_KEY: dict[str, Writer] = {"type": _text(1), "name": _text(2), "in": _text(3), "description": _text(4)}
_DOCUMENT: dict[str, Writer] = {
    "swagger": _text(1),
    "info": _nested(2, lambda value: _message({"title": _text(1), "version": _text(2)}, value, 7)),
    "paths": _nested(8, _named(2, lambda value: _message(_PATH_ITEM, value, 10))),
    "definitions": _nested(9, _named(1, schema)),
    "parameters": _nested(10, _named(1, _parameter)),
    "security": _each(12, _named(1, _texts(1))),
    "securityDefinitions": _nested(13, _named(1, _nested(2, lambda value: _message(_API_KEY, value, 5)))),
}


def document(value: Mapping[str, Any]) -> bytes:
    """A whole document, or a part of one."""
    return _message(_DOCUMENT, value, 16)


def unknown(value: Any, allowed: Iterable[str] = ()) -> set[str]:
    """Keywords of schemas in a document that no table has: for the test that nothing is lost unnoticed."""
    allowed_names = {*_SCHEMA, *allowed}
    names: set[str] = set()

    def walk(item: Mapping[str, Any]) -> None:
        names.update(key for key in item if key not in allowed_names and not key.startswith("x-"))
        for below in item.get("properties", {}).values():
            walk(below)
        for key in ("items", "additionalProperties"):
            if isinstance(item.get(key), dict):
                walk(item[key])

    for definition in value["definitions"].values():
        walk(definition)
    return names
