"""The rules of update and apply (upstream: managedfields/internal/{fieldmanager,structuredmerge,stripmeta,...}.go, structured-merge-diff/merge).

What an entry of another version of the kind manages is compared with the objects as that version has them. One of a version that
is no more goes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from pybernetes.aio import apart
from pybernetes.api import gojson, times
from pybernetes.api.annotations import too_large
from pybernetes.api.jsoncopy import json_copy
from pybernetes.api.wellknown import LAST_APPLIED_CONFIG_ANNOTATION

from ..conversion import Conversions, UnknownVersion
from . import fieldset, managed, typed
from .fieldset import FieldSet, Path
from .managed import Entry, Identity, Managed
from .schema import Node
from .typed import MISSING

Object = dict[str, Any]

BEFORE_FIRST_APPLY = "before-first-apply"
KUBECTL = "kubectl"  # the one manager for whom the annotation of client-side apply counts as ownership
# What the server itself writes, and so nobody manages: of metadata, and of the whole.
UNMANAGED = (
    *("name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation"),
    *("managedFields", "resourceVersion"),
)
STRIPPED: FieldSet = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {".": {}, **{f"f:{name}": {} for name in UNMANAGED}},
}


class Conflicts(Exception):
    """An apply would change what others manage."""

    def __init__(self, conflicts: Sequence[tuple[Identity, Entry, Path]]) -> None:
        self.found = conflicts
        super().__init__(self._message())

    @staticmethod
    def who(identity: Identity, entry: Entry) -> str:
        """`"kubectl" using apps/v1`."""
        text = str(identity)
        return f"{text} using {entry.api_version}" if identity.operation == "Update" else text

    def causes(self) -> list[dict[str, str]]:
        """For Status.details."""
        return [
            {
                "reason": "FieldManagerConflict",
                "message": f"conflict with {self.who(who, entry)}",
                "field": fieldset.text(path),
            }
            for who, entry, path in self.found
        ]

    def _message(self) -> str:
        if len(self.found) == 1:
            who, entry, path = self.found[0]
            return f"Apply failed with 1 conflict: conflict with {self.who(who, entry)}: {fieldset.text(path)}"
        lines: dict[str, list[str]] = {}
        for who, entry, path in self.found:
            lines.setdefault(self.who(who, entry), []).append(f"- {fieldset.text(path)}")
        parts = [line for who, paths in lines.items() for line in (f"conflicts with {who}:", *paths)]
        return f"Apply failed with {len(self.found)} conflicts: " + "\n".join(parts)


@dataclass(frozen=True)
class Context:
    """One kind's rules for one write: its schema, its version, the top-level fields that the write cannot touch, the time."""

    node: Node
    api_version: str
    zero: Object  # the empty object, as Go writes it
    ignored: tuple[str, ...]
    now: datetime
    conversions: Conversions | None = None  # of a kind that has other versions


async def _in_version(context: Context, api_version: str, *objects: Object) -> tuple[list[Object], Node]:
    """Objects of the kind in one of its versions, and the rules of that. UnknownVersion; StatusError where they cannot be converted."""
    # The empty object of a kind may say no version.
    versions = [obj.get("apiVersion", context.api_version) for obj in objects]
    if all(version == api_version == context.api_version for version in versions):
        return list(objects), context.node
    conversions = context.conversions
    if conversions is None:
        raise UnknownVersion(api_version)
    node = conversions.schema(api_version).apply_node
    whole = [{**json_copy(obj), "apiVersion": version} for obj, version in zip(objects, versions, strict=True)]
    return await apart.on_loop(lambda: conversions.convert(whole, api_version)), node


async def _comparison(context: Context, live: Object, new: Object, api_version: str) -> typed.Comparison:
    """How the objects differ as a version has them."""
    (before, after), node = await _in_version(context, api_version, live, new)
    return typed.compare(before, after, node, context.ignored)


async def _comparisons(context: Context, live: Object, new: Object, entries: Managed) -> dict[str, typed.Comparison]:
    """How the objects differ in each version that somebody manages fields in, as far as there is such a version."""
    comparisons = {context.api_version: await _comparison(context, live, new, context.api_version)}
    for entry in entries.values():
        if entry.api_version not in comparisons:
            with contextlib.suppress(UnknownVersion):
                comparisons[entry.api_version] = await _comparison(context, live, new, entry.api_version)
    return comparisons


def _bare(obj: Object) -> Object:
    """Without managedFields, which manage all but themselves."""
    metadata = obj.get("metadata") or {}
    if "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}


def _managed_part(obj: Object) -> Object:
    """Without the fields that nobody manages: `STRIPPED` would take them away again."""
    part = {name: value for name, value in obj.items() if name not in ("apiVersion", "kind")}
    if metadata := part.get("metadata"):
        part["metadata"] = {name: value for name, value in metadata.items() if name not in UNMANAGED}
    return part


