"""Answers in protobuf (upstream: apimachinery/pkg/runtime/serializer/protobuf).

An object's message is made once at each of its revisions, by Python and so slowly: lists leave the event loop to others in between.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator, Sequence

from pybernetes.aio import apart
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.protobufencode import encode, message, wrapped, wrapping
from pybernetes.api.protowire import ProtobufError, chunk, chunk_head

from ..generic.cache import Stored
from ..resource import Object, Resource

SLICE_BYTES = 64 << 10  # of JSON that are packed before others have their turn: some twenty milliseconds
LIST_META = "ListMeta"


def whole(value: Object) -> bytes:
    """Any object by its kind; StatusError 500 for one that has no such form."""
    try:
        return encode(value)
    except ProtobufError as error:
        raise _refused(error) from None


def body(resource: Resource, stored: Stored) -> bytes:
    """The message of a stored object, kept with it; StatusError 500."""
    if stored.packed is None:
        try:
            stored.packed = message(stored.peek(), resource.api_version, resource.kind)
        except ProtobufError as error:
            raise _refused(error) from None
    return stored.packed


def of_event(resource: Resource, stored: Stored) -> bytes:
    """As `whole`, of what a watch tells."""
    return wrapped(resource.api_version, resource.kind, body(resource, stored))


async def of_stored(resource: Resource, stored: Stored) -> bytes:
    """As `whole`, a large one beside the event loop."""
    data = await apart.run(0 if stored.packed is not None else len(stored.tail), body, resource, stored)
    return wrapped(resource.api_version, resource.kind, data)


async def list_of(resource: Resource, items: Sequence[Stored], list_meta: Object) -> Iterator[bytes]:
    """A List of objects, in pieces. All are packed first, as a message begins with its length; who reads holds no copy of them."""
    begin = chunk(1, message(list_meta, "meta.k8s.io/v1", LIST_META))
    heads, length, size = list[bytes](), len(begin), 0
    for stored in items:
        work = 0 if stored.packed is not None else len(stored.tail)
        packed = await apart.run(work, body, resource, stored)
        heads.append(chunk_head(2, len(packed)))
        length += len(heads[-1]) + len(packed)
        size += work
        if size > SLICE_BYTES:
            size = 0
            await asyncio.sleep(0)
    before, after = wrapping(resource.api_version, resource.list_kind, length)
    return _pieces(resource, items, heads, before + begin, after)


def _pieces(
    resource: Resource, items: Sequence[Stored], heads: Sequence[bytes], begin: bytes, end: bytes
) -> Iterator[bytes]:
    some, size = [begin], len(begin)
    for head, stored in zip(heads, items, strict=True):
        some += (head, body(resource, stored))
        size += len(some[-1])
        if size >= SLICE_BYTES:
            yield b"".join(some)
            some, size = [], 0
    yield b"".join([*some, end])


def event(kind: bytes, obj: bytes) -> bytes:
    """A frame of a watch: its length, then a WatchEvent around the whole object."""
    raw = chunk(1, kind) + chunk(2, chunk(1, obj))
    return struct.pack(">I", len(raw)) + raw


def _refused(error: ProtobufError) -> StatusError:
    return errors.internal_error(f"the object has no form in protobuf: {error}")
