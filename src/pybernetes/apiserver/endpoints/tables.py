"""Tables and partial objects, which kubectl and controllers ask for (upstream: apiserver/pkg/endpoints/handlers/response.go)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from ..generic.cache import Stored
from ..generic.options import ListResult
from ..resource import Column, Object, Resource

META = "meta.k8s.io"
PIECE = 128 << 10  # bytes of a large list that are joined at a time, about
_DEFAULT = (
    Column("Name", format="name", description="Name must be unique within a namespace."),
    Column("Created At", type="date", description="CreationTimestamp is the server time of the object's creation."),
)


def columns(resource: Resource) -> list[dict[str, Any]]:
    """columnDefinitions."""
    return [
        {"name": c.name, "type": c.type, "format": c.format, "description": c.description, "priority": c.priority}
        for c in resource.columns or _DEFAULT
    ]


def partial(obj: Object, version: str) -> Object:
    """Metadata only."""
    return {"kind": "PartialObjectMetadata", "apiVersion": f"{META}/{version}", "metadata": obj["metadata"]}


def row(resource: Resource, obj: Object, include: str, version: str, now: datetime) -> dict[str, Any]:
    """One row."""
    metadata = obj["metadata"]
    cells = resource.row(obj, now) if resource.row else [metadata["name"], metadata.get("creationTimestamp")]
    table_row: dict[str, Any] = {"cells": cells}
    if resource.row_conditions and (conditions := resource.row_conditions(obj)):
        table_row["conditions"] = conditions
    if include == "Object":
        table_row["object"] = obj
    else:
        table_row["object"] = partial(obj, version) if include != "None" else None  # null, not left out
    return table_row


def table(
    resource: Resource,
    items: Iterable[Object],
    list_meta: dict[str, Any],
    include: str,
    version: str,
    now: datetime,
    definitions: bool = True,
) -> dict[str, Any]:
    """A whole Table; later events of a watch carry no column definitions."""
    return {
        "kind": "Table",
        "apiVersion": f"{META}/{version}",
        "metadata": list_meta,
        "columnDefinitions": columns(resource) if definitions else None,
        "rows": [row(resource, obj, include, version, now) for obj in items],
    }


def list_pieces(resource: Resource, items: Sequence[Stored], list_meta: bytes) -> Iterator[bytes]:
    """As `list_bytes`, some items at a time: who reads slowly holds no copy of it all."""
    begin, before = _list_head(resource, list_meta), b""
    start = 0
    while start < len(items):
        stop, size = start, 0
        while stop < len(items) and size < PIECE:
            size += len(items[stop].tail)
            stop += 1
        some = items[start:stop]
        if resource.unstructured:
            yield begin + before + b",".join([stored.data for stored in some])
        else:
            yield begin + before + b"{" + b",{".join([stored.tail for stored in some])
        begin, before, start = b"", b",", stop
    yield begin + b"]}\n"


def list_meta(resource: Resource, result: ListResult, shaped: bool = False) -> dict[str, Any]:
    """ListMeta of what was listed; `shaped`: of a table, or of objects' metadata."""
    meta: dict[str, Any] = {"resourceVersion": str(result.revision)}
    if resource.unstructured and not shaped:
        meta["continue"] = ""
    if result.continue_:
        meta["continue"] = result.continue_
        if result.remaining is not None:
            meta["remainingItemCount"] = result.remaining
    return meta


def list_bytes(resource: Resource, items: Iterable[Stored], list_meta: bytes) -> bytes:
    """A List of objects as they are stored: joined, not encoded. Its items do not repeat their type, as upstream's do not,
    but for custom resources."""
    head = _list_head(resource, list_meta)
    if resource.unstructured:
        return head + b",".join([stored.head + stored.tail for stored in items]) + b"]}\n"
    tails = [stored.tail for stored in items]
    if not tails:
        return head + b"]}\n"
    # Ends and beginning go into the pieces, so that the whole is copied together once.
    tails[0] = head + b"{" + tails[0]
    tails[-1] += b"]}\n"
    return b",{".join(tails)


def _list_head(resource: Resource, list_meta: bytes) -> bytes:
    return b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (
        resource.list_kind.encode(),
        resource.api_version.encode(),
        list_meta,
    )
