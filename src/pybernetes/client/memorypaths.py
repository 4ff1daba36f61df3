"""What a MemoryClient answers to requests by path: the objects of its tables, as a server has them there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from pybernetes.api import errors, mediatypes, types
from pybernetes.api.resources import plural
from pybernetes.api.types import KINDS

from .types import Bookmark, Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .memory import MemoryClient

_PATH = re.compile(
    r"/(?:api/(?P<core>[^/]+)|apis/(?P<version>[^/]+/[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?!/(?:status|finalize)$))?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<subresource>[^/]+))?)?"
)


@dataclass(frozen=True, slots=True)
class Place:
    """What a path leads to: a collection, or one object."""

    kind: type[Any]
    namespace: str
    name: str
    subresource: str
    query: Mapping[str, str]


def unknown() -> errors.StatusError:
    """404, as of a path that nobody serves."""
    message = "the server could not find the requested resource"
    return errors.StatusError({"code": 404, "reason": "NotFound", "message": message})


def place(path: str, kinds: Iterable[type[Any]]) -> Place:
    """StatusError 404 where it leads to none of the kinds and no built-in one."""
    parts = urlsplit(path)
    match = _PATH.fullmatch(parts.path)
    if match is None:
        raise unknown()
    names = {name: unquote(value) for name, value in match.groupdict(default="").items()}
    kind = _kind(names["core"] or names["version"], names["resource"], kinds)
    return Place(kind, names["namespace"], names["name"], names["subresource"], dict(parse_qsl(parts.query)))


def _kind(api_version: str, resource: str, kinds: Iterable[type[Any]]) -> type[Any]:
    for kind in kinds:
        blank = kind()
        if (blank.api_version, plural(blank.kind)) == (api_version, resource):
            return kind
    for version, name in KINDS:
        if version == api_version and plural(name) == resource:
            built_in: type[Any] = types.type_of(version, name)
            return built_in
    raise unknown()


async def answer(client: MemoryClient, method: str, at: Place, body: bytes | None, headers: Mapping[str, str]) -> bytes:
    """The object, the list, or a Status; StatusError as the client's own methods."""
    if method == "GET":
        return types.encode(await client.get(at.kind, at.name, at.namespace)) if at.name else await _list(client, at)
    if method == "DELETE":
        await _delete(client, at, msgspec.json.decode(body or b"{}"))
        return b'{"kind":"Status","apiVersion":"v1","status":"Success"}'
    if method == "PATCH" and at.name:
        return await _patch(client, at, body or b"{}", headers.get("Content-Type", ""))
    raise errors.method_not_supported("", plural(at.kind().kind), method.lower())


async def events(client: MemoryClient, at: Place) -> AsyncIterator[tuple[str, bytes]]:
    """Of a watch: (type, object's JSON)."""
    async for event in client.watch(
        at.kind,
        at.namespace,
        resource_version=at.query.get("resourceVersion", "0"),
        label_selector=at.query.get("labelSelector", ""),
        field_selector=at.query.get("fieldSelector", ""),
    ):
        if isinstance(event, Bookmark):
            yield "BOOKMARK", msgspec.json.encode({"metadata": {"resourceVersion": event.resource_version}})
        else:
            yield event.type, types.encode(event.object)


async def _list(client: MemoryClient, at: Place) -> bytes:
    query, blank = at.query, at.kind()
    page = Page(query.get("resourceVersion", ""), int(query.get("limit", "0")), query.get("continue", ""))
    selectors = {"label_selector": query.get("labelSelector", ""), "field_selector": query.get("fieldSelector", "")}
    listed = await client.list_page(at.kind, at.namespace, page, **selectors)
    meta: dict[str, Any] = {"resourceVersion": listed.resource_version}
    if listed.continue_:
        rest = client.selected(at.kind, at.namespace, **selectors)[int(listed.continue_) :]
        meta |= {"continue": listed.continue_, "remainingItemCount": len(rest)}
    document = {"kind": f"{blank.kind}List", "apiVersion": blank.api_version, "metadata": meta}
    return msgspec.json.encode({**document, "items": [msgspec.Raw(types.encode(item)) for item in listed.items]})


async def _delete(client: MemoryClient, at: Place, options: Mapping[str, Any]) -> None:
    names = [at.name] if at.name else [obj.metadata.name for obj in client.selected(at.kind, at.namespace)]
    conditions = options.get("preconditions") or {}
    for name in names:
        await client.delete(
            at.kind,
            name,
            at.namespace,
            uid=conditions.get("uid", ""),
            resource_version=conditions.get("resourceVersion", ""),
            grace_period_seconds=options.get("gracePeriodSeconds"),
            propagation=options.get("propagationPolicy", ""),
        )


async def _patch(client: MemoryClient, at: Place, body: bytes, content_type: str) -> bytes:
    """Custom resources take no strategic merge patches."""
    way = {media: way for way, media in mediatypes.PATCHES.items()}.get(content_type)
    blank = at.kind()
    if way is None or (way == "strategic" and (blank.api_version, blank.kind) not in KINDS):
        raise errors.unsupported_media_type(f"the body of the request was in an unknown format: {content_type}")
    patch = msgspec.json.decode(body)
    patched = await client.patch(
        at.kind,
        at.name,
        at.namespace,
        patch,
        type=way,
        subresource=at.subresource,
    )
    return types.encode(patched)
