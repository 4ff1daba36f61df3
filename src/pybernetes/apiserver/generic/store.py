"""Writes of one resource, beside its reads (upstream: registry/generic/registry/store.go, registry/rest)."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

import msgspec

from pybernetes.aio import apart
from pybernetes.api import errors, times
from pybernetes.api.errors import StatusError
from pybernetes.api.field import Path
from pybernetes.api.jsoncopy import json_copy, without_nulls
from pybernetes.api.mediatypes import PatchKind
from pybernetes.api.strconv import is_digits
from pybernetes.store.types import Conflict

from .. import pieces
from ..apply.managed import is_reset
from ..authentication.user import User
from ..conversion import Schema
from ..kinds import meta
from ..resource import Errors, Object, Resource, Stamp
from ..types import Admission, Attributes
from . import deletion, patching, strategy
from .cache import Stored, WatchCache
from .fields import FieldTracker
from .options import DeleteOptions, ListOptions, ListResult, WriteOptions
from .reading import ReadStore, TooLong, encode
from .typemeta import Kind

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # what generated names end with: no vowels, no look-alikes
MAX_GENERATED_PREFIX = 58
GENERATED_NAMES = 8  # that are tried (upstream: maxNameGenerationCreateAttempts)
MAX_PATCH_RETRIES = 5
# Of one stored object. etcd takes 1.5 MiB of the form that upstream stores: JSON of custom resources, of other kinds protobuf, which is
# up to twice as short as their JSON.
MAX_CUSTOM_BYTES, MAX_BYTES = 1536 << 10, 3 << 20

# (user, resource, namespace, name): StatusError where a PUT or apply would make what its user may not create.
AuthorizeCreate = Callable[[User, Resource, str, str], Awaitable[None]]

_encode = msgspec.json.Encoder().encode


class GenericStore(ReadStore):
    """One resource. Objects go in and out as dicts in the resource's version; `get` and `list` give what is stored."""

    def __init__(
        self,
        resource: Resource,
        cache: WatchCache,
        admission: Admission | None = None,
        *,
        authorize_create: AuthorizeCreate | None = None,
        now: Callable[[], datetime] | None = None,
        chooser: random.Random | None = None,
        since: int = 0,
    ) -> None:
        super().__init__(resource, cache, since)
        self._admission, self._authorize_create = admission, authorize_create
        self._now = now = now or cache.clock.now
        # Of all resources: to seed one costs a call of the system, and there are a hundred.
        self._choice = random.choice if chooser is None else chooser.choice
        self._name_errors = meta.name_errors(resource.name_check)
        self._fields = FieldTracker(resource, lambda: self.schema, now)

    # Creating.

    async def create(self, obj: Object, namespace: str, options: WriteOptions) -> Object:
        """The object as written. Defaults, admission, validation in upstream's order."""
        resource, metadata = self.resource, obj.setdefault("metadata", {})
        if resource.ends:
            raise strategy.no_creation(resource)
        obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
        strategy.set_namespace(self.resource, metadata, namespace)
        await apart.run(options.size, resource.default, obj)
        await self._bound(obj, options.size)
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
            metadata.pop(name, None)
        _ = self.schema  # compiled here, once, not by two threads
        await apart.stretches(options.size, self._fields.created(obj, options))
        if await self._admit(options, "CREATE", "", namespace, metadata.get("name", ""), obj, None, mutating=True):
            metadata = obj.setdefault("metadata", {})
            strategy.set_namespace(self.resource, metadata, namespace)
        if metadata.get("generateName") and not metadata.get("name"):
            return await self._create_generated(obj, namespace, options)
        return await self._create_named(obj, namespace, options)

    async def _create_generated(self, obj: Object, namespace: str, options: WriteOptions) -> Object:
        """With a name that nobody has: another is tried where somebody does (upstream: createWithGenerateNameRetry)."""
        resource, spare, tried = self.resource, _encode(obj), obj
        for _ in range(GENERATED_NAMES):
            metadata = tried["metadata"]
            suffix = "".join(self._choice(ALPHABET) for _ in range(5))
            metadata["name"] = metadata["generateName"][:MAX_GENERATED_PREFIX] + suffix
            try:
                return await self._create_named(tried, namespace, options)
            except StatusError as error:
                if error.reason != "AlreadyExists":
                    raise
            name, tried = metadata["name"], msgspec.json.decode(spare)
        refused = errors.already_exists(resource.group, resource.name, name)
        refused.status["message"] += ", the server was not able to generate a unique name for the object"
        refused.status["details"]["retryAfterSeconds"] = 1
        raise refused

    async def _create_named(self, obj: Object, namespace: str, options: WriteOptions) -> Object:
        resource, metadata = self.resource, obj["metadata"]
        metadata["uid"] = new_uid()
        metadata["creationTimestamp"] = times.format_time(self._now())
        await apart.run(options.size, resource.prepare_create, obj)
        if resource.stamp:
            resource.stamp(obj, None, Stamp(options.user, self._now()))
        return await self._create_prepared(obj, namespace, options)

    async def _create_prepared(self, obj: Object, namespace: str, options: WriteOptions) -> Object:
        """Checks an object in which all is filled in, and writes it."""
        resource, metadata = self.resource, obj["metadata"]
        name = metadata.get("name", "")
        if resource.generation:
            metadata["generation"] = 1
        options.warnings.extend(await apart.run(options.size, self._check_new, obj))
        await self._admit(options, "CREATE", "", namespace, name, obj, None, mutating=False)
        key = self.key(metadata.get("namespace", ""), name)
        if options.dry_run:
            if key in self.cache.resource(self.prefix).items:
                raise errors.already_exists(resource.group, resource.name, name)
            return obj
        version = metadata.pop("resourceVersion", "")
        if is_digits(version) and version.strip("0"):  # upstream's storage finds it, when all else is done
            raise errors.unclassified("resourceVersion should not be set on objects to be created")
        try:
            return await self._put(key, obj, 0, options.size)
        except Conflict:
            refused = errors.already_exists(resource.group, resource.name, name)
            present = self.cache.resource(self.prefix).items.get(key)
            if present is not None and present.peek()["metadata"].get("deletionTimestamp"):
                refused.status["message"] = f"object is being deleted: {refused.status['message']}"
            raise refused from None

    def _check_new(self, obj: Object) -> Sequence[str]:
        """What is to be warned of. StatusError 422."""
        resource, metadata = self.resource, obj["metadata"]
        problems = self._metadata_problems(metadata) + list(resource.validate(obj))
        if problems:
            raise errors.invalid(resource.invalid_group, resource.kind, metadata.get("name", ""), problems)
        return resource.warnings(obj, None)

    def _same(self, new: Object, old: Object) -> bool:
        """Whether there is nothing to write. What was converted may have nulls that a client's object has not."""
        if new == old or self._conversions is None or self.resource.unstructured:
            return new == old
        return bool(without_nulls(new) == without_nulls(old))

    def _metadata_problems(self, metadata: Object) -> Errors:
        return meta.validate_object_meta(
            metadata,
            self.resource.namespaced,
            self._name_errors,
            Path("metadata"),
            known_finalizers=self.resource.known_finalizers,
        )

    async def _stored_form(self, obj: Object) -> Object:
        conversions = self._conversions
        if conversions is None or conversions.hub == self.resource.api_version:
            return obj
        [stored] = await conversions.convert([json_copy(obj)], conversions.hub)
        conversions.default(stored)
        return stored

    def _value(self, obj: Object, size: int) -> bytes:
        """As stored; StatusError 500 where that is too large. `size`: of the body."""
        try:
            return encode(obj, size, MAX_CUSTOM_BYTES if self.resource.unstructured else MAX_BYTES)
        except TooLong:
            raise errors.unclassified("etcdserver: request is too large") from None

    async def _bound(self, obj: Object, size: int) -> None:
        """Refuses early, before all that looks at each of its parts, what will be too large to be stored, defaults and all.

        Upstream's etcd does so in the end: here a body of a million empty containers costs a second, and not a minute.
        """
        if size >= pieces.LARGE:
            await apart.run(size, self._value, obj, size)

    async def _put(self, key: str, obj: Object, expected: int, size: int) -> Object:
        stored = obj if self._conversions is None else await self._stored_form(obj)
        value = await apart.run(size, self._value, stored, size)
        written = await self.cache.store.put(key, value, expected)
        await self.cache.wait(written.mod_revision)
        obj["metadata"]["resourceVersion"] = str(written.mod_revision)
        return obj

    async def track(self, obj: Object, options: WriteOptions) -> None:
        """Notes in an object that is posted, and never kept, who made it, as in others."""
        await apart.stretches(options.size, self._fields.created(obj, options))

    def written(self, obj: Object, options: WriteOptions) -> Object | bytes:
        """What a write gave, as the bytes that the cache has of it, where it still has them and in this version."""
        if options.dry_run:
            return obj
        metadata = obj["metadata"]
        key = self.key(metadata.get("namespace", ""), metadata["name"])
        stored = self.cache.resource(self.prefix).items.get(key)
        if stored is None or str(stored.revision) != metadata["resourceVersion"] or not self._is_own(stored):
            return obj
        return stored.data

    def now_text(self) -> str:
        """The present time as metav1.Time."""
        return times.format_time(self._now())

    # Changing.

    async def update(
        self, namespace: str, name: str, obj: Object, options: WriteOptions, subresource: str = ""
    ) -> tuple[Object, bool]:
        """PUT: the object as written, and whether it was made. The resource version in it, if any, is a precondition.

        `obj` is the store's from then on.
        """
        resource, metadata = self.resource, obj.setdefault("metadata", {})
        obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
        given = metadata.get("name", "")
        if not given:
            raise patching.unnamed(name)
        if given != name:
            raise errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
        strategy.set_namespace(self.resource, metadata, namespace)
        exists = self.key(namespace, name) in self.cache.resource(self.prefix).items
        if not exists:
            # Nobody has the uid that is meant, then: upstream finds that before it finds that there is nothing.
            told = self.told_key(namespace, name)
            strategy.require(resource, name, told, "UID", "", metadata.get("uid") or "")
        if not exists and resource.allow_create_on_update and not subresource:
            metadata.pop("resourceVersion", None)
            await self._may_create(namespace, name, options)
            return await self.create(obj, namespace, options), True

        body = _encode(obj) if not metadata.get("resourceVersion") else b""  # with one no second try is made
        tries = 0

        async def replaced(old: Object) -> Object:
            nonlocal tries
            tries += 1
            return obj if tries == 1 else msgspec.json.decode(body)

        uid = metadata.get("uid") or ""
        return await self.change(namespace, name, replaced, options, subresource, uid=uid), False

    async def patch(
        self,
        namespace: str,
        name: str,
        kind: PatchKind,
        body: Any,
        options: WriteOptions,
        subresource: str = "",
    ) -> Object:
        """The patched object as written; tried again where another write came between."""

        async def patched(old: Object) -> Object:
            document = patching.patched(kind, old, body, self.schema, options.validation)
            new = self._of_kind(kind, document, name, subresource)
            options.learned.reset_managed = is_reset(_metadata(new).get("managedFields"))
            problems, schema = options.learned.patch_problems, self._schema_of(new)
            plain, told = patching.read(schema, new, body, kind, options.validation, problems)
            options.warnings.extend(told)
            plain = await apart.on_loop(lambda: self._from_patch(plain, document))
            strategy.check_identity(self.resource, plain, old)
            return plain

        def apart_patched(old: Object) -> Awaitable[Object]:
            return apart.stretches(options.size, patched(old))

        return await self.change(namespace, name, apart_patched, options, subresource, patching=True)

    def _of_kind(self, kind: PatchKind, document: Any, name: str, subresource: str) -> Object:
        """What a patch made, of this version or of another one of its kind. StatusError 400, 422 for what is of another kind."""
        resource, versions = self.resource, self._conversions.versions if self._conversions else ()
        if not resource.unstructured:
            return patching.of_kind(kind, Kind.of(resource), document, name, versions)
        new = patching.of_custom_kind(resource, document, versions)
        return {**new, "kind": resource.kind} if subresource == "status" else new

    def _schema_of(self, new: Object) -> Schema:
        """How what a patch made is read: as the version that it says it is of."""
        version, conversions = new["apiVersion"], self._conversions
        if conversions is None or version == self.resource.api_version:
            return self.schema
        return conversions.schema(version)

    async def _from_patch(self, plain: Object, document: Any) -> Object:
        """What a patch made, in this version. StatusError 422 where it cannot be converted."""
        conversions, own = self._conversions, self.resource.api_version
        if conversions is None or plain["apiVersion"] == own:
            return plain
        conversions.default(plain)
        try:
            return (await conversions.convert([plain], own))[0]
        except StatusError as error:
            raise patching.invalid("merge", None, document, error) from None

    async def apply(
        self, namespace: str, name: str, config: Object, options: WriteOptions, subresource: str, force: bool
    ) -> tuple[Object, bool]:
        """Server-side apply: the object as written, and whether it was made."""
        metadata = _metadata(config)

        async def applied(old: Object | None) -> Object:
            new = await self._fields.applied(old, config, options, subresource, force)
            plain = self._converted(new, metadata)
            if old is not None:
                strategy.check_identity(self.resource, plain, old)
            return plain

        def apart_applied(old: Object | None) -> Awaitable[Object]:
            return apart.stretches(options.size, applied(old))

        if self.key(namespace, name) in self.cache.resource(self.prefix).items or subresource:
            return await self.change(namespace, name, apart_applied, options, subresource, patching=True), False
        if metadata.get("uid"):
            text = (
                f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found"
            )
            raise errors.conflict(self.resource.group, self.resource.name, name, text)
        _ = self.schema
        obj = await apart_applied(None)
        if not obj.get("metadata", {}).get("name"):
            raise patching.unnamed(name)
        obj["metadata"].pop("resourceVersion", None)
        await self._may_create(namespace, name, options)
        return await self.create(obj, namespace, options), True

    def _converted(self, new: Object, metadata: Object) -> Object:
        """What an apply has made, as one of the kind; StatusError 500 where it cannot be. `metadata` is the configuration's."""
        try:
            return self.schema.normalize(new, "Ignore")[0]
        except StatusError as error:
            if self.resource.unstructured:
                raise
            kind = Kind.of(self.resource)
            named = f"{kind.group}/{kind.version}, Kind={kind.kind}"
            where = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {named}"
            why = f"unable to convert unstructured object to {named}: {patching.reason(error)}"
            raise errors.unclassified(f"failed to convert new object ({where}) to proper version: {why}") from None

    def told_key(self, namespace: str, name: str) -> str:
        """Where an object is kept, as messages have it."""
        resource, rest = self.resource, self.key(namespace, name)[len(self.prefix) :]
        return self.cache.keys.told(resource.group, resource.name, resource.unstructured, rest)

    async def _may_create(self, namespace: str, name: str, options: WriteOptions) -> None:
        if self._authorize_create is not None and options.admission:
            await self._authorize_create(options.user, self.resource, namespace, name)

    async def change(
        self,
        namespace: str,
        name: str,
        mutate: Callable[[Object], Awaitable[Object]],
        options: WriteOptions,
        subresource: str = "",
        patching: bool = False,
        uid: str = "",
    ) -> Object:
        """Reads, lets `mutate` make the new object, checks and writes it; again while others write between.

        Where `mutate`'s object carries another resource version than the one read, that is a conflict at once.
        So is another `uid` than the one given; an object that carries another is invalid.
        """
        key = self.key(namespace, name)
        for attempt in range(MAX_PATCH_RETRIES + 1):
            stored = self.cache.resource(self.prefix).items.get(key)
            if stored is None:
                raise self._not_found(name)
            if self.waits:
                await self.ready([stored])
            options.learned.size = max(options.size, len(stored.tail))
            _ = self.schema  # as at creation
            old = self.in_version(stored).copy()
            await apart.run(options.size, self.resource.default, old)
            told = self.told_key(namespace, name)
            strategy.require(self.resource, name, told, "UID", old["metadata"]["uid"], uid)
            new = await mutate(old)
            conditional = not patching and bool(new["metadata"].get("resourceVersion"))
            try:
                return await self._write_change(key, stored, old, new, options, subresource)
            except Conflict as conflict:
                if conflict.current is None:
                    raise self._not_found(name) from None
                if attempt == MAX_PATCH_RETRIES or conditional:
                    raise errors.conflict(self.resource.group, self.resource.name, name, strategy.MODIFIED) from None
                await self.cache.wait(conflict.current.mod_revision)
        raise AssertionError("unreachable")

    async def _write_change(
        self, key: str, stored: Stored, old: Object, new: Object, options: WriteOptions, subresource: str
    ) -> Object:
        resource = self.resource
        name, namespace = old["metadata"]["name"], old["metadata"].get("namespace", "")
        strategy.preconditions(resource, old, new)
        strategy.keep_system_fields(new, old)
        await apart.run(options.size, resource.default, new)
        await self._bound(new, options.size)
        managed = await apart.stretches(options.size, self._fields.updated(old, new, options, subresource))
        await apart.run(options.size, strategy.prepare, self.resource, new, old, subresource)
        new["metadata"].pop("managedFields", None)
        if managed:
            new["metadata"]["managedFields"] = managed
        if resource.stamp:
            resource.stamp(new, old, Stamp(options.user, self._now(), subresource))
        if await self._admit(options, "UPDATE", subresource, namespace, name, new, old, mutating=True):
            strategy.keep_again(resource, new, old, subresource)
        return await self._write_prepared(key, stored, old, new, options, subresource)

    async def _write_prepared(
        self, key: str, stored: Stored, old: Object, new: Object, options: WriteOptions, subresource: str
    ) -> Object:
        """Checks a changed object in which all is filled in, and writes it. Conflict where another was faster."""
        resource = self.resource
        name, namespace = old["metadata"]["name"], old["metadata"].get("namespace", "")
        if resource.generation and (not subresource or subresource in resource.parts):
            strategy.bump_generation(self.resource, new, old)
        options.warnings.extend(await apart.run(options.size, self._check_changed, new, old, subresource))
        await self._admit(options, "UPDATE", subresource, namespace, name, new, old, mutating=False)
        if options.dry_run or (self._same(new, old) and not await self.cache.stale(key)):
            return new
        if old["metadata"].get("deletionTimestamp") and deletion.deletable(resource, new):
            await self._remove(key, stored.revision, old)
            return new
        return await self._put(key, new, stored.revision, options.size)

    def _check_changed(self, new: Object, old: Object, subresource: str) -> Sequence[str]:
        """What is to be warned of. StatusError 422."""
        resource = self.resource
        problems = meta.validate_updated_meta(
            new["metadata"],
            old["metadata"],
            resource.namespaced,
            self._name_errors,
            known_finalizers=resource.known_finalizers,
            again=resource.meta_again if subresource != "status" else 0,
        )
        problems += strategy.checks(resource, subresource)(new, old)
        if problems:
            raise errors.invalid(resource.invalid_group, resource.kind, old["metadata"]["name"], problems)
        return () if subresource else resource.warnings(new, old)

    # Deleting.

    async def _remove(self, key: str, expected: int, last: Object) -> int:
        """Takes the object, which is `last`, out of the store; the revision of that, 0 where there was nothing.

        Conflict where another was faster.
        """
        event = await self.cache.store.delete(key, expected)
        if event is None:
            return 0
        await self.cache.wait(event.revision)
        return event.revision

    async def delete(self, namespace: str, name: str, options: DeleteOptions) -> tuple[Object, bool]:
        """(the object as it was last, whether it is gone); not gone: it waits for finalizers or its grace period.

        What is deleted gracefully is written once more before it goes; somebody who removes it in between does our work.
        """
        key, resource, last = self.key(namespace, name), self.resource, None
        while True:
            stored = self.cache.resource(self.prefix).items.get(key)
            if stored is None:
                if last is not None:
                    return last, True
                raise self._not_found(name)
            if self.waits:
                await self.ready([stored])
            old = self.in_version(stored).copy()
            if why := resource.refuse_delete(old):
                raise errors.forbidden(resource.group, resource.name, name, why)
            deletion.check(resource, old, options)
            step = deletion.marked(resource, old, options, self._now())
            if step is deletion.PENDING:
                return old, False
            if last is None:
                await self._admit(options, "DELETE", "", namespace, name, None, old, mutating=True)
                await self._admit(options, "DELETE", "", namespace, name, None, old, mutating=False)
            if options.dry_run:
                return step.written or old, step.removed
            try:
                if step.written is not None:
                    last = await self._put(key, step.written, stored.revision, len(stored.tail))
                    if not step.removed:
                        return last, False
                    if options.resource_version:  # that of before both steps
                        options = replace(options, resource_version=last["metadata"]["resourceVersion"])
                elif step.removed:
                    return await self._removed(key, stored, old), True
                else:
                    return old, False
            except Conflict as conflict:
                if conflict.current is not None:
                    await self.cache.wait(conflict.current.mod_revision)
                elif last is None:
                    raise self._not_found(name) from None

    async def _removed(self, key: str, stored: Stored, old: Object) -> Object:
        """The object with the resource version of its removal."""
        revision = await self._remove(key, stored.revision, old)
        if revision:
            old["metadata"]["resourceVersion"] = str(revision)
        return old

    async def delete_collection(self, namespace: str, options: DeleteOptions, listed: ListOptions) -> ListResult:
        """Deletes what the list selects, and answers with the list."""
        result = await self.list(namespace, listed)
        for stored in result.items:
            metadata = stored.peek()["metadata"]
            try:
                await self.delete(metadata.get("namespace", ""), metadata["name"], replace(options))
            except StatusError as error:
                if error.code != 404:
                    raise
        return result

    # Admission.

    async def admit_creation(
        self, user: User, subresource: str, namespace: str, name: str, obj: Object, dry_run: bool
    ) -> None:
        """Asks the plug-ins about a subresource that is posted; StatusError where one objects."""
        write = WriteOptions(user, dry_run)
        for mutating in (True, False):
            await self._admit(write, "CREATE", subresource, namespace, name, obj, None, mutating=mutating)

    async def connect(self, user: User, subresource: str, namespace: str, name: str, options: Object) -> None:
        """Asks the plug-ins whether one may connect; StatusError where one objects."""
        write = WriteOptions(user)
        for mutating in (True, False):
            await self._admit(write, "CONNECT", subresource, namespace, name, options, None, mutating=mutating)

    async def _admit(
        self,
        options: WriteOptions | DeleteOptions,
        operation: Literal["CREATE", "UPDATE", "DELETE", "CONNECT"],
        subresource: str,
        namespace: str,
        name: str,
        obj: Object | None,
        old: Object | None,
        mutating: bool,
    ) -> bool:
        """Whether a webhook has changed the object; StatusError where one objects."""
        if self._admission is None or not options.admission:
            return False
        attributes = Attributes(
            options.user, operation, self.resource, subresource, namespace, name, obj, old, options.dry_run
        )
        attributes.warnings, attributes.options = options.warnings, dict(options.given)
        if isinstance(options, WriteOptions) and options.managed_subresource:
            attributes.subresource = options.managed_subresource
        if mutating:
            await self._admission.mutate(attributes)
            return attributes.mutated
        await self._admission.validate(attributes)
        return False


_random_bytes = bytearray()


def new_uid() -> str:
    """As uuid.uuid4(), but the system is asked for randomness 256 times less often: it is asked slowly on some machines."""
    if not _random_bytes:
        _random_bytes.extend(os.urandom(16 * 256))
    own = _random_bytes[-16:]
    del _random_bytes[-16:]
    own[6], own[8] = own[6] & 0x0F | 0x40, own[8] & 0x3F | 0x80  # version 4, variant of RFC 9562
    text = own.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _metadata(obj: Object) -> Object:
    metadata = obj.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