def _entries(live: Object, new: Object, subresource: str) -> Managed:
    """What the write says is managed, where it may and does say so; else what is."""
    if not subresource:
        try:
            given = managed.decode((new.get("metadata") or {}).get("managedFields"))
        except (ValueError, AttributeError):
            given = {}
        if given:
            return given
    try:
        return managed.decode((live.get("metadata") or {}).get("managedFields"))
    except ValueError:
        return {}


async def created(context: Context, obj: Object, manager: str) -> list[dict[str, Any]]:
    """managedFields of a new object, which is in the context's version."""
    entries, who = _entries({}, obj, ""), managed.identity(manager, "Update", context.api_version, "")
    if entries:
        await _update(context, context.zero, _bare(obj), entries, who)
    else:  # as nearly always: with nobody else there is but one version to compare in, and nothing to give up
        changed = typed.compare(context.zero, _managed_part(obj), context.node, context.ignored).changed
        if mine := fieldset.difference(changed, STRIPPED):
            entries[who] = Entry(mine, context.api_version, times.format_time(context.now))
    return managed.encode(entries)


async def updated(
    context: Context, live: Object, new: Object, manager: str, subresource: str, reset: bool
) -> list[dict[str, Any]]:
    """managedFields after an update or patch; [] where nobody's are tracked. `reset`: the write says that nobody manages anything."""
    entries = {} if reset and not subresource else _entries(live, new, subresource)
    if not entries:
        return []
    who = managed.identity(manager, "Update", context.api_version, subresource)
    await _update(context, _bare(live), _bare(new), entries, who)
    return managed.encode(entries)


async def _update(context: Context, live: Object, new: Object, entries: Managed, who: Identity) -> None:
    """Changes `entries`. TypedError where an object cannot be compared."""
    comparisons = await _comparisons(context, live, new, entries)
    changed, before = comparisons[context.api_version].changed, entries.get(who)
    for other, entry in list(entries.items()):
        comparison = comparisons.get(entry.api_version)
        if comparison is None:
            del entries[other]
            continue
        fields = fieldset.difference(fieldset.difference(entry.fields, comparison.changed), comparison.removed)
        if not fields:
            del entries[other]
        elif fields != entry.fields:
            entries[other] = replace(entry, fields=fields)
    mine = fieldset.difference(changed, STRIPPED)
    if mine:
        rest = entries.get(who)
        mine = fieldset.union(rest.fields, mine) if rest else mine
        time = before.time if before and before.fields == mine else times.format_time(context.now)
        entries[who] = Entry(mine, context.api_version, time)
    managed.cap(entries)


async def applied(
    context: Context, live: Object, config: Object, manager: str, subresource: str, force: bool, exists: bool
) -> tuple[Object | None, list[dict[str, Any]]]:
    """(the object as it shall be, None where the apply changes nothing; its managedFields). Conflicts; TypedError."""
    try:
        entries = managed.decode((live.get("metadata") or {}).get("managedFields"))
    except ValueError:
        entries = {}
    live = _bare(live)
    if exists and not entries:
        before = managed.identity(BEFORE_FIRST_APPLY, "Update", context.api_version, "")
        await _update(replace(context, ignored=()), context.zero, live, entries, before)
    who = managed.identity(manager, "Apply", context.api_version, subresource)
    try:
        new, after = await _apply(context, live, config, entries, who, force)
    except Conflicts as conflicts:
        if manager != KUBECTL or not _left_by_client_side(context, live, conflicts):
            raise
        new, after = await _apply(context, live, config, entries, who, force=True)
    before_entry = entries.get(who)
    own = after.get(who)
    if own is not None:
        unchanged = new is None and before_entry is not None and before_entry.fields == own.fields
        now = times.format_time(context.now)
        after[who] = replace(own, time=before_entry.time if unchanged and before_entry else now)
    if manager == KUBECTL:
        new = _with_last_applied(live if new is None else new, config) or new
    return new, managed.encode(after)


async def _apply(
    context: Context, live: Object, config: Object, before: Managed, who: Identity, force: bool
) -> tuple[Object | None, Managed]:
    node, entries = context.node, dict(before)
    last = entries.get(who)
    fields = _without(typed.field_set(config, node), context.ignored)
    entries[who] = Entry(fieldset.difference(fields, STRIPPED), context.api_version)
    merged = typed.merge(live, config, node)
    everyone = {**entries, who: Entry(fields, context.api_version)}
    new = merged
    if last is not None and (last.api_version != context.api_version or fieldset.difference(last.fields, fields)):
        new = await _pruned(context, merged, everyone, last)
    comparisons = await _comparisons(context, live, new, entries)
    conflicts = []
    for other, entry in sorted(entries.items()):
        if other == who:
            continue
        comparison = comparisons.get(entry.api_version)
        if comparison is None:
            del entries[other]
            continue
        taken = fieldset.intersection(entry.fields, comparison.changed)
        conflicts += [(other, entry, path) for path in fieldset.paths(taken)]
        rest = fieldset.difference(fieldset.difference(entry.fields, taken), comparison.removed)
        entries[other] = replace(entry, fields=rest)
    if conflicts and not force:
        raise Conflicts(conflicts)
    return (None if new == live else new), {other: entry for other, entry in entries.items() if entry.fields}


