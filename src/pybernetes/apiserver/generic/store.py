"""The verbs on one resource (upstream: registry/generic/registry/store.go, registry/rest)."""

from __future__ import annotations

import asyncio
import base64
import random
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from pybernetes.api import errors, field, times
from pybernetes.api import patch as patches
from pybernetes.api.errors import StatusError
from pybernetes.api.field import Path
from pybernetes.api.labels import SelectorError, parse_field_selector, parse_selector
from pybernetes.store.types import Conflict

from ..kinds import meta
from ..resource import Object, Resource
from ..schema import CompiledSchema, compiled
from ..types import AdmissionPlugin, Attributes
from .cache import Stored, WatchCache, Watcher
from .options import DeleteOptions, ListOptions, ListResult, WriteOptions

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # what generated names end with: no vowels, no look-alikes
MAX_GENERATED_PREFIX = 58
MAX_PATCH_RETRIES = 5
READ_SECONDS = 3.0  # that a read waits for a resource version still to come
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"

_encode = msgspec.json.Encoder().encode
Predicate = Callable[[Stored], bool]


def encode(obj: Object) -> bytes:
    """As stored: type and metadata first, no resource version."""
    metadata = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
    head = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}
    return _encode({**head, **{k: v for k, v in obj.items() if k not in head}})


def selector_predicate(resource: Resource, options: ListOptions) -> Predicate | None:
    """What the selectors of a list or watch let through; None: everything. StatusError 400 for bad ones."""
    try:
        labels = parse_selector(options.label_selector) if options.label_selector else None
        fields = parse_field_selector(options.field_selector) if options.field_selector else None
    except SelectorError as error:
        raise errors.bad_request(
            f"unable to parse requirement: {error}" if "nable to parse" not in str(error) else str(error)
        ) from None
    known = {"metadata.name", "metadata.namespace", *resource.selectable_fields}
    for requirement in fields.requirements if fields else ():
        if requirement.field not in known:
            raise errors.bad_request(_unknown_field(resource, requirement.field))
    if labels is None and fields is None:
        return None

    def matches(stored: Stored) -> bool:
        obj = stored.obj
        if labels is not None and not labels.matches(obj["metadata"].get("labels") or {}):
            return False
        return fields is None or fields.matches(fields_of(resource, obj))

    return matches


def fields_of(resource: Resource, obj: Object) -> dict[str, str]:
    """What field selectors see of an object."""
    metadata = obj["metadata"]
    found = {"metadata.name": metadata["name"], "metadata.namespace": metadata.get("namespace", "")}
    return {**found, **resource.selectable(obj)} if resource.selectable_fields else found


