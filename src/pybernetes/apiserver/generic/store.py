"""The verbs on one resource (upstream: registry/generic/registry/store.go, registry/rest)."""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from pybernetes.api import errors, field, times
from pybernetes.api.errors import StatusError
from pybernetes.api.field import Path
from pybernetes.api.gojson import escaped
from pybernetes.api.mediatypes import PatchKind
from pybernetes.store.types import Conflict

from ..admission.chain import mutate
from ..apply.managed import is_reset
from ..authentication.user import User
from ..kinds import meta
from ..resource import Errors, Object, Resource, Stamp
from ..schema import CompiledSchema, compiled
from ..types import AdmissionPlugin, Attributes
from . import deletion, patching, typemeta
from .allocation import NOTHING, Allocator
from .cache import Stored, WatchCache, Watcher
from .fields import FieldTracker
from .options import DeleteOptions, ListOptions, ListResult, WriteOptions
from .paging import continued, expired, revision_of, token, too_large
from .selection import Selection, selector_predicate
from .typemeta import Kind

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # what generated names end with: no vowels, no look-alikes
MAX_GENERATED_PREFIX = 58
MAX_PATCH_RETRIES = 5
READ_SECONDS = 3.0  # that a read waits for a resource version still to come

_encode = msgspec.json.Encoder().encode


def encode(obj: Object) -> bytes:
    """As stored: type and metadata first, no resource version."""
    metadata = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
    head = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}
    return escaped(_encode({**head, **{k: v for k, v in obj.items() if k not in head}}))


