"""Verbs over HTTP: reads the request, calls the store, writes the answer (upstream: apiserver/pkg/endpoints/handlers)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from pybernetes.aio import apart
from pybernetes.api import errors, gosyntax, mediatypes, strconv
from pybernetes.api.errors import StatusError
from pybernetes.api.field import FieldError, Path, invalid
from pybernetes.api.mediatypes import PatchKind
from pybernetes.wire import channels, websocket
from pybernetes.wire.http import BodyWriter, Request, Response, StreamingResponse, UpgradeResponse

from .. import audit, pieces, schemawalker
from ..apply.managed import is_reset, manager_of
from ..authentication.user import User
from ..generic import patching, typemeta
from ..generic.cache import Lagging, Stored, TooOld
from ..generic.options import DeleteOptions, ListOptions, ListResult, WriteOptions
from ..generic.paging import revision_read
from ..generic.selection import selector_predicate
from ..generic.store import GenericStore
from ..generic.typemeta import Kind
from ..kinds import meta
from ..query import Query
from ..resource import Object, Resource
from ..schema import UNREAD, CompiledSchema, compiled_type, read_json, summary
from ..types import RequestInfo
from . import negotiate, packing, scale, tables, warningheader
from .deleteoptions import delete_options, dry_run_problems, supported
from .negotiate import Accepted
from .watch import Frames
from .watch import produce as events

PATCH_TYPES = {media: kind for kind, media in mediatypes.PATCHES.items()}
APPLY_TYPES = (mediatypes.APPLY_PATCH,)

UNNAMED = "name must be provided"  # upstream: handlers/namer.go; a router lets no built-in resource come so far
NOT_CACHED = ("Cache-Control", "no-cache, private")
MATCH = "resourceVersionMatch"
STREAMED_BYTES = 2 << 20  # of a list's items; what is larger is never joined as a whole

Warnings = list[str]

_encode = msgspec.json.Encoder().encode


def list_options(query: Query, info: RequestInfo) -> ListOptions:
    """From the query; StatusError 400 for numbers that are none."""
    problems = _match_problems(query, info.verb == "watch")
    if problems:
        raise errors.invalid("meta.k8s.io", "ListOptions", "", problems)
    return ListOptions(
        label_selector=info.label_selector,
        field_selector=info.field_selector,
        limit=_integer(query, "limit"),
        continue_=query.get("continue", ""),
        resource_version=query.get("resourceVersion", ""),
        resource_version_match=query.get("resourceVersionMatch", ""),
        timeout_seconds=_integer(query, "timeoutSeconds"),
        allow_bookmarks=query.flag("allowWatchBookmarks"),
        send_initial_events=query.flag("sendInitialEvents") if "sendInitialEvents" in query else None,
    )


def _forbidden(name: str, text: str) -> FieldError:
    return FieldError("FieldValueForbidden", name, f"Forbidden: {text}")


def _match_problems(query: Query, watching: bool) -> list[FieldError]:
    """Upstream's ValidateListOptions (apimachinery internalversion/validation), in its order."""
    return _watch_problems(query) if watching else _list_problems(query)