def _unknown_field(resource: Resource, name: str) -> str:
    if resource.selectable_fields:
        return f"field label not supported: {name}"
    return f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'


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
        group, name, version = resource.stored_at
        self.prefix = f"/registry/{group or 'core'}/{name}/"
        self._foreign = (group, version) != (resource.group, resource.version)
        self._name_errors = meta.name_errors(resource.name_check)

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

    def _in_version(self, stored: Stored) -> Stored:
        """Another version's object as this resource's."""
        if not self._foreign:
            return stored
        obj = self.resource.from_storage(stored.copy())
        return Stored(stored.key, encode(obj), stored.revision)

    def get(self, namespace: str, name: str) -> Stored:
        """From the cache, which has every acknowledged write; StatusError 404."""
        stored = self.cache.resource(self.prefix).items.get(self.key(namespace, name))
        if stored is None:
            raise self._not_found(name)
        return self._in_version(stored)

    async def list(self, namespace: str, options: ListOptions) -> ListResult:
        """As of now, or where the resource version says otherwise as of then; in pages with `limit`."""
        predicate = selector_predicate(self.resource, options)
        prefix = f"{self.prefix}{namespace}/" if namespace else self.prefix
        revision, after = _continued(options, prefix)
        if not revision and options.resource_version_match == "Exact":
            revision = _revision(options.resource_version)
        if revision and revision < self.cache.resource(self.prefix).changed:
            found = await self._list_at(prefix, revision, after)
        else:
            await self._not_older(options)
            found = self.cache.resource(self.prefix).range(prefix, after)
            revision = revision or self.cache.revision
        items = [s for s in found if predicate(s)] if predicate else list(found)
        result = ListResult(items, revision)
        if 0 < options.limit < len(items):
            result.items = items[: options.limit]
            result.remaining = None if predicate else len(items) - options.limit
            start = result.items[-1].key[len(prefix) :] + "\0"
            token = {"v": "meta.k8s.io/v1", "rv": revision, "start": start}
            result.continue_ = base64.urlsafe_b64encode(_encode(token)).decode().rstrip("=")
        if self._foreign:
            result.items = [self._in_version(s) for s in result.items]
        return result

    async def _not_older(self, options: ListOptions) -> None:
        wanted = _revision(options.resource_version)
        if wanted > self.cache.revision:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    await self.cache.wait(wanted)
            except TimeoutError:
                raise too_large(wanted, self.cache.revision) from None

    async def _list_at(self, prefix: str, revision: int, after: str) -> Iterable[Stored]:
        from pybernetes.store.types import Compacted

        try:
            page = await self.cache.store.list(prefix, after=after, revision=revision)
        except Compacted:
            text = (
                "The provided continue parameter is too old to display a consistent list result. "
                "You can start a new list without the continue parameter."
            )
            raise errors.expired(text) from None
        return [Stored(item.key, item.value, item.mod_revision) for item in page.items]

    def watch(self, options: ListOptions) -> tuple[Watcher, int, bool]:
        """(changes, revision from which they are, whether the present objects come first as additions)."""
        revision = _revision(options.resource_version)
        initial = not revision if options.send_initial_events is None else options.send_initial_events
        start = self.cache.revision if initial else revision
        if start > self.cache.revision:
            raise too_large(start, self.cache.revision)
        return self.cache.resource(self.prefix).watch(start), start, initial

    # Creating.

    async def create(self, obj: Object, namespace: str, options: WriteOptions) -> Object:
        """The object as written. Defaults, admission, validation in upstream's order."""
        resource, metadata = self.resource, obj.setdefault("metadata", {})
        obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
        self._set_namespace(metadata, namespace)
        if metadata.get("resourceVersion"):
            raise errors.bad_request("resourceVersion should not be set on objects to be created")
        resource.default(obj)
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"):
            metadata.pop(name, None)  # who manages which field is not kept yet
        prefix = metadata.get("generateName")
        if prefix and not metadata.get("name"):
            suffix = "".join(self._random.choice(ALPHABET) for _ in range(5))
            metadata["name"] = prefix[:MAX_GENERATED_PREFIX] + suffix
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = times.format_time(self._now())
        name = metadata.get("name", "")
        await self._admit(options, "CREATE", "", namespace, name, obj, None, mutating=True)
        resource.prepare_create(obj)
        if resource.generation:
            metadata["generation"] = 1
        found = meta.validate_object_meta(metadata, resource.namespaced, self._name_errors, Path("metadata"))
        found += resource.validate(obj)
        if found:
            raise errors.invalid(resource.group, resource.kind, name, found)
        await self._admit(options, "CREATE", "", namespace, name, obj, None, mutating=False)
        key = self.key(metadata.get("namespace", ""), name)
        if options.dry_run:
            if key in self.cache.resource(self.prefix).items:
                raise errors.already_exists(resource.group, resource.name, name)
            return obj
        try:
            return await self._put(key, obj, 0)
        except Conflict:
            refused = errors.already_exists(resource.group, resource.name, name)
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
        stored = self.resource.to_storage(obj) if self._foreign else obj
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
            raise errors.bad_request(
                "the name of the object (based on its metadata) could not be determined: name must be provided"
            )
        if given != name:
            raise errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
        self._set_namespace(metadata, namespace)
        exists = self.key(namespace, name) in self.cache.resource(self.prefix).items
        if not exists and resource.allow_create_on_update and not subresource:
            metadata.pop("resourceVersion", None)
            return await self.create(obj, namespace, options), True

        async def replaced(old: Object) -> Object:
            return msgspec.json.decode(_encode(obj))  # type: ignore[no-any-return]  # a private copy for each try

        return await self.change(namespace, name, replaced, options, subresource), False

    async def patch(
        self,
        namespace: str,
        name: str,
        kind: Literal["json", "merge", "strategic"],
        body: Any,
        options: WriteOptions,
        subresource: str = "",
    ) -> Object:
        """The patched object as written; tried again where another write came between."""

        async def patched(old: Object) -> Object:
            try:
                if kind == "json":
                    new = patches.json_patch(old, body)
                elif kind == "merge":
                    new = patches.merge_patch(old, body)
                else:
                    new = patches.strategic_merge_patch(old, body, self.schema.merge_schema)
            except patches.PatchError as error:
                raise _patch_refused(kind, error) from None
            if not isinstance(new, dict):
                raise errors.bad_request("the patched object is no JSON object")
            plain, warnings = self.schema.normalize(new, options.validation)
            options.warnings.extend(warnings)
            self._check_identity(plain, old)
            return plain

        return await self.change(namespace, name, patched, options, subresource, patching=True)

    def _check_identity(self, new: Object, old: Object) -> None:
        metadata = new.setdefault("metadata", {})
        new.setdefault("apiVersion", self.resource.api_version)
        new.setdefault("kind", self.resource.kind)
        name, was = metadata.get("name", ""), old["metadata"]["name"]
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
    ) -> Object:
        """Reads, lets `mutate` make the new object, checks and writes it; again while others write between.

        Where `mutate`'s object carries another resource version than the one read, that is a conflict at once.
        """
        key = self.key(namespace, name)
        for attempt in range(MAX_PATCH_RETRIES + 1):
            stored = self.cache.resource(self.prefix).items.get(key)
            if stored is None:
                raise self._not_found(name)
            old = self._in_version(stored).copy()
            self.resource.default(old)
            new = await mutate(old)
            try:
                return await self._write_change(key, stored, old, new, options, subresource)
            except Conflict as conflict:
                if conflict.current is None:
                    raise self._not_found(name) from None
                if attempt == MAX_PATCH_RETRIES or (not patching and new["metadata"].get("resourceVersion")):
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
        self._prepare(new, old, subresource)
        await self._admit(options, "UPDATE", subresource, namespace, name, new, old, mutating=True)
        if resource.generation and not subresource:
            self._bump_generation(new, old)
        found = meta.validate_object_meta_update(new["metadata"], old["metadata"], Path("metadata"))
        if subresource != "binding":  # which sets what an update may not
            check = resource.validate_status if subresource == "status" else resource.validate_update
            found += check(new, old)
        if found:
            raise errors.invalid(resource.group, resource.kind, name, found)
        await self._admit(options, "UPDATE", subresource, namespace, name, new, old, mutating=False)
        if new == old or options.dry_run:
            return new
        if old["metadata"].get("deletionTimestamp") and self._deletable(new):
            await self._remove(key, stored.revision)
            return new
        return await self._put(key, new, stored.revision)

    def _preconditions(self, old: Object, new: Object, options: WriteOptions) -> None:
        metadata, was = new["metadata"], old["metadata"]
        resource = self.resource
        if metadata.get("uid") and metadata["uid"] != was["uid"]:
            text = f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {was['uid']}"
            raise errors.conflict(resource.group, resource.name, was["name"], text)
        version = metadata.get("resourceVersion", "")
        if version and version != "0" and version != was["resourceVersion"]:
            if not version.isdigit():
                cause = field.invalid(
                    Path("metadata") / "resourceVersion",
                    version,
                    f'strconv.ParseUint: parsing "{version}": invalid syntax',
                )
                raise errors.invalid(resource.group, resource.kind, was["name"], [cause])
            raise errors.conflict(resource.group, resource.name, was["name"], MODIFIED)
        if not version and not resource.allow_unconditional_update:
            cause = field.FieldError(
                "FieldValueInvalid", "metadata.resourceVersion", "Invalid value: 0x0: must be specified for an update"
            )
            raise errors.invalid(resource.group, resource.kind, was["name"], [cause])

    @staticmethod
    def _keep_system_fields(new: Object, old: Object) -> None:
        metadata, was = new["metadata"], old["metadata"]
        metadata["resourceVersion"] = was["resourceVersion"]
        for name in ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"):
            if name in was:
                metadata[name] = was[name]
            else:
                metadata.pop(name, None)
        metadata.pop("selfLink", None)
        if "namespace" in was:
            metadata.setdefault("namespace", was["namespace"])

    def _prepare(self, new: Object, old: Object, subresource: str) -> None:
        """What this write may not touch comes from the old object."""
        resource = self.resource
        if subresource == "status":
            if resource.prepare_status:
                resource.prepare_status(new, old)
                return
            status = new.get("status")
            metadata = new["metadata"]
            new.clear()
            new.update(msgspec.json.decode(_encode(old)))
            new["metadata"]["resourceVersion"] = metadata["resourceVersion"]
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

    @staticmethod
    def _bump_generation(new: Object, old: Object) -> None:
        ignored = ("metadata", "status")
        if {k: v for k, v in new.items() if k not in ignored} != {k: v for k, v in old.items() if k not in ignored}:
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1

    # Deleting.

    @staticmethod
    def _deletable(obj: Object) -> bool:
        metadata = obj["metadata"]
        finalizers = metadata.get("finalizers") or (
            obj.get("kind") == "Namespace" and (obj.get("spec") or {}).get("finalizers")
        )
        return not finalizers and not metadata.get("deletionGracePeriodSeconds")

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
            old = self._in_version(stored).copy()
            self._delete_preconditions(old, options)
            await self._admit(options, "DELETE", "", namespace, name, None, old, mutating=True)
            await self._admit(options, "DELETE", "", namespace, name, None, old, mutating=False)
            new, gone = self._marked(old, options)
            if options.dry_run:
                return new, gone
            try:
                if gone:
                    await self._remove(key, stored.revision)
                elif new != old:
                    new = await self._put(key, new, stored.revision)
                return new, gone
            except Conflict as conflict:
                if conflict.current is None:
                    raise self._not_found(name) from None
                await self.cache.wait(conflict.current.mod_revision)

    def _delete_preconditions(self, old: Object, options: DeleteOptions) -> None:
        metadata, resource = old["metadata"], self.resource
        for asked, name, title in (
            (options.uid, "uid", "UID"),
            (options.resource_version, "resourceVersion", "ResourceVersion"),
        ):
            if asked and asked != metadata[name]:
                where = "object meta" if name == "uid" else "record"
                text = f"Precondition failed: {title} in precondition: {asked}, {title} in {where}: {metadata[name]}"
                raise errors.conflict(resource.group, resource.name, metadata["name"], text)

    def _marked(self, old: Object, options: DeleteOptions) -> tuple[Object, bool]:
        """The object with what the deletion leaves on it, and whether nothing holds it any longer."""
        new: Object = msgspec.json.decode(_encode(old))
        metadata, resource = new["metadata"], self.resource
        finalizers = [f for f in metadata.get("finalizers") or () if f not in (ORPHAN, FOREGROUND)]
        kept = [f for f in metadata.get("finalizers") or () if f in (ORPHAN, FOREGROUND)]
        if options.propagation == "Orphan":
            kept = [ORPHAN]
        elif options.propagation == "Foreground":
            kept = [FOREGROUND]
        elif options.propagation == "Background":
            kept = []
        elif not kept and resource.default_propagation == "orphan":
            kept = [ORPHAN]
        finalizers += kept
        if finalizers:
            metadata["finalizers"] = finalizers
        else:
            metadata.pop("finalizers", None)
        grace = resource.graceful(old, options.grace_period_seconds) if resource.graceful else 0
        known = metadata.get("deletionGracePeriodSeconds")
        now = self._now()
        if metadata.get("deletionTimestamp"):
            if known is not None and grace < known:
                start = times.parse_time(metadata["deletionTimestamp"]) - timedelta(seconds=known)
                metadata["deletionTimestamp"] = times.format_time(start + timedelta(seconds=grace))
                metadata["deletionGracePeriodSeconds"] = grace
        else:
            metadata["deletionTimestamp"] = times.format_time(now + timedelta(seconds=grace))
            metadata["deletionGracePeriodSeconds"] = grace
            if resource.generation and "generation" in metadata:
                metadata["generation"] += 1
            if resource.kind == "Namespace":
                new.setdefault("status", {})["phase"] = "Terminating"
        return new, self._deletable(new)

    async def delete_collection(self, namespace: str, options: DeleteOptions, listed: ListOptions) -> ListResult:
        """Deletes what the list selects, and answers with the list."""
        found = await self.list(namespace, listed)
        for stored in found.items:
            metadata = stored.obj["metadata"]
            try:
                await self.delete(metadata.get("namespace", ""), metadata["name"], replace(options))
            except StatusError as error:
                if error.code != 404:
                    raise
        return found

    # Admission.

    async def _admit(
        self,
        options: WriteOptions | DeleteOptions,
        operation: Literal["CREATE", "UPDATE", "DELETE"],
        subresource: str,
        namespace: str,
        name: str,
        obj: Object | None,
        old: Object | None,
        mutating: bool,
    ) -> None:
        if not options.admission:
            return
        attributes = Attributes(
            options.user, operation, self.resource, subresource, namespace, name, obj, old, options.dry_run
        )
        for plugin in self._admission:
            waiting = plugin.admit(attributes) if mutating else plugin.validate(attributes)
            if waiting is not None:
                await waiting


