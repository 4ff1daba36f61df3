"""Verbs over HTTP: reads the request, calls the store, writes the answer (upstream: apiserver/pkg/endpoints/handlers)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.field import FieldError, Path
from pybernetes.wire.http import BodyWriter, Request, Response, StreamingResponse

from ..generic.cache import Change, Lagging, Stored, TooOld, Watcher
from ..generic.options import DeleteOptions, ListOptions, WriteOptions
from ..generic.store import GenericStore, selector_predicate
from ..kinds import meta
from ..resource import Object, Resource
from ..types import RequestInfo, User
from . import negotiate, scale, tables
from .negotiate import Accepted

BOOKMARK_SECONDS = 60.0
DEFAULT_WATCH_SECONDS = 1800
PATCH_TYPES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
}
APPLY_TYPES = ("application/apply-patch+yaml", "application/apply-patch+cbor")
# Resources whose deletion is answered with the object, not a Status (upstream: ReturnDeletedObject of their storage).
RETURNED = frozenset(
    {"persistentvolumeclaims", "persistentvolumes", "pods", "podtemplates", "resourcequotas", "serviceaccounts"}
)
INITIAL_EVENTS_END = "k8s.io/initial-events-end"

_encode = msgspec.json.Encoder().encode


def list_options(query: dict[str, str], info: RequestInfo) -> ListOptions:
    """From the query; StatusError 400 for numbers that are none."""
    return ListOptions(
        label_selector=info.label_selector,
        field_selector=info.field_selector,
        limit=_integer(query, "limit"),
        continue_=query.get("continue", ""),
        resource_version=query.get("resourceVersion", ""),
        resource_version_match=query.get("resourceVersionMatch", ""),
        timeout_seconds=_integer(query, "timeoutSeconds"),
        allow_bookmarks=_flag(query, "allowWatchBookmarks"),
        send_initial_events=_flag(query, "sendInitialEvents") if "sendInitialEvents" in query else None,
    )


def _integer(query: dict[str, str], name: str) -> int:
    text = query.get(name, "")
    try:
        return int(text) if text else 0
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _flag(query: dict[str, str], name: str) -> bool:
    return query.get(name, "").lower() not in ("", "0", "false")


def write_options(query: dict[str, str], user: User, request: Request) -> WriteOptions:
    """From the query; StatusError 422 for values that are not allowed."""
    validation = query.get("fieldValidation", "") or "Warn"
    problems = []
    if validation not in ("Strict", "Warn", "Ignore"):
        problems.append(
            FieldError(
                "FieldValueNotSupported", "fieldValidation", _supported(validation, ("Ignore", "Strict", "Warn"))
            )
        )
    dry_run = query.get("dryRun", "")
    if dry_run not in ("", "All"):
        problems.append(FieldError("FieldValueNotSupported", "dryRun", _supported([dry_run], ("All",))))
    problems += meta.validate_field_manager(query.get("fieldManager", ""), Path("fieldManager"))
    if problems:
        kind = {"POST": "CreateOptions", "PUT": "UpdateOptions"}.get(request.method, "PatchOptions")
        raise errors.invalid("meta.k8s.io", kind, "", problems)
    return WriteOptions(user, bool(dry_run), validation)  # type: ignore[arg-type]  # checked above


def _include(query: dict[str, str]) -> str:
    """TableOptions.includeObject."""
    include = query.get("includeObject", "") or "Metadata"
    if include not in ("None", "Metadata", "Object"):
        raise errors.bad_request(f"Invalid value: {_encode(include).decode()}: must be one of None, Metadata, Object")
    return include


def _supported(value: Any, allowed: tuple[str, ...]) -> str:
    listed = ", ".join(f'"{a}"' for a in allowed)
    return f"Unsupported value: {_encode(value).decode()}: supported values: {listed}"


def answer(code: int, value: Any, form: Accepted, warnings: list[str] | None = None) -> Response:
    """One object."""
    media, body = negotiate.encode(value, form)
    headers = [("Content-Type", media), ("Cache-Control", "no-cache, private")]
    headers += [("Warning", f'299 - "{_escaped(text)}"') for text in dict.fromkeys(warnings or ())]
    return Response(code, headers, body)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


class ResourceHandler:
    """The verbs of one resource over HTTP."""

    def __init__(self, store: GenericStore, now: Callable[[], datetime]) -> None:
        self.store = store
        self.resource = store.resource
        self._now = now

    def _shape(self, obj: Object | bytes, form: Accepted, query: dict[str, str]) -> Any:
        """The object, its metadata, or a table of one row, as asked."""
        if not form.kind:
            return obj
        plain: Object = msgspec.json.decode(obj) if isinstance(obj, bytes) else obj
        if plain.get("kind") != self.resource.kind:
            return plain
        if form.kind == "Table":
            include = _include(query)
            list_meta = {"resourceVersion": plain["metadata"].get("resourceVersion", "")}
            return tables.table(self.resource, [plain], list_meta, include, form.version, self._now())
        return tables.partial(plain, form.version)

    async def get(self, request: Request, info: RequestInfo, query: dict[str, str]) -> Response:
        form = negotiate.accepted(request, query)
        stored = self.store.get(info.namespace, info.name)
        if info.subresource == "scale":
            return answer(200, scale.of(self.resource, stored.obj), form)
        return answer(200, self._shape(stored.data, form, query), form)

    async def list(self, request: Request, info: RequestInfo, query: dict[str, str]) -> Response:
        form = negotiate.accepted(request, query)
        found = await self.store.list(info.namespace, list_options(query, info))
        list_meta: dict[str, Any] = {"resourceVersion": str(found.revision)}
        if found.continue_:
            list_meta["continue"] = found.continue_
            if found.remaining is not None:
                list_meta["remainingItemCount"] = found.remaining
        if form.kind == "Table":
            include = _include(query)
            body: Any = tables.table(
                self.resource, [s.obj for s in found.items], list_meta, include, form.version, self._now()
            )
        elif form.kind:
            items = [tables.partial(s.obj, form.version) for s in found.items]
            version = f"{tables.META}/{form.version}"
            body = {"kind": "PartialObjectMetadataList", "apiVersion": version, "metadata": list_meta, "items": items}
        else:
            body = tables.list_bytes(self.resource, found.items, _encode(list_meta))
        return answer(200, body, form)

    async def create(self, request: Request, info: RequestInfo, query: dict[str, str], user: User) -> Response:
        form = negotiate.accepted(request, query)
        options = write_options(query, user, request)
        obj, warnings = self.store.schema.decode(negotiate.json_body(request), options.validation)
        self._check_kind(obj)
        made = await self.store.create(obj, info.namespace, options)
        return answer(201, self._shape(made, form, query), form, warnings + options.warnings)

    async def update(self, request: Request, info: RequestInfo, query: dict[str, str], user: User) -> Response:
        form = negotiate.accepted(request, query)
        options = write_options(query, user, request)
        if info.subresource == "scale":
            body = negotiate.document(request)
            return answer(200, await scale.update(self.store, info, body, options), form)
        obj, warnings = self.store.schema.decode(negotiate.json_body(request), options.validation)
        self._check_kind(obj)
        made, created = await self.store.update(info.namespace, info.name, obj, options, info.subresource)
        return answer(201 if created else 200, self._shape(made, form, query), form, warnings + options.warnings)

    def _check_kind(self, obj: Object) -> None:
        for name, wanted in (("apiVersion", self.resource.api_version), ("kind", self.resource.kind)):
            given = obj.get(name)
            if given and given != wanted:
                if name == "apiVersion":
                    text = f"the API version in the data ({given}) does not match the expected API version ({wanted})"
                else:
                    version = self.resource.version
                    text = f'{given} in version "{version}" cannot be handled as a {wanted}: converting ({given}) to ({wanted}): unknown conversion'
                raise errors.bad_request(text)

    async def patch(self, request: Request, info: RequestInfo, query: dict[str, str], user: User) -> Response:
        form = negotiate.accepted(request, query)
        options = write_options(query, user, request)
        media = (request.header("content-type") or "").split(";")[0].strip()
        kind = PATCH_TYPES.get(media)
        if kind is None:
            listed = ", ".join((*PATCH_TYPES, *APPLY_TYPES[:1]))
            text = f"the body of the request was in an unknown format - accepted media types include: {listed}"
            if media in APPLY_TYPES:
                text = "server-side apply is not served yet: use a merge patch (kubectl apply without --server-side)"
            raise errors.unsupported_media_type(text)
        try:
            body = msgspec.json.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise errors.bad_request(f"error decoding patch: {error}") from None
        if info.subresource == "scale":
            return answer(200, await scale.patch(self.store, info, kind, body, options), form)
        made = await self.store.patch(info.namespace, info.name, kind, body, options, info.subresource)  # type: ignore[arg-type]  # one of PATCH_TYPES' values
        return answer(200, self._shape(made, form, query), form, options.warnings)

    async def delete(self, request: Request, info: RequestInfo, query: dict[str, str], user: User) -> Response:
        form = negotiate.accepted(request, query)
        options = self._delete_options(request, query, user)
        last, gone = await self.store.delete(info.namespace, info.name, options)
        if not gone or (self.resource.group == "" and self.resource.name in RETURNED):
            return answer(200, self._shape(last, form, query), form)
        details = {
            "name": info.name,
            "group": self.resource.group,
            "kind": self.resource.name,
            "uid": last["metadata"]["uid"],
        }
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return answer(200, {**status, "details": {k: v for k, v in details.items() if v}}, form)

    async def delete_collection(
        self, request: Request, info: RequestInfo, query: dict[str, str], user: User
    ) -> Response:
        form = negotiate.accepted(request, query)
        options = self._delete_options(request, query, user)
        found = await self.store.delete_collection(info.namespace, options, list_options(query, info))
        list_meta = _encode({"resourceVersion": str(found.revision)})
        return answer(200, tables.list_bytes(self.resource, found.items, list_meta), form)

    @staticmethod
    def _delete_options(request: Request, query: dict[str, str], user: User) -> DeleteOptions:
        body = negotiate.document(request) if request.body else {}
        if not isinstance(body, dict):
            raise errors.bad_request("DeleteOptions must be an object")
        given = {k: v for k, v in {**query, **body}.items() if v is not None}
        grace = given.get("gracePeriodSeconds")
        conditions = given.get("preconditions") or {}
        if not isinstance(conditions, dict):
            raise errors.bad_request(f"preconditions {conditions!r} is no object")
        propagation = given.get("propagationPolicy", "")
        orphan = given.get("orphanDependents")
        if orphan is not None and not propagation:
            propagation = "Orphan" if str(orphan).lower() == "true" else "Background"
        if propagation not in ("", "Background", "Foreground", "Orphan"):
            cause = _supported(propagation, ("Background", "Foreground", "Orphan", "nil"))
            problem = FieldError("FieldValueNotSupported", "propagationPolicy", cause)
            raise errors.invalid("meta.k8s.io", "DeleteOptions", "", [problem])
        try:
            seconds = None if grace is None else int(grace)
        except (TypeError, ValueError):
            raise errors.bad_request(f"gracePeriodSeconds {grace!r} is no number") from None
        return DeleteOptions(
            user=user,
            dry_run=bool(given.get("dryRun")),
            grace_period_seconds=seconds,
            uid=conditions.get("uid") or "",
            resource_version=conditions.get("resourceVersion") or "",
            propagation=propagation,
        )

    async def watch(self, request: Request, info: RequestInfo, query: dict[str, str]) -> StreamingResponse | Response:
        form = negotiate.accepted(request, query, stream=True)
        options = list_options(query, info)
        predicate = selector_predicate(self.resource, options)
        prefix = (
            self.store.key(info.namespace, "") if info.namespace and self.resource.namespaced else self.store.prefix
        )
        headers = [("Content-Type", negotiate.JSON), ("Cache-Control", "no-cache, private")]
        frames = _Frames(self, form, _include(query), predicate, prefix)
        try:
            watcher, revision, initial = self.store.watch(options)
        except TooOld as error:
            asked = options.resource_version
            gone = errors.gone(f"too old resource version: {asked} ({error.oldest})").status
            line = _encode({"type": "ERROR", "object": gone}) + b"\n"
            return Response(200, headers, line)

        async def produce(writer: BodyWriter) -> None:
            try:
                await self._produce(writer, watcher, frames, options, revision, initial)
            except Lagging:
                return  # the client sees the end of its watch, and lists or resumes
            finally:
                watcher.end()

        return StreamingResponse(produce, 200, headers)

    async def _produce(
        self, writer: BodyWriter, watcher: Watcher, frames: _Frames, options: ListOptions, revision: int, initial: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + (options.timeout_seconds or DEFAULT_WATCH_SECONDS)
        if initial:
            present = self.store.cache.resource(self.store.prefix).range(frames.prefix)
            await writer.write(b"".join([frames.added(stored) for stored in present if stored.revision <= revision]))
            if options.send_initial_events:
                await writer.write(frames.bookmark(revision, {INITIAL_EVENTS_END: "true"}))
        else:
            await writer.write(b"")
        bookmark_due = loop.time() + BOOKMARK_SECONDS
        while not watcher.ended:
            now = loop.time()
            if now >= end:
                if options.allow_bookmarks:
                    await writer.write(frames.bookmark(self.store.cache.revision))
                return
            batch = await watcher.batch(min(end, bookmark_due) - now)
            data = b"".join([frames.of(change) for change in batch])
            if data:
                await writer.write(data)
            if loop.time() >= bookmark_due:
                bookmark_due = loop.time() + BOOKMARK_SECONDS
                if options.allow_bookmarks:
                    await writer.write(frames.bookmark(self.store.cache.revision))


class _Frames:
    """Watch events as bytes, in one client's form."""

    def __init__(
        self,
        handler: ResourceHandler,
        form: Accepted,
        include: str,
        predicate: Callable[[Stored], bool] | None,
        prefix: str,
    ) -> None:
        self._handler, self._form, self._include, self._predicate = handler, form, include, predicate
        self.prefix = prefix
        self._first = True

    def _selected(self, stored: Stored | None) -> bool:
        return (
            stored is not None
            and stored.key.startswith(self.prefix)
            and (self._predicate is None or self._predicate(stored))
        )

    def added(self, stored: Stored) -> bytes:
        """An object that is there when the watch begins."""
        return self._frame(b"ADDED", stored) if self._selected(stored) else b""

    def of(self, change: Change) -> bytes:
        """b"" for what the client does not see; entering and leaving the selection are additions and deletions."""
        now, was = self._selected(change.current), self._selected(change.previous)
        if now:
            assert change.current is not None
            return self._frame(b"MODIFIED" if was else b"ADDED", change.current)
        if was:
            assert change.previous is not None
            return self._frame(b"DELETED", _at(change.previous, change))
        return b""

    def _frame(self, kind: bytes, stored: Stored) -> bytes:
        stored = self._handler.store._in_version(stored)
        if not self._form.kind:
            return b'{"type":"%b","object":%b}\n' % (kind, stored.data)
        return b'{"type":"%b","object":%b}\n' % (kind, _encode(self._shaped(stored.obj)))

    def _shaped(self, obj: Object) -> Any:
        resource: Resource = self._handler.resource
        if self._form.kind != "Table":
            return tables.partial(obj, self._form.version)
        list_meta = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        definitions, self._first = self._first, False
        return tables.table(
            resource, [obj], list_meta, self._include, self._form.version, self._handler._now(), definitions
        )

    def bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> bytes:
        """How far the client has seen."""
        own: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            own["annotations"] = annotations
        resource = self._handler.resource
        obj: Any = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": own}
        if self._form.kind == "Table":
            obj = {"kind": "Table", "apiVersion": f"{tables.META}/{self._form.version}", "metadata": own, "rows": []}
        elif self._form.kind:
            obj = tables.partial({"metadata": own}, self._form.version)
        return _encode({"type": "BOOKMARK", "object": obj}) + b"\n"


def _at(stored: Stored, change: Change) -> Stored:
    """A deleted object carries the resource version of its deletion."""
    if stored.revision == change.revision:
        return stored
    from ..generic.store import encode

    return Stored(stored.key, encode(stored.obj), change.revision)


__all__ = ["ResourceHandler", "StatusError", "answer", "list_options", "write_options"]