def _list_problems(query: Query) -> list[FieldError]:
    match, version = query.get(MATCH, ""), query.get("resourceVersion", "")
    problems: list[FieldError] = []
    if match and not version:
        problems.append(_forbidden(MATCH, f"{MATCH} is forbidden unless resourceVersion is provided"))
    if match and query.get("continue"):
        problems.append(_forbidden(MATCH, f"{MATCH} is forbidden when continue is provided"))
    if match not in ("", "Exact", "NotOlderThan"):
        text = supported(match, ("Exact", "NotOlderThan", ""))
        problems.append(FieldError("FieldValueNotSupported", MATCH, text))
    if match == "Exact" and version == "0":
        problems.append(_forbidden(MATCH, f'{MATCH} "exact" is forbidden for resourceVersion "0"'))
    if "sendInitialEvents" in query:
        problems.append(_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return problems


def _watch_problems(query: Query) -> list[FieldError]:
    match, initial = query.get(MATCH, ""), "sendInitialEvents" in query
    problems: list[FieldError] = []
    if initial and match != "NotOlderThan":
        problems.append(_forbidden(MATCH, f"sendInitialEvents requires setting {MATCH} to NotOlderThan"))
    if match and not initial:
        problems.append(_forbidden(MATCH, f"{MATCH} is forbidden for watch unless sendInitialEvents is provided"))
    if match not in ("", "NotOlderThan"):
        problems.append(FieldError("FieldValueNotSupported", MATCH, supported(match, ("NotOlderThan",))))
    if match and query.get("continue"):
        problems.append(_forbidden(MATCH, f"{MATCH} is forbidden when continue is provided"))
    return problems


def _integer(query: Query, name: str) -> int:
    try:
        return query.integer(name) or 0
    except strconv.NumberError as error:
        raise errors.bad_request(str(error)) from None


def write_options(query: Query, user: User, request: Request) -> WriteOptions:
    """From the query; StatusError 422 for values that are not allowed."""
    validation = query.get("fieldValidation", "") or "Warn"
    manager, dry_run = query.get("fieldManager", ""), query.every("dryRun")
    problems = _patch_problems(query, media_type(request) in APPLY_TYPES) if request.method == "PATCH" else []
    problems += meta.validate_field_manager(manager, Path("fieldManager"))
    problems += dry_run_problems(dry_run)
    if validation not in ("Strict", "Warn", "Ignore"):
        why = supported(validation, ("Ignore", "Strict", "Warn"))
        problems.append(FieldError("FieldValueNotSupported", "fieldValidation", why))
    if problems:
        kind = {"POST": "CreateOptions", "PUT": "UpdateOptions"}.get(request.method, "PatchOptions")
        raise errors.invalid("meta.k8s.io", kind, "", problems)
    return WriteOptions(
        user,
        bool(dry_run),
        validation,  # type: ignore[arg-type]  # checked above
        manager=manager_of(manager, request.header("user-agent") or ""),
        given={name: query[name] for name in ("fieldManager", "fieldValidation") if query.get(name)},
    )


def _patch_problems(query: Query, applying: bool) -> list[FieldError]:
    if applying and not query.get("fieldManager"):
        return [FieldError("FieldValueRequired", "fieldManager", "Required value: is required for apply patch")]
    if not applying and "force" in query:
        text = "Forbidden: may not be specified for non-apply patch"
        return [FieldError("FieldValueForbidden", "force", text)]
    return []


def media_type(request: Request) -> str:
    """Of the body, without parameters."""
    return (request.header("content-type") or "").split(";")[0].strip().lower()


def _include(query: Query) -> str:
    """TableOptions.includeObject."""
    include = query.get("includeObject", "") or "Metadata"
    if include not in ("None", "Metadata", "Object"):
        problem = invalid(Path("includeObject"), include, "must be 'Metadata', 'Object', 'None', or empty")
        raise errors.bad_request(f"Unable to convert to Table as requested: {problem}")
    return include


def _size(items: Sequence[Stored]) -> int:
    return sum([len(stored.tail) for stored in items])


def _patch_document(body: bytes, kind: PatchKind, validation: str) -> tuple[Any, Warnings]:
    """What a patch says, and what only strictness minds; StatusError 400 in the words of Go's decoders."""
    try:
        document = msgspec.json.decode(body)
        if validation == "Ignore":
            return document, []
        if not pieces.has_duplicates(body):
            return document, patching.unknown_members(document) if kind == "json" else []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        document, twice = schemawalker.untyped(gosyntax.read(body))
        if kind == "json":
            twice = [*(f"json patch {one}" for one in twice), *patching.unknown_members(document)]
        return document, [] if validation == "Ignore" else twice[: schemawalker.MAX_STRICT_ERRORS]
    except schemawalker.Refused as error:
        why = str(error)
    except (ValueError, RecursionError):
        why = gosyntax.syntax_error(body) or gosyntax.TOO_DEEP
    raise errors.bad_request(why if kind == "strategic" else f"error decoding patch: {why}")


def _delete_query(query: Query) -> Object:
    """DeleteOptions of the query; StatusError 400 (upstream: meta/v1 Convert_url_Values_To_v1_DeleteOptions)."""
    given: Object = {"dryRun": query.every("dryRun")}
    if "orphanDependents" in query:
        given["orphanDependents"] = query.flag("orphanDependents")
    if "propagationPolicy" in query:
        given["propagationPolicy"] = query["propagationPolicy"]
    if "gracePeriodSeconds" in query:
        given["gracePeriodSeconds"] = _integer(query, "gracePeriodSeconds")
    given["preconditions"] = {name: query[name] for name in ("uid", "resourceVersion") if query.get(name)} or None
    return given


def _delete_body(request: Request) -> Object:
    """DeleteOptions; StatusError 400 without the usual beginning (upstream: handlers/delete.go)."""
    options = compiled_type("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", "meta.k8s.io/v1", "DeleteOptions")
    unread = UNREAD.format("DeleteOptions")
    try:
        body = negotiate.json_body(request, "DeleteOptions")
        kind = typemeta.interpreted(read_json(body, "DeleteOptions"))[1]
        given = options.decode(body, "Ignore")[0]
    except (StatusError, typemeta.TypeMismatch) as error:
        if isinstance(error, StatusError) and error.code != 400:
            raise
        text = str(error)
        if text.startswith(unread):
            text = text[len(unread) : -len(f" ({summary(request.body)})")]
        raise errors.bad_request(text.partition("cannot be handled as a DeleteOptions: ")[2] or text) from None
    if kind not in ("", "DeleteOptions"):
        raise errors.bad_request("decoded object cannot be converted to DeleteOptions")
    return given


def answer(code: int, value: Any, form: Accepted, warnings: list[str] | None = None) -> Response:
    """One object."""
    media, body = negotiate.encode(value, form)
    return Response(code, [("Content-Type", media), NOT_CACHED, *warningheader.headers(warnings or ())], body)


def packed(body: bytes) -> Response:
    """One object, or a list, in protobuf."""
    return Response(200, [("Content-Type", negotiate.PROTOBUF), NOT_CACHED], body)


async def answered(code: int, value: Any, form: Accepted, warnings: list[str] | None = None, size: int = 0) -> Response:
    """As `answer`, of what may be large: `size` is about the number of its bytes."""
    size = max(size, len(value)) if isinstance(value, bytes) else size
    there = form.media == negotiate.JSON and isinstance(value, bytes)
    return await apart.run(0 if there else size, answer, code, value, form, warnings)


def _streamed(media: str, pieces: Iterator[bytes]) -> StreamingResponse:
    """A large list, which its reader gets as fast as it reads."""

    async def produce(writer: BodyWriter) -> None:
        for piece in pieces:
            await writer.write(piece)

    return StreamingResponse(produce, 200, [("Content-Type", media), NOT_CACHED])


def exported(resource: Resource, obj: Object, exact: bool) -> Object:
    """An object as somebody would make it again elsewhere; `exact`: in its namespace (upstream until 1.21: registry Store.Export)."""
    metadata = obj["metadata"]
    gone = ("uid", "deletionTimestamp", "resourceVersion", "selfLink", *(() if exact else ("namespace",)))
    kept = {name: value for name, value in metadata.items() if name not in gone}
    if kept.get("generateName") and not exact:
        kept.pop("name")
    obj["metadata"] = {**kept, "creationTimestamp": None}
    resource.prepare_create(obj)
    return obj


class ResourceHandler:
    """The verbs of one resource over HTTP."""

    def __init__(self, store: GenericStore, now: Callable[[], datetime], exports: bool = False) -> None:
        """`exports`: GET knows the parameter export, as until 1.21."""
        self.store, self._exports = store, exports
        self.resource = store.resource
        self._kind = Kind.of(self.resource)
        self._now = now

    def _go_type(self, kind: str) -> str:
        """Of the object, or the list, as Go prints it."""
        if self.resource.unstructured:
            return "*unstructured.UnstructuredList" if kind == self.resource.list_kind else "*unstructured.Unstructured"
        return f"*{self.resource.group.split('.')[0] or 'core'}.{kind}"

    def _accepted(self, request: Request, query: Query, stream: bool = False) -> Accepted:
        """Custom resources have no form in protobuf, but for their metadata. StatusError 406."""
        return negotiate.accepted(request, query, stream, protobuf=not self.resource.unstructured)

    def _single(self, form: Accepted) -> None:
        """StatusError 406 where one object is to be shown as a list."""
        if form.kind == "PartialObjectMetadataList":
            kind = self._go_type(self.resource.kind)
            raise errors.not_acceptable(f"you requested {form.kind}, but the requested object is not a list ({kind})")

    def _shape(self, obj: Object | bytes, form: Accepted, query: Query) -> Any:
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

    def _written(self, obj: Object, form: Accepted, query: Query, options: WriteOptions) -> Any:
        """What a write gave, as asked."""
        if form.kind or form.pretty:
            return self._shape(obj, form, query)
        return self.store.written(obj, options)

    async def get(self, request: Request, info: RequestInfo, query: Query) -> Response:
        form = self._accepted(request, query)
        await self.store.not_older(revision_read(query.get("resourceVersion", "")))
        if info.subresource == "scale":
            return answer(200, await scale.get(self.store, info), form)
        stored = await self.store.read(info.namespace, info.name)
        self._single(form)  # where there is one
        if self._exports and query.flag("export"):
            return answer(200, exported(self.resource, stored.copy(), query.flag("exact")), form)
        if form.media == negotiate.PROTOBUF and not form.kind:
            return packed(await packing.of_stored(self.resource, stored))
        data = stored.data
        if form.media == negotiate.JSON and not form.kind:  # nearly every GET: the bytes that the cache has
            return answer(200, data, form)
        shaped = await apart.run(len(data) if form.kind else 0, self._shape, data, form, query)
        return await answered(200, shaped, form, size=len(data))

    async def list(self, request: Request, info: RequestInfo, query: Query) -> Response | StreamingResponse:
        form = self._accepted(request, query)
        if form.kind == "PartialObjectMetadata":
            kind = self._go_type(self.resource.list_kind)
            raise errors.not_acceptable(f"you requested {form.kind}, but the requested object is a list ({kind})")
        listed = await self.store.list(info.namespace, list_options(query, info))
        list_meta = tables.list_meta(self.resource, listed, shaped=bool(form.kind))
        if form.media == negotiate.JSON and not (form.kind or form.pretty) and _size(listed.items) > STREAMED_BYTES:
            return _streamed(form.media, tables.list_pieces(self.resource, listed.items, _encode(list_meta)))
        if form.media == negotiate.PROTOBUF and not form.kind:
            pieces = await packing.list_of(self.resource, listed.items, list_meta)
            large = _size(listed.items) > STREAMED_BYTES
            return _streamed(form.media, pieces) if large else packed(b"".join(pieces))
        size = sum(len(s.tail) for s in listed.items) if form.kind or form.media != negotiate.JSON else 0
        body = await apart.run(size, self._listed, listed.items, list_meta, form, query)
        return await answered(200, body, form, size=size)

    def _listed(self, page: Sequence[Stored], list_meta: dict[str, Any], form: Accepted, query: Query) -> Any:
        """The list, its objects' metadata, or a table, as asked."""
        if form.kind == "Table":
            include = _include(query)
            objects = (s.peek() for s in page)
            return tables.table(self.resource, objects, list_meta, include, form.version, self._now())
        if form.kind:
            items = [tables.partial(s.peek(), form.version) for s in page]
            version = f"{tables.META}/{form.version}"
            return {"kind": "PartialObjectMetadataList", "apiVersion": version, "metadata": list_meta, "items": items}
        return tables.list_bytes(self.resource, page, _encode(list_meta))

    async def create(self, request: Request, info: RequestInfo, query: Query, user: User) -> Response:
        form = self._accepted(request, query)
        options = write_options(query, user, request)
        obj, warnings = await self._decoded(request, options)
        audit.of_object(obj)
        with warningheader.Warned(options.warnings, warnings):
            stored = await self.store.create(obj, info.namespace, options)
        return await self._answered(201, stored, form, query, options, warnings)

    async def update(self, request: Request, info: RequestInfo, query: Query, user: User) -> Response:
        if not info.name:
            raise errors.bad_request(UNNAMED)
        form = self._accepted(request, query)
        options = write_options(query, user, request)
        if info.subresource == "scale":
            with warningheader.Warned(options.warnings):
                return answer(200, await scale.update(self.store, info, request, options), form, options.warnings)
        obj, warnings = await self._decoded(request, options)
        audit.of_object(obj)
        if b'"managedFields"' in request.body:  # decoding does not tell an empty list from none
            body = await apart.run(len(request.body), negotiate.document, request, self.resource.kind)
            options.learned.reset_managed = is_reset((body.get("metadata") or {}).get("managedFields"))
        with warningheader.Warned(options.warnings, warnings):
            stored, created = await self.store.update(info.namespace, info.name, obj, options, info.subresource)
        return await self._answered(201 if created else 200, stored, form, query, options, warnings)

    async def _answered(
        self,
        code: int,
        obj: Object,
        form: Accepted,
        query: Query,
        options: WriteOptions,
        warnings: Sequence[str] = (),
    ) -> Response:
        """What a write gave, as asked."""
        body = await apart.run(options.size if form.kind else 0, self._written, obj, form, query, options)
        return await answered(code, body, form, [*warnings, *options.warnings], options.size)

    async def _decoded(self, request: Request, options: WriteOptions) -> tuple[Object, Warnings]:
        options.learned.size = len(request.body)
        schema = self.store.schema  # compiled here, once, not by two threads
        return await apart.run(options.size, self._read, request, options, schema)

    def _read(self, request: Request, options: WriteOptions, schema: CompiledSchema) -> tuple[Object, Warnings]:
        """The body, and what is to be warned of. StatusError 400 for another kind's, or what fits none."""
        kind = self.resource.kind
        try:
            obj, warnings = negotiate.decoded(request, kind, schema, options.validation)
        except StatusError:
            if not self.resource.unstructured:
                self._require_kind(
                    read_json(negotiate.json_body(request, kind), kind), request.body
                )  # may say it better
            raise
        self._require_kind(obj, request.body)
        return obj, warnings

    def _require_kind(self, obj: Any, body: bytes) -> None:
        resource, own = self.resource, self._kind
        if type(obj) is dict and obj.get("kind") == own.kind and obj.get("apiVersion") == resource.api_version:
            return
        if not resource.unstructured:
            negotiate.require_kind(own, obj, body)

    async def patch(self, request: Request, info: RequestInfo, query: Query, user: User) -> Response:
        kinds = {
            one: kind for one, kind in PATCH_TYPES.items() if kind != "strategic" or not self.resource.unstructured
        }
        media = media_type(request)
        if media not in kinds and media not in APPLY_TYPES:
            listed = ", ".join((*kinds, *APPLY_TYPES))
            text = f"the body of the request was in an unknown format - accepted media types include: {listed}"
            raise errors.unsupported_media_type(text)
        if not info.name:
            raise errors.bad_request(UNNAMED)
        form = self._accepted(request, query)
        options = write_options(query, user, request)
        if media in APPLY_TYPES:
            return await self._apply(request, info, query, form, options)
        kind = kinds[media]
        options.learned.size = len(request.body)
        try:
            body, problems = await apart.run(options.size, _patch_document, request.body, kind, options.validation)
        except StatusError:
            self.store.get(info.namespace, info.name)  # 404 comes before: upstream reads a patch when it has the object
            raise
        options.learned.patch_problems = problems
        with warningheader.Warned(options.warnings):
            if info.subresource == "scale":
                return answer(200, await scale.patch(self.store, info, kind, body, options), form, options.warnings)
            stored = await self.store.patch(info.namespace, info.name, kind, body, options, info.subresource)
        return await self._answered(200, stored, form, query, options)

    async def _apply(
        self, request: Request, info: RequestInfo, query: Query, form: Accepted, options: WriteOptions
    ) -> Response:
        options.learned.size = len(request.body)
        config = await apart.run(options.size, self._applied, request, info)
        if options.validation == "Strict":  # a warning of several lines is no warning (upstream: net.NewWarningHeader)
            await apart.run(options.size, self._require_once, request.body)
        force = query.flag("force")
        if info.subresource == "scale":
            with warningheader.Warned(options.warnings):
                return answer(200, await scale.apply(self.store, info, config, options, force), form, options.warnings)
        with warningheader.Warned(options.warnings):
            stored, created = await self.store.apply(
                info.namespace, info.name, config, options, info.subresource, force
            )
        return await self._answered(201 if created else 200, stored, form, query, options)

    @staticmethod
    def _require_once(body: bytes) -> None:
        """StatusError 400 where a key is set twice."""
        if repeated := negotiate.repeated(body):
            listed = "".join([f"\n  {one}" for one in repeated])
            text = f"error converting YAML to JSON: yaml: unmarshal errors:{listed}"
            raise errors.bad_request(f"error strict decoding YAML: {text}")

    def _applied(self, request: Request, info: RequestInfo) -> Object:
        """The applied configuration; StatusError 400 for what is none, or of another object."""
        try:
            config = negotiate.yaml_document(request.body)
        except ValueError as error:
            raise errors.bad_request(f"error decoding YAML: {error}") from None
        if config is None:
            config = {}  # null, and no document at all, leave Go's map empty
        if not isinstance(config, dict):
            kind = {list: "array", str: "string", bool: "bool"}.get(type(config), "number")
            text = f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
            raise errors.bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {text}")
        version = self.resource.scale_version if info.subresource == "scale" else self.resource.api_version
        given = config.get("apiVersion", "")
        if given != version:
            raise errors.bad_request(
                f"Incorrect version specified in apply patch. Specified patch version: {given}, expected: {version}"
            )
        metadata = {} if config.get("metadata") is None else config["metadata"]
        config["metadata"] = metadata
        if not isinstance(metadata, dict):
            return config  # the schema says so
        if metadata.get("managedFields") is not None:
            raise errors.bad_request("metadata.managedFields must be nil")
        name, namespace = metadata.get("name", info.name), metadata.get("namespace", info.namespace)
        if name != info.name:
            raise errors.bad_request(
                f"the name of the object ({name}) does not match the name on the URL ({info.name})"
            )
        if self.resource.namespaced and namespace != info.namespace:
            raise errors.bad_request(
                f"the namespace of the object ({namespace}) does not match the namespace on the request ({info.namespace})"
            )
        return config

    async def delete(self, request: Request, info: RequestInfo, query: Query, user: User) -> Response:
        form = self._accepted(request, query)
        options = await apart.run(len(request.body), self._delete_options, request, query, user)
        with warningheader.Warned(options.warnings):
            last, gone = await self.store.delete(info.namespace, info.name, options)
        if not gone or self.resource.returns_deleted:
            # 202 would be right wherever it is not gone; upstream has it only where older clients cannot notice.
            code = 202 if not gone and options.cascades else 200
            return answer(code, self._shape(last, form, query), form, options.warnings)
        details = {
            "name": info.name,
            "group": self.resource.group,
            "kind": self.resource.name,
            "uid": last["metadata"]["uid"],
        }
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        body = {**status, "details": {k: v for k, v in details.items() if v}}
        return answer(200, body, form, options.warnings)

    async def delete_collection(self, request: Request, info: RequestInfo, query: Query, user: User) -> Response:
        form = self._accepted(request, query)
        options = await apart.run(len(request.body), self._delete_options, request, query, user)
        deleted = await self.store.delete_collection(info.namespace, options, list_options(query, info))
        list_meta = _encode(tables.list_meta(self.resource, ListResult(deleted.items, deleted.revision)))
        return answer(200, tables.list_bytes(self.resource, deleted.items, list_meta), form)

    @staticmethod
    def _delete_options(request: Request, query: Query, user: User) -> DeleteOptions:
        given = _delete_body(request) if request.body else _delete_query(query)  # with a body the query is not read
        return delete_options(given, user)

    async def watch(
        self, request: Request, info: RequestInfo, query: Query
    ) -> StreamingResponse | UpgradeResponse | Response:
        form = self._accepted(request, query, stream=True)
        if websocket.asked(request):
            form = replace(form, media=negotiate.JSON)  # messages are lines of text
        options = list_options(query, info)
        predicate = await apart.run(options.selector_bytes, selector_predicate, self.resource, options)
        prefix = (
            self.store.key(info.namespace, "") if info.namespace and self.resource.namespaced else self.store.prefix
        )
        media = negotiate.JSON if form.media == negotiate.JSON else f"{form.media};stream=watch"
        headers = [("Content-Type", media), NOT_CACHED]
        frames = Frames(self.store, form, _include(query), predicate, prefix, self._now)
        asked_revision = revision_read(options.resource_version)
        try:
            if options.send_initial_events:
                await self.store.not_older(asked_revision)
            await self.store.not_lost(asked_revision)
            watcher, revision, initial = self.store.watch(options, predicate)
            watcher.of_client = True
        except (
            StatusError
        ) as error:  # once a watch has been understood, what fails it is an event (upstream: newErrWatcher)
            return Response(200, headers, frames.told("ERROR", error.status))
        except TooOld as error:
            asked = options.resource_version
            gone = errors.gone(f"too old resource version: {asked} ({error.oldest})").status
            return Response(200, headers, frames.told("ERROR", gone))

        async def produce(writer: BodyWriter) -> None:
            try:
                await events(writer, watcher, frames, options, revision, initial)
            except Lagging:
                return  # the client sees the end of its watch, and lists or resumes
            except StatusError as error:  # of a conversion
                await writer.write(frames.told("ERROR", error.status))
            finally:
                watcher.end()

        if not websocket.asked(request):
            return StreamingResponse(produce, 200, headers, watcher.end)
        try:
            upgraded = channels.readable(
                request, websocket.offered_protocols(request)[:1] or [""], produce, watcher.end, lines=True
            )
        except websocket.ProtocolError as error:
            watcher.end()
            raise errors.bad_request(str(error)) from None
        assert upgraded is not None, "whatever protocol comes first is spoken: the messages are the same"
        return upgraded


__all__ = ["ResourceHandler", "StatusError", "answer", "list_options", "write_options"]