class GenericStore:
    """One resource. Objects go in and out as dicts in the resource's version; `get` and `list` give what is stored."""

    def __init__(
        self,
        resource: Resource,
        cache: WatchCache,
        admission: Sequence[AdmissionPlugin] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        chooser: random.Random | None = None,
    ) -> None:
        self.resource = resource
        self.cache = cache
        self._admission = admission
        self._now = now
        self._random = chooser or random.Random()
        self.allocator: Allocator | None = None  # of addresses and ports, for Services
        # (user, resource, namespace, name) -> StatusError where a PUT or apply would make what its user may not create.
        self.authorize_create: Callable[[User, Resource, str, str], Awaitable[None]] | None = None
        group, name, version = resource.stored_at
        self.prefix = cache.keys.resource(group, name)
        self._foreign = resource.custom or (group, version) != (resource.group, resource.version)
        self._head = _encode({"apiVersion": resource.api_version, "kind": resource.kind})[:-1] + b","
        self.converts = False  # objects must be made ready before they are read in this version
        self._name_errors = meta.name_errors(resource.name_check)
        self._fields = FieldTracker(resource, lambda: self.schema, now)

    # Reading.

    @property
    def schema(self) -> CompiledSchema:
        """Compiled at the first use."""
        return compiled(self.resource)

    def key(self, namespace: str, name: str) -> str:
        """Where an object is kept."""
        return f"{self.prefix}{namespace}/{name}" if self.resource.namespaced else f"{self.prefix}{name}"

    def _not_found(self, name: str) -> StatusError:
        return errors.not_found(self.resource.group, self.resource.name, name)

    def in_version(self, stored: Stored) -> Stored:
        """Another version's object as this resource's."""
        if not self._foreign:
            return stored if stored.head == self._head else self._renamed(stored)
        obj = self.resource.from_storage(stored.copy())
        return Stored(stored.key, encode(obj), stored.revision)

    def _renamed(self, stored: Stored) -> Stored:
        """One that was stored as another kind once, when patches could."""
        return Stored(stored.key, encode(typemeta.renamed(Kind.of(self.resource), stored.copy())), stored.revision)

    async def convert(self, stored: Iterable[Stored]) -> None:
        """Makes ready what `in_version` gives, where `converts` says that it takes time."""

    async def _stored_form(self, obj: Object) -> Object:
        return self.resource.to_storage(obj)

    def get(self, namespace: str, name: str) -> Stored:
        """From the cache, which has every acknowledged write; StatusError 404."""
        stored = self.cache.resource(self.prefix).items.get(self.key(namespace, name))
        if stored is None:
            raise self._not_found(name)
        return self.in_version(stored)

    async def list(self, namespace: str, options: ListOptions) -> ListResult:
        """As of now, or where the resource version says otherwise as of then; in pages with `limit`."""
        predicate = selector_predicate(self.resource, options)
        prefix = f"{self.prefix}{namespace}/" if namespace else self.prefix
        revision, after = continued(options, prefix)
        if not revision and options.resource_version_match == "Exact":
            revision = revision_of(options.resource_version)
        if revision and revision < self.cache.resource(self.prefix).changed:
            found = await self._list_at(prefix, revision, after, bool(options.continue_))
        else:
            await self._not_older(options)
            found = self.cache.resource(self.prefix).range(prefix, after)
            revision = revision or self.cache.revision
        if self.converts:
            found = list(found)
            await self.convert(found)
        items = [s for s in found if predicate(s)] if predicate else list(found)
        result = ListResult(items, revision)
        if 0 < options.limit < len(items):
            result.items = items[: options.limit]
            result.remaining = None if predicate else len(items) - options.limit
            start = result.items[-1].key[len(prefix) :] + "\0"
            result.continue_ = token(revision, start)
        if self._foreign:
            result.items = [self.in_version(s) for s in result.items]
        return result

    async def _not_older(self, options: ListOptions) -> None:
        wanted = revision_of(options.resource_version)
        if wanted > self.cache.revision:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    await self.cache.wait(wanted)
            except TimeoutError:
                raise too_large(wanted, self.cache.revision) from None

    async def _list_at(self, prefix: str, revision: int, after: str, continued: bool) -> Iterable[Stored]:
        from pybernetes.store.types import Compacted

        try:
            page = await self.cache.store.list(prefix, after=after, revision=revision)
        except Compacted:
            raise expired(after[len(prefix) :] if continued else None) from None
        return [Stored(item.key, item.value, item.mod_revision) for item in page.items]

    def watch(self, options: ListOptions, selection: Selection | None = None) -> tuple[Watcher, int, bool]:
        """(changes, revision from which they are, whether the present objects come first as additions).

        Of the changes, those that cannot matter to the selection may be missing.
        """
        revision = revision_of(options.resource_version)
        initial = not revision if options.send_initial_events is None else options.send_initial_events
        start = self.cache.revision if initial else revision
        if start > self.cache.revision:
            raise too_large(start, self.cache.revision)
        changes = self.cache.resource(self.prefix)
        trigger = selection.trigger if selection else None
        if selection is None or trigger is None:
            return changes.watch(start), start, initial
        name, value = trigger
        return changes.watch(start, name, value, lambda stored: selection.seen(stored)[1].get(name, "")), start, initial

    # Creating.

    async def create(self, obj: Object, namespace: str, options: WriteOptions) -> Object:
        """The object as written. Defaults, admission, validation in upstream's order."""
        resource, metadata = self.resource, obj.setdefault("metadata", {})
        obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
        self._set_namespace(metadata, namespace)
        resource.default(obj)
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
            metadata.pop(name, None)
        self._fields.created(obj, options)
        if await self._admit(options, "CREATE", "", namespace, metadata.get("name", ""), obj, None, mutating=True):
            metadata = obj.setdefault("metadata", {})
            self._set_namespace(metadata, namespace)
        prefix = metadata.get("generateName")
        if prefix and not metadata.get("name"):
            suffix = "".join(self._random.choice(ALPHABET) for _ in range(5))
            metadata["name"] = prefix[:MAX_GENERATED_PREFIX] + suffix
        metadata["uid"] = new_uid()
        metadata["creationTimestamp"] = times.format_time(self._now())
        resource.prepare_create(obj)
        if resource.stamp:
            resource.stamp(obj, None, Stamp(options.user, self._now()))
        allocation = await self.allocator.create(obj, options.dry_run) if self.allocator else NOTHING
        try:
            made = await self._create_allocated(obj, namespace, options)
        except BaseException:
            await allocation.revert()
            raise
        await allocation.commit()
        return made

    async def _create_allocated(self, obj: Object, namespace: str, options: WriteOptions) -> Object:
        resource, metadata = self.resource, obj["metadata"]
        name = metadata.get("name", "")
        if resource.generation:
            metadata["generation"] = 1
        found = meta.validate_object_meta(
            metadata,
            resource.namespaced,
            self._name_errors,
            Path("metadata"),
            known_finalizers=resource.known_finalizers,
        )
        found += resource.validate(obj)
        if found:
            raise errors.invalid(resource.invalid_group, resource.kind, name, found)
        options.warnings.extend(resource.warnings(obj, None))
        await self._admit(options, "CREATE", "", namespace, name, obj, None, mutating=False)
        key = self.key(metadata.get("namespace", ""), name)
        if options.dry_run:
            if key in self.cache.resource(self.prefix).items:
                raise errors.already_exists(resource.group, resource.name, name)
            return obj
        version = metadata.pop("resourceVersion", "")
        if version.isdigit() and int(version):  # upstream's storage finds it, when all else is done
            raise errors.unclassified("resourceVersion should not be set on objects to be created")
        try:
            return await self._put(key, obj, 0)
        except Conflict:
            refused = errors.already_exists(resource.group, resource.name, name)
            present = self.cache.resource(self.prefix).items.get(key)
            if present is not None and present.peek()["metadata"].get("deletionTimestamp"):
                refused.status["message"] = f"object is being deleted: {refused.status['message']}"
            raise refused from None

    def _set_namespace(self, metadata: Object, namespace: str) -> None:
        if not self.resource.namespaced:
            metadata.pop("namespace", None)
            return
        given = metadata.get("namespace") or namespace
        if given != namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = namespace

    async def _put(self, key: str, obj: Object, expected: int) -> Object:
        stored = await self._stored_form(obj) if self._foreign else obj
        written = await self.cache.store.put(key, encode(stored), expected)
        await self.cache.wait(written.mod_revision)
        obj["metadata"]["resourceVersion"] = str(written.mod_revision)
        return obj

    def now_text(self) -> str:
        """The present time as metav1.Time."""
        return times.format_time(self._now())

    # Changing.

    async def update(
        self, namespace: str, name: str, obj: Object, options: WriteOptions, subresource: str = ""
    ) -> tuple[Object, bool]:
        """PUT: the object as written, and whether it was made. The resource version in it, if any, is a precondition."""
        resource, metadata = self.resource, obj.setdefault("metadata", {})
        obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
        given = metadata.get("name", "")
        if not given:
            raise patching.unnamed(name)
        if given != name:
            raise errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
        self._set_namespace(metadata, namespace)
        exists = self.key(namespace, name) in self.cache.resource(self.prefix).items
        if not exists and resource.allow_create_on_update and not subresource:
            metadata.pop("resourceVersion", None)
            await self._may_create(namespace, name, options)
            return await self.create(obj, namespace, options), True

        async def replaced(old: Object) -> Object:
            return msgspec.json.decode(_encode(obj))  # type: ignore[no-any-return]  # a private copy for each try

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
            made = patching.patched(kind, old, body, self.schema, options.validation)
            new = self._of_kind(kind, made, name, subresource)
            options.reset_managed = is_reset(_metadata(new).get("managedFields"))
            try:
                plain, warnings = self.schema.normalize(new, options.validation)
            except StatusError as error:
                if error.code != 400:  # of a custom resource's kind, which is refused by itself
                    raise
                raise patching.invalid(body if kind == "strategic" else new, error) from None
            options.warnings.extend(warnings)
            self._check_identity(plain, old)
            return plain

        return await self.change(namespace, name, patched, options, subresource, patching=True)

    def _of_kind(self, kind: PatchKind, made: Any, name: str, subresource: str) -> Object:
        resource = self.resource
        if not resource.custom:
            return patching.of_kind(kind, Kind.of(resource), made, name)
        new = patching.of_custom_kind(resource, made)
        return {**new, "kind": resource.kind} if subresource == "status" else new

    async def apply(
        self, namespace: str, name: str, config: Object, options: WriteOptions, subresource: str, force: bool
    ) -> tuple[Object, bool]:
        """Server-side apply: the object as written, and whether it was made."""
        metadata = _metadata(config)

        async def applied(old: Object) -> Object:
            new = self._fields.applied(old, config, options, subresource, force)
            plain, _ = self.schema.normalize(new, "Ignore")
            self._check_identity(plain, old)
            return plain

        if self.key(namespace, name) in self.cache.resource(self.prefix).items or subresource:
            return await self.change(namespace, name, applied, options, subresource, patching=True), False
        if metadata.get("uid"):
            text = (
                f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found"
            )
            raise errors.conflict(self.resource.group, self.resource.name, name, text)
        obj, _ = self.schema.normalize(self._fields.applied(None, config, options, "", force), "Ignore")
        obj["metadata"].pop("resourceVersion", None)
        await self._may_create(namespace, name, options)
        return await self.create(obj, namespace, options), True

    async def _may_create(self, namespace: str, name: str, options: WriteOptions) -> None:
        if self.authorize_create is not None and options.admission:
            await self.authorize_create(options.user, self.resource, namespace, name)

    def _check_identity(self, new: Object, old: Object) -> None:
        metadata, was = new.setdefault("metadata", {}), old["metadata"]["name"]
        self._set_namespace(metadata, old["metadata"].get("namespace", ""))
        name = metadata.get("name", "")
        if not name:
            raise patching.unnamed(was)
        if name != was:
            raise errors.bad_request(f"the name of the object ({name}) does not match the name on the URL ({was})")

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
            if self.converts:
                await self.convert([stored])
            old = self.in_version(stored).copy()
            self.resource.default(old)
            self._require_uid(old, uid)
            new = await mutate(old)
            conditional = not patching and bool(new["metadata"].get("resourceVersion"))
            try:
                return await self._write_change(key, stored, old, new, options, subresource)
            except Conflict as conflict:
                if conflict.current is None:
                    raise self._not_found(name) from None
                if attempt == MAX_PATCH_RETRIES or conditional:
                    raise errors.conflict(self.resource.group, self.resource.name, name, MODIFIED) from None
                await self.cache.wait(conflict.current.mod_revision)
        raise AssertionError("unreachable")

    async def _write_change(
        self, key: str, stored: Stored, old: Object, new: Object, options: WriteOptions, subresource: str
    ) -> Object:
        resource = self.resource
        name, namespace = old["metadata"]["name"], old["metadata"].get("namespace", "")
        self._preconditions(old, new, options)
        self._keep_system_fields(new, old)
        resource.default(new)
        managed = self._fields.updated(old, new, options, subresource)
        self._prepare(new, old, subresource)
        new["metadata"].pop("managedFields", None)
        if managed:
            new["metadata"]["managedFields"] = managed
        if resource.stamp:
            resource.stamp(new, old, Stamp(options.user, self._now(), subresource))
        if await self._admit(options, "UPDATE", subresource, namespace, name, new, old, mutating=True):
            self._keep_again(new, old, subresource)
        allocates = self.allocator if not subresource else None
        allocation = await allocates.update(new, old, options.dry_run) if allocates else NOTHING
        try:
            written = await self._write_allocated(key, stored, old, new, options, subresource)
        except BaseException:
            await allocation.revert()
            raise
        await allocation.commit()
        return written

    async def _write_allocated(
        self, key: str, stored: Stored, old: Object, new: Object, options: WriteOptions, subresource: str
    ) -> Object:
        resource = self.resource
        name, namespace = old["metadata"]["name"], old["metadata"].get("namespace", "")
        if resource.generation and (not subresource or subresource in resource.parts):
            self._bump_generation(new, old)
        found = meta.validate_updated_meta(
            new["metadata"],
            old["metadata"],
            resource.namespaced,
            self._name_errors,
            known_finalizers=resource.known_finalizers,
            again=resource.meta_again if subresource != "status" else 0,
        )
        if subresource != "binding":  # which sets what an update may not
            found += self._checks(subresource)(new, old)
        if found:
            raise errors.invalid(resource.invalid_group, resource.kind, name, found)
        if not subresource:
            options.warnings.extend(resource.warnings(new, old))
        await self._admit(options, "UPDATE", subresource, namespace, name, new, old, mutating=False)
        if new == old or options.dry_run:
            return new
        if old["metadata"].get("deletionTimestamp") and deletion.deletable(resource, new):
            await self._remove(key, stored.revision)
            if self.allocator:
                await self.allocator.deleted(old)
            return new
        return await self._put(key, new, stored.revision)

    def _checks(self, subresource: str) -> Callable[[Object, Object], Errors]:
        resource = self.resource
        if subresource == "status":
            return resource.validate_status
        return resource.parts[subresource].validate if subresource in resource.parts else resource.validate_update

    def _require_uid(self, old: Object, uid: str) -> None:
        metadata = old["metadata"]
        if uid and uid != metadata["uid"]:
            text = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata['uid']}"
            raise errors.conflict(self.resource.group, self.resource.name, metadata["name"], text)

    def _preconditions(self, old: Object, new: Object, options: WriteOptions) -> None:
        metadata, was = new["metadata"], old["metadata"]
        resource = self.resource
        version = metadata.get("resourceVersion", "")
        if version and version != "0" and version != was["resourceVersion"]:
            if not version.isdigit():
                cause = field.invalid(
                    Path("metadata") / "resourceVersion",
                    version,
                    f'strconv.ParseUint: parsing "{version}": invalid syntax',
                )
                raise errors.invalid(resource.invalid_group, resource.kind, was["name"], [cause])
            raise errors.conflict(resource.group, resource.name, was["name"], MODIFIED)
        if not version and not resource.allow_unconditional_update:
            cause = field.FieldError(
                "FieldValueInvalid", "metadata.resourceVersion", "Invalid value: 0x0: must be specified for an update"
            )
            raise errors.invalid(resource.invalid_group, resource.name, was["name"], [cause])

    @staticmethod
    def _keep_system_fields(new: Object, old: Object) -> None:
        metadata, was = new["metadata"], old["metadata"]
        metadata["resourceVersion"] = was["resourceVersion"]
        metadata["uid"] = metadata.get("uid") or was["uid"]  # another one is refused, not ignored
        for name in ("creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"):
            if name in was:
                metadata[name] = was[name]
            else:
                metadata.pop(name, None)
        metadata.pop("selfLink", None)
        if "namespace" in was:
            metadata.setdefault("namespace", was["namespace"])

    def _keep_again(self, new: Object, old: Object, subresource: str) -> None:
        """What nobody may change, a webhook may not either."""
        managed = new.setdefault("metadata", {}).get("managedFields")
        self._keep_system_fields(new, old)
        self._prepare(new, old, subresource)
        if managed:
            new["metadata"]["managedFields"] = managed

    def _prepare(self, new: Object, old: Object, subresource: str) -> None:
        """What this write may not touch comes from the old object."""
        resource = self.resource
        if subresource in resource.parts:
            resource.parts[subresource].prepare(new, old)
        elif subresource == "status":
            if resource.prepare_status:
                resource.prepare_status(new, old)
                return
            status = new.get("status")
            metadata = new["metadata"]
            new.clear()
            new.update(msgspec.json.decode(_encode(old)))
            new["metadata"] |= {name: metadata[name] for name in ("resourceVersion", "uid")}
            for name in ("labels", "annotations", "finalizers"):
                if name in metadata:
                    new["metadata"][name] = metadata[name]
            if status is not None:
                new["status"] = status
        elif not subresource:
            if resource.status:
                if "status" in old:
                    new["status"] = old["status"]
                else:
                    new.pop("status", None)
            resource.prepare_update(new, old)

    def _bump_generation(self, new: Object, old: Object) -> None:
        plain = self.resource.custom and not self.resource.status  # whose status is a field like others
        ignored = ("metadata",) if plain else ("metadata", "status")
        if {k: v for k, v in new.items() if k not in ignored} != {k: v for k, v in old.items() if k not in ignored}:
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1

    # Deleting.

    async def _remove(self, key: str, expected: int) -> None:
        event = await self.cache.store.delete(key, expected)
        if event is not None:
            await self.cache.wait(event.revision)

    async def delete(self, namespace: str, name: str, options: DeleteOptions) -> tuple[Object, bool]:
        """(the object as it was last, whether it is gone); not gone: it waits for finalizers or its grace period."""
        key = self.key(namespace, name)
        while True:
            stored = self.cache.resource(self.prefix).items.get(key)
            if stored is None:
                raise self._not_found(name)
            if self.converts:
                await self.convert([stored])
            old = self.in_version(stored).copy()
            if why := self.resource.refuse_delete(old):
                raise errors.forbidden(self.resource.group, self.resource.name, name, why)
            deletion.check(self.resource, old, options)
            await self._admit(options, "DELETE", "", namespace, name, None, old, mutating=True)
            await self._admit(options, "DELETE", "", namespace, name, None, old, mutating=False)
            new, gone = deletion.marked(self.resource, old, options, self._now())
            if options.dry_run:
                return new, gone
            try:
                if gone:
                    await self._remove(key, stored.revision)
                    if self.allocator:
                        await self.allocator.deleted(old)
                elif new != old:
                    new = await self._put(key, new, stored.revision)
                return new, gone
            except Conflict as conflict:
                if conflict.current is None:
                    raise self._not_found(name) from None
                await self.cache.wait(conflict.current.mod_revision)

    async def delete_collection(self, namespace: str, options: DeleteOptions, listed: ListOptions) -> ListResult:
        """Deletes what the list selects, and answers with the list."""
        found = await self.list(namespace, listed)
        for stored in found.items:
            metadata = stored.peek()["metadata"]
            try:
                await self.delete(metadata.get("namespace", ""), metadata["name"], replace(options))
            except StatusError as error:
                if error.code != 404:
                    raise
        return found

    # Admission.

    async def admit_creation(
        self, user: User, subresource: str, namespace: str, name: str, obj: Object, dry_run: bool
    ) -> None:
        """Asks the plug-ins about a subresource that is posted; StatusError where one objects."""
        asked = WriteOptions(user, dry_run)
        for mutating in (True, False):
            await self._admit(asked, "CREATE", subresource, namespace, name, obj, None, mutating=mutating)

    async def connect(self, user: User, subresource: str, namespace: str, name: str, options: Object) -> None:
        """Asks the plug-ins whether one may connect; StatusError where one objects."""
        asked = WriteOptions(user)
        for mutating in (True, False):
            await self._admit(asked, "CONNECT", subresource, namespace, name, options, None, mutating=mutating)

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
        if not options.admission:
            return False
        attributes = Attributes(
            options.user, operation, self.resource, subresource, namespace, name, obj, old, options.dry_run
        )
        attributes.warnings, attributes.options = options.warnings, options.given
        if isinstance(options, WriteOptions) and options.managed_subresource:
            attributes.subresource = options.managed_subresource
        if mutating:
            await mutate(self._admission, attributes)
            return attributes.mutated
        for plugin in self._admission:
            waiting = plugin.validate(attributes)
            if waiting is not None:
                await waiting
        return False


_random_bytes = bytearray()


def new_uid() -> str:
    """As uuid.uuid4(), but the system is asked for randomness 256 times less often: it is asked slowly on some machines."""
    if not _random_bytes:
        _random_bytes.extend(os.urandom(16 * 256))
    own = bytes(_random_bytes[-16:])
    del _random_bytes[-16:]
    return str(uuid.UUID(bytes=own, version=4))


def _metadata(obj: Object) -> Object:
    found = obj.get("metadata")
    return found if isinstance(found, dict) else {}