def _without(fields: FieldSet, names: Sequence[str]) -> FieldSet:
    return {key: node for key, node in fields.items() if key[2:] not in names} if names else fields


async def _pruned(context: Context, merged: Object, entries: Managed, last: Entry) -> Object:
    """Without what this applier applied the last time but not now, and nobody else manages.

    Worked out in the version of that last time, then brought back to the context's.
    """
    if not last.fields:
        return merged
    named = typed.with_named_fields
    try:
        [before], node = await _in_version(context, last.api_version, merged)
    except UnknownVersion:
        return merged
    pruned = _removed(before, named(last.fields, node), node)
    pruned = await _with_owned(context, before, pruned, entries, last.api_version)
    # What was not this applier's does not go with what was.
    [pruned], node = await _in_version(context, last.api_version, pruned)
    everything = named(typed.field_set(before, node), node)
    gone = fieldset.difference(everything, named(typed.field_set(pruned, node), node))
    result = _removed(before, fieldset.intersection(gone, named(last.fields, node)), node)
    [result], _ = await _in_version(context, context.api_version, result)
    return result


async def _with_owned(context: Context, merged: Object, pruned: Object, entries: Managed, first: str) -> Object:
    """What was pruned but somebody manages is there again: of the pruned version first, for a conversion may need it."""
    named = typed.with_named_fields
    owned: dict[str, FieldSet] = {first: {}}
    for entry in entries.values():
        owned[entry.api_version] = fieldset.union(owned.get(entry.api_version, {}), entry.fields)
    for version, fields in owned.items():
        try:
            (merged, pruned), node = await _in_version(context, version, merged, pruned)
        except UnknownVersion:
            continue
        kept = fieldset.union(named(typed.field_set(pruned, node), node), named(fields, node))
        everything = named(typed.field_set(merged, node), node)
        pruned = _removed(merged, fieldset.difference(everything, kept), node)
    return pruned


def _removed(obj: Object, fields: FieldSet, node: Node) -> Object:
    result = typed.remove(obj, fields, node)
    return {} if result is MISSING else result


def _left_by_client_side(context: Context, live: Object, conflicts: Conflicts) -> bool:
    """Whether everything in conflict was written by client-side apply before, and stands as that wrote it."""
    metadata = live.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    text = (annotations or {}).get(LAST_APPLIED_CONFIG_ANNOTATION)
    if not text:
        return False
    try:
        last = msgspec.json.decode(text)
        own = typed.field_set(last, context.node)
        differs = typed.compare(last, live, context.node)
    except (msgspec.DecodeError, typed.TypedError, AttributeError):
        return False
    allowed = fieldset.difference(own, differs.modified)
    return all(_has(allowed, path) for _, _, path in conflicts.found)


def _with_last_applied(obj: Object, config: Object) -> Object | None:
    """The object with the annotation of client-side apply, which it has, as of this configuration; None where that changes nothing.

    Whoever goes back to client-side apply then finds what was applied last (upstream: lastappliedupdater.go).
    """
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    if not annotations.get(LAST_APPLIED_CONFIG_ANNOTATION):
        return None
    text = _as_last_applied(config)
    if annotations[LAST_APPLIED_CONFIG_ANNOTATION] == text:
        return None
    changed = {**annotations, LAST_APPLIED_CONFIG_ANNOTATION: text}
    if too_large(changed):
        del changed[LAST_APPLIED_CONFIG_ANNOTATION]
    return {**obj, "metadata": {**obj["metadata"], "annotations": changed}}


def _as_last_applied(config: Object) -> str:
    metadata = config["metadata"]
    if metadata.get("annotations"):
        others = {k: v for k, v in metadata["annotations"].items() if k != LAST_APPLIED_CONFIG_ANNOTATION}
        config = {**config, "metadata": {**metadata, "annotations": others}}
    return gojson.escaped(msgspec.json.encode(config, order="sorted")).decode() + "\n"


def _has(fields: FieldSet, path: Path) -> bool:
    node: FieldSet | None = fields
    for element in path:
        node = node.get(element) if node is not None else None
    return node is not None and fieldset.is_member(node)