def _patch_refused(kind: str, error: patches.PatchError) -> StatusError:
    if kind == "json" and error.op:
        status = errors.invalid("", "", "", []).status
        status["message"] = "the server rejected our request due to an error in our request"
        status["details"] = {}
        return StatusError(status)
    return errors.bad_request(f"error decoding patch: {error.reason}")


def _revision(text: str) -> int:
    if not text:
        return 0
    if not text.isdigit():
        cause = field.invalid(Path("resourceVersion"), text, f'strconv.ParseUint: parsing "{text}": invalid syntax')
        raise errors.bad_request(str(cause).replace("resourceVersion", "resourceVersion", 1))
    return int(text)


def _continued(options: ListOptions, prefix: str) -> tuple[int, str]:
    """(revision, key after which to go on) of a continue token."""
    if not options.continue_:
        return 0, ""
    if options.resource_version not in ("", "0"):
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    try:
        padded = options.continue_ + "=" * (-len(options.continue_) % 4)
        token = msgspec.json.decode(base64.urlsafe_b64decode(padded))
        revision, start, version = int(token["rv"]), str(token["start"]), token["v"]
    except (ValueError, KeyError, TypeError, msgspec.DecodeError):
        raise errors.bad_request(
            "continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)"
        ) from None
    if version != "meta.k8s.io/v1" or ".." in start:
        raise errors.bad_request("continue key is not valid: server does not recognize this encoded version")
    return revision, prefix + start.removesuffix("\0")


def too_large(wanted: int, current: int) -> StatusError:
    """504: the asked resource version is from the future."""
    refused = errors.timeout("", "", "", f"Too large resource version: {wanted}, current: {current}", retry_after=1)
    refused.status["message"] = f"Too large resource version: {wanted}, current: {current}"
    refused.status["details"]["causes"] = [
        {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    ]
    return refused
