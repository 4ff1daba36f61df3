"""What an object looks like in etcd: protobuf in an envelope for built-in kinds, JSON for the others (upstream: storage/value, runtime).

This is the one place between an object and its stored bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pybernetes.api import protobuf, protobufencode
from pybernetes.api.errors import StatusError
from pybernetes.api.gojson import escaped
from pybernetes.api.protobuf import MAGIC
from pybernetes.api.protowire import ProtobufError

from ..generic.keys import GROUPED
from ..generic.reading import encode as encode_own
from ..resource import Object, Resource
from ..schema import compiled
from . import older

ENCRYPTED = b"k8s:enc:"
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder(order="sorted").encode
_encode_in_order = msgspec.json.Encoder().encode


class Unreadable(Exception):
    """Stored bytes that are no object: why."""


def stored(value: bytes, *, built_in: bool) -> bytes:
    """An object's JSON, as `generic.reading.encode` makes it, as upstream stores it.

    What the apiextensions server and the aggregator keep is JSON in the order of Go's fields; custom resources are maps, which Go sorts.
    """
    obj = _decode(value)
    group = obj["apiVersion"].rpartition("/")[0]
    if built_in and group not in GROUPED:
        return protobufencode.encode(obj)
    if group in GROUPED:
        head = {"kind": obj["kind"], "apiVersion": obj["apiVersion"]}
        return escaped(_encode_in_order({**head, **{k: v for k, v in obj.items() if k not in head}})) + b"\n"
    return escaped(_encode(obj)) + b"\n"


def _normal(obj: Object, resource: Resource) -> Object:
    """With the defaults of today, as Go's decoder gives them: who wrote it may have been older, or have left them to the reader."""
    if (obj["apiVersion"], obj["kind"]) != (resource.api_version, resource.kind):
        return obj  # of a version that is read as it is
    try:
        plain, _ = compiled(resource).normalize(obj)
    except StatusError:
        return obj  # it was valid once: whoever changes it is told what is not any more
    resource.default(plain)
    return {**plain, "apiVersion": obj["apiVersion"], "kind": obj["kind"]}


def read(data: bytes, resource: Resource | None) -> bytes:
    """The JSON of what is stored, in the version that this server stores. Unreadable.

    `resource` of a built-in kind: its zero values and empty lists are as the API shows them, which protobuf does not tell apart.
    """
    if data.startswith(ENCRYPTED):
        raise Unreadable("it is encrypted, and this server has no key")
    try:
        obj: Object = protobuf.decode(data) if data.startswith(MAGIC) else _decode(data)
        if not isinstance(obj.get("metadata"), dict):
            raise Unreadable("it has no metadata")
        obj = older.converted(obj)
        for name in ("resourceVersion", "selfLink"):
            obj["metadata"].pop(name, None)
        return encode_own(obj if resource is None else _normal(obj, resource))
    except (ProtobufError, msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, RecursionError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error
