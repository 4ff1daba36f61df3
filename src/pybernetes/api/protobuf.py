"""Reads Kubernetes' protobuf form of built-in objects: `k8s\\0`, then runtime.Unknown around the message.

kubectl and Go clients send it; protobufencode.py writes it. Field numbers are in data/protobuf.json, those of messages that no
kind of today's definitions needs in FURTHER, which are read when first asked for (tools/read_protos.py, tools/read_legacy.py).
"""

from __future__ import annotations

import base64
import functools
import json
import struct
from importlib import resources
from typing import Any

from . import times
from .protowire import ProtobufError, fields, read_varint

MAGIC = b"k8s\x00"
MAX_DEPTH = 100
FURTHER = ("protobuf_unserved", "protobuf_legacy")
META = "apimachinery.pkg.apis.meta.v1."
# Their JSON is one thing or another (apiextensions).
CUSTOM_JSON = ("JSON", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrStringArray")
SLICE = {"1": ["items", "string", "r"]}  # a Go slice with a name of its own
# Where a package is not named as the first word of its group.
_PACKAGES = {"": "core", "internal": "apiserverinternal"}
# Kinds of every group-version, and those of v1 that belong to no group.
_SHARED = ("WatchEvent", "ListOptions", "GetOptions", "DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions")
_UNVERSIONED = ("Status", "APIVersions", "APIGroupList", "APIGroup", "APIResourceList")


Messages = dict[str, dict[str, list[str]]]


@functools.cache
def _messages(file: str) -> Messages:
    data = resources.files("pybernetes.api").joinpath(f"data/{file}.json").read_bytes()
    messages: Messages = json.loads(data)
    return messages


def fields_of(name: str) -> dict[str, list[str]]:
    """field number -> [JSON name, type, mark] of a message (marks: tools/read_protos.py)."""
    fields = _messages("protobuf").get(name)
    for file in FURTHER if fields is None else ():
        if (fields := _messages(file).get(name)) is not None:
            break
    if fields is None:
        raise KeyError(name)
    return fields


@functools.cache
def _kinds(file: str) -> dict[tuple[str, str, str], str]:
    """(package, version, kind) -> message."""
    kinds = {}
    for name in _messages(file):
        *_, package, version, kind = name.split(".")
        if name.startswith(("api.", "apiextensions_apiserver.", "kube_aggregator.")) or ".meta." in name:
            kinds[package, version, kind] = name
    return kinds


@functools.lru_cache(1024)
def message_of(api_version: str, kind: str) -> str:
    """The message of a kind; ProtobufError if there is none."""
    group, _, version = api_version.rpartition("/")
    word = group.split(".")[0]
    key = (_PACKAGES.get(word, word), version, kind)
    message = next((kinds[key] for file in ("protobuf", *FURTHER) if key in (kinds := _kinds(file))), None)
    if message is None and (kind in _SHARED or kind in _UNVERSIONED):
        message = f"{META}{kind}"
    if message is None:
        raise ProtobufError(f"no kind {kind!r} is registered for version {api_version!r}")
    return message


def decode(data: bytes, into: str = "") -> dict[str, Any]:
    """The object as JSON-like data, apiVersion and kind included; `into` is the kind of one that names none (WatchEvent)."""
    if not data:
        raise ProtobufError("empty data")
    if not data.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    if len(data) == len(MAGIC):
        raise ProtobufError("empty body")
    api_version = kind = ""
    raw = b""
    for number, value in fields(data[len(MAGIC) :]):
        if number == 1:
            for inner, text in fields(_bytes(value)):
                if inner == 1:
                    api_version = _bytes(text).decode()
                elif inner == 2:
                    kind = _bytes(text).decode()
        elif number == 2:
            raw = _bytes(value)
    obj = _message(raw, message_of(api_version, kind or into), 0)
    return {"apiVersion": api_version, "kind": kind, **obj} if kind else obj


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ProtobufError("a number where bytes were expected")
    return value


def _message(data: bytes, name: str, depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise ProtobufError(f"messages are nested deeper than {MAX_DEPTH}")
    declared = fields_of(name)
    obj: dict[str, Any] = {}
    for number, raw in fields(data):
        declaration = declared.get(str(number))
        if declaration is None:
            continue  # of a newer version, or ours was dropped upstream
        field, kind, mark = declaration
        if mark == "m":
            key, value = _entry(_bytes(raw), kind, depth)
            obj.setdefault(field, {})[key] = value
        elif mark == "r":
            obj.setdefault(field, []).extend(_repeated(raw, kind, depth))
        elif mark == "i":
            obj.update(_message(_bytes(raw), kind, depth + 1))
        else:
            value = _value(raw, kind, depth)
            if value or mark != "z":
                obj[field] = value
    return obj


def _repeated(raw: int | bytes, kind: str, depth: int) -> list[Any]:
    if kind in ("int32", "int64", "bool", "uint32", "uint64") and isinstance(raw, bytes):  # packed
        values, place = [], 0
        while place < len(raw):
            number, place = read_varint(raw, place)
            values.append(_value(number, kind, depth))
        return values
    return [_value(raw, kind, depth)]


def _entry(data: bytes, kind: str, depth: int) -> tuple[str, Any]:
    key, value = "", None
    for number, raw in fields(data):
        if number == 1:
            key = _bytes(raw).decode()
        else:
            value = _value(raw, kind, depth)
    return key, value if value is not None else _empty(kind, depth)


def _empty(kind: str, depth: int) -> Any:
    return {"string": "", "bytes": "", "bool": False}.get(kind, 0) if "." not in kind else _value(b"", kind, depth)


def _value(raw: int | bytes, kind: str, depth: int) -> Any:
    try:
        match kind:
            case "string":
                return _bytes(raw).decode()
            case "bytes":
                return base64.b64encode(_bytes(raw)).decode()
            case "bool":
                return bool(raw)
            case "int32" | "int64":
                number = int(raw) if isinstance(raw, int) else 0
                return number - (1 << 64) if number >> 63 else number
            case "uint32" | "uint64":
                return raw
            case "double":
                return struct.unpack("<d", _bytes(raw))[0]
    except (UnicodeDecodeError, struct.error) as error:
        raise ProtobufError(str(error)) from None
    return _special(_bytes(raw), kind, depth)


def _special(data: bytes, kind: str, depth: int) -> Any:
    """Messages whose JSON is no object, then all others."""
    short = kind.rsplit(".", 1)[-1]
    if kind.startswith("apimachinery.pkg.") and short in ("Quantity", "IntOrString", "RawExtension"):
        parts = dict(fields(data))
        if short == "Quantity":
            return _bytes(parts.get(1, b"")).decode()
        if short == "RawExtension":
            return json.loads(_bytes(parts[1])) if parts.get(1) else None
        return _bytes(parts.get(3, b"")).decode() if parts.get(1) else _value(parts.get(2, 0), "int32", depth)
    if kind in (f"{META}Time", f"{META}MicroTime"):
        if not data:  # Go's zero time
            return None
        parts = dict(fields(data))
        nanos = _value(parts.get(2, 0), "int32", depth)
        moment = times.since_epoch(_value(parts.get(1, 0), "int64", depth), nanos // 1000)
        return times.format_time(moment) if short == "Time" else times.format_micro_time(moment)
    if kind == f"{META}FieldsV1":
        parts = dict(fields(data))
        return json.loads(_bytes(parts[1])) if parts.get(1) else None
    if short in CUSTOM_JSON and "apiextensions" in kind:
        return _custom(data, kind, short, depth)
    if fields_of(kind) == SLICE:
        return [_bytes(value).decode() for _, value in fields(data)]
    return _message(data, kind, depth + 1)


def _custom(data: bytes, kind: str, short: str, depth: int) -> Any:
    """The types of CustomResourceDefinitions that are one thing or another in JSON."""
    parts = list(fields(data))
    schema = kind[: -len(short)] + "JSONSchemaProps"
    if short == "JSON":
        return json.loads(_bytes(parts[0][1])) if parts else None
    if short == "JSONSchemaPropsOrBool":
        custom = next((_bytes(value) for number, value in parts if number == 2), None)
        return bool(dict(parts).get(1)) if custom is None else _message(custom, schema, depth + 1)
    first = next((_bytes(value) for number, value in parts if number == 1), None)
    if first is not None:
        return _message(first, schema, depth + 1)
    item = schema if short == "JSONSchemaPropsOrArray" else "string"
    return [_value(value, item, depth + 1) for _, value in parts]
