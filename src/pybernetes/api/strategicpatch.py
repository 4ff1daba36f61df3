"""Strategic merge patches (upstream: ``k8s.io/apimachinery/pkg/util/strategicpatch``).

Pure, as `patch` is: neither the document nor the patch is changed, and the result shares nothing with either.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .govalues import go_string, go_type, go_value
from .jsoncopy import json_copy
from .patch import PatchError

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_FROM_PRIMITIVE_LIST = "$deleteFromPrimitiveList"
SET_ELEMENT_ORDER = "$setElementOrder"

_PATCH_DIRECTIVES = ("replace", "delete")
_NOTHING: Any = object()  # of a field that is left out


class MergeSchema(Protocol):
    """Tells how the fields of one object merge (upstream: strategicpatch.LookupPatchMeta)."""

    def lookup(self, name: str) -> FieldMerge:
        """How the named field merges; an unknown field gives ``FieldMerge()``."""
        ...


@dataclass(frozen=True)
class FieldMerge:
    """Patch metadata of one field (upstream: strategicpatch.PatchMeta).

    ``schema`` describes the field's object, or its items when the field is a list. ``patch_strategy`` is empty,
    ``merge``, ``replace`` or ``retainKeys``, or two of them joined with a comma.
    """

    schema: MergeSchema | None = None
    patch_strategy: str = ""
    patch_merge_key: str = ""
    undeclared_in: str = ""  # Go's name of the struct that does not have the field

    @property
    def strategy(self) -> str:
        """The strategy without ``retainKeys``, which matters only to those who compute patches."""
        names = [name.strip() for name in self.patch_strategy.split(",")]
        return next((name for name in names if name and name != "retainKeys"), "")

    @property
    def child(self) -> MergeSchema:
        return FieldTable() if self.schema is None else self.schema


@dataclass(frozen=True)
class FieldTable:
    """A MergeSchema held in a mapping; ``default`` serves fields it does not list, such as the keys of a map."""

    fields: Mapping[str, FieldMerge] = field(default_factory=dict)
    default: FieldMerge = FieldMerge()

    def lookup(self, name: str) -> FieldMerge:
        return self.fields.get(name, self.default)


def strategic_merge_patch(document: Any, patch: Any, schema: MergeSchema) -> dict[str, Any]:
    """Apply a strategic merge patch (upstream: apimachinery/pkg/util/strategicpatch)."""
    for name, value in (("document", document), ("patch", patch)):
        if not isinstance(value, dict):
            raise PatchError(f"the {name} must be an object", path="", op="strategic-merge")
    return _merge_map(json_copy(document), json_copy(patch), schema, "")


def _merge_map(original: dict[str, Any], patch: dict[str, Any], schema: MergeSchema, path: str) -> dict[str, Any]:
    """Merge patch into original; both belong to the caller's private copies."""
    directive = _pop_directive(patch, path)
    if directive == "replace":
        return _clean_map(patch)
    if directive == "delete":
        return {}
    _apply_retain_keys(original, patch, path)
    _apply_element_orders(original, patch, schema, path)
    for key, value in patch.items():
        if key.startswith(DELETE_FROM_PRIMITIVE_LIST):
            _delete_primitives(original, key, value, schema, path)
        elif value is None:
            original.pop(key, None)
        elif (merged := _merge_field(original.get(key), value, schema, key, path)) is not _NOTHING:
            original[key] = merged
        else:
            original.pop(key, None)
    return original


def _merge_field(original: Any, value: Any, schema: MergeSchema, key: str, path: str) -> Any:
    where = _join(path, key)
    if isinstance(original, dict) and isinstance(value, dict):
        meta = schema.lookup(key)
        return _clean_map(value) if meta.strategy == "replace" else _merge_map(original, value, meta.child, where)
    if isinstance(original, list) and isinstance(value, list):
        return _merge_list(original, value, schema.lookup(key), where)
    return _clean(value)


def _pop_directive(patch: dict[str, Any], path: str) -> str:
    """Take ``$patch`` out of patch; the empty string when there is none."""
    if DIRECTIVE not in patch:
        return ""
    directive = patch.pop(DIRECTIVE)
    if not isinstance(directive, str) or directive not in _PATCH_DIRECTIVES:
        text = f"unknown patch type: {go_string(directive)} in map: {go_value({**patch, DIRECTIVE: directive})}"
        raise PatchError(f"unknown directive {directive!r}", path=path, op=DIRECTIVE, text=text)
    return directive


_BAD_RETAIN_KEYS = "invalid patch format of retainKeys"


def _apply_retain_keys(original: dict[str, Any], patch: dict[str, Any], path: str) -> None:
    """Drop the fields ``$retainKeys`` does not name; the patch may only set fields that it names."""
    if RETAIN_KEYS not in patch:
        return
    retained = patch.pop(RETAIN_KEYS)
    if not isinstance(retained, list):
        raise PatchError("a list is expected", path=path, op=RETAIN_KEYS, text=_BAD_RETAIN_KEYS, malformed=True)
    kept = {key for key in retained if isinstance(key, str)}
    for key, value in patch.items():
        if value is not None and not _is_list_directive(key) and key not in kept:
            why = f"field {key!r} is set but not retained"
            raise PatchError(why, path=path, op=RETAIN_KEYS, text=_BAD_RETAIN_KEYS, malformed=True)
    for key in [key for key in original if key not in kept]:
        del original[key]


def _delete_primitives(original: dict[str, Any], directive: str, unwanted: Any, schema: MergeSchema, path: str) -> None:
    """Null takes the list away, and what is no list changes none, as upstream; a list that does not merge is replaced by this one."""
    name = _directed(directive, DELETE_FROM_PRIMITIVE_LIST, "primitive", path)
    where, current, meta = _join(path, name), original.get(name), schema.lookup(name)
    if unwanted is None:
        original.pop(name, None)
    elif not isinstance(current, list) or not isinstance(unwanted, list):
        return
    elif meta.strategy != "merge" or _holds_maps((current, unwanted), where):
        original[name] = _merge_list(current, unwanted, meta, where)
    else:
        gone = {_identity(item) for item in unwanted}
        original[name] = [item for item in current if _identity(item) not in gone]


def _directed(directive: str, prefix: str, kind: str, path: str) -> str:
    """The field that a directive is about."""
    before, slash, name = directive.partition("/")
    if before != prefix or not slash:
        text = f"invalid patch format of {kind} list"
        raise PatchError("the directive names no field", path=path, op=prefix, text=text, malformed=True)
    return name


def _apply_element_orders(original: dict[str, Any], patch: dict[str, Any], schema: MergeSchema, path: str) -> None:
    """Merge and order every list that has a ``$setElementOrder``, and take both out of patch."""
    for directive in [key for key in patch if key.startswith(SET_ELEMENT_ORDER)]:
        order = _require_list(patch.pop(directive), path, SET_ELEMENT_ORDER)
        name = _directed(directive, SET_ELEMENT_ORDER, "setElementOrder", path)
        where = _join(path, name)
        if name in patch and patch[name] is None:
            continue
        changes = _require_list(patch.pop(name, []), where, SET_ELEMENT_ORDER)
        current = _require_list(original.get(name) or [], where, SET_ELEMENT_ORDER)
        meta = schema.lookup(name)
        if meta.undeclared_in:
            text = f'unable to find api field in struct {meta.undeclared_in} for the json field "{name}"'
            raise PatchError("the field is not declared", path=where, op=SET_ELEMENT_ORDER, text=text)
        if changes or current:
            original[name] = _merge_ordered(current, changes, order, meta, where)


def _merge_ordered(original: list[Any], patch: list[Any], order: list[Any], meta: FieldMerge, path: str) -> list[Any]:
    key = meta.patch_merge_key if _holds_maps((original, patch), path) else ""
    if key:
        _require_maps(order, bool(patch), path)
    order_of_patch = _identities(order, key, path)
    _check_order(patch, order, order_of_patch, key, path)
    before = _identities(original, key, path)
    merged = _merge_list(original, patch, meta, path)
    return _arrange(merged, order_of_patch, before, key, path)


def _require_maps(order: list[Any], compared: bool, path: str) -> None:
    """`compared`: with the items of a patch, which finds another word for what is none."""
    for index, item in enumerate(order):
        if not isinstance(item, dict):
            expected = f"expected a map[string]interface {{}}, but received a {_given_type(item)}"
            text = expected if compared else f"value for key {index} is not a map"
            raise PatchError("the order is not one of objects", path=path, op=SET_ELEMENT_ORDER, text=text)


def _check_order(patch: list[Any], order: list[Any], identities: list[Hashable], key: str, path: str) -> None:
    """The patch's items must be among the ordered ones, in the same relative order."""
    remaining = iter(identities)
    for item in _identities([item for item in patch if not _is_special(item)], key, path):
        if item not in remaining:
            lists = f"list:\n{go_value(patch)}\n doesn't match $setElementOrder list:\n{go_value(order)}\n"
            why = "the patch's items do not follow the order list"
            raise PatchError(why, path=path, op=SET_ELEMENT_ORDER, text=f"The order in patch {lists}")


def _merge_list(original: list[Any], patch: list[Any], meta: FieldMerge, path: str) -> list[Any]:
    if meta.strategy != "merge":
        return _clean_list(patch)
    if not _holds_maps((original, patch), path):
        return _merge_primitives(original, patch, path)
    if not meta.patch_merge_key:
        raise PatchError("the schema gives no merge key for a list of objects", path=path, op="merge")
    return _merge_map_list(original, patch, meta, path)


def _merge_primitives(original: list[Any], patch: list[Any], path: str) -> list[Any]:
    merged = list({_identity(item): item for item in reversed([*original, *patch])}.values())[::-1]
    return _arrange(merged, _identities(patch, "", path), _identities(original, "", path), "", path)


def _merge_map_list(original: list[Any], patch: list[Any], meta: FieldMerge, path: str) -> list[Any]:
    key = meta.patch_merge_key
    if any(item.get(DIRECTIVE) == "merge" for item in patch):
        text = "merging lists cannot yet be specified in the patch"
        raise PatchError("no item says that it is merged", path=path, op=DIRECTIVE, text=text)
    directives = [_pop_directive(item, path) for item in patch]
    ordinary = [item for item, name in zip(patch, directives, strict=True) if not name]
    if "replace" in directives:
        return _clean_list(ordinary)
    doomed = [item for item, name in zip(patch, directives, strict=True) if name == "delete"]
    for item in doomed:
        if key not in item:
            text = f"map: {go_value({**item, DIRECTIVE: 'delete'})} does not contain declared merge key: {key}"
            raise PatchError(f"a list item has no merge key {key!r}", path=path, op="merge", text=text)
    gone = set(_identities(doomed, key, path))
    kept = [item for item in original if _item_identity(item, key, path) not in gone]
    after, before = _identities(ordinary, key, path), _identities(kept, key, path)
    return _arrange(_merge_items(kept, ordinary, meta, path), after, before, key, path)


def _merge_items(original: list[Any], patch: list[Any], meta: FieldMerge, path: str) -> list[Any]:
    """Merge each patch item into the first item with its merge key, or append it."""
    key, merged = meta.patch_merge_key, list(original)
    positions: dict[Hashable, int] = {}
    for index, item in enumerate(merged):
        positions.setdefault(_item_identity(item, key, path), index)
    for item in patch:
        identity = _item_identity(item, key, path)
        index = positions.setdefault(identity, len(merged))
        where = _join(path, str(item[key]))
        if index == len(merged):
            merged.append({**_clean_map(item), key: item[key]})  # even where that is null
        else:
            merged[index] = _merge_map(merged[index], item, meta.child, where)
    return merged


def _arrange(items: list[Any], after: list[Hashable], before: list[Hashable], key: str, path: str) -> list[Any]:
    """Order items: those in ``after`` as it says, the others where they stood relative to them in ``before``."""
    wanted_at, before_at = _positions(after), _positions(before)
    tagged = [(_item_identity(item, key, path), item) for item in items]
    named = sorted((t for t in tagged if t[0] in wanted_at), key=lambda t: wanted_at[t[0]])
    others = sorted((t for t in tagged if t[0] not in wanted_at), key=lambda t: before_at.get(t[0], len(before)))
    result: list[Any] = []
    place = 0  # in `others`
    for identity, item in named:
        right = before_at.get(identity)
        while right is not None and place < len(others) and before_at.get(others[place][0], right) < right:
            result.append(others[place][1])
            place += 1
        result.append(item)
    return result + [item for _, item in others[place:]]


def _positions(identities: list[Hashable]) -> dict[Hashable, int]:
    """Where each identity first stands."""
    positions: dict[Hashable, int] = {}
    for index, identity in enumerate(identities):
        positions.setdefault(identity, index)
    return positions


def _identities(items: list[Any], key: str, path: str) -> list[Hashable]:
    return [_item_identity(item, key, path) for item in items]


def _item_identity(item: Any, key: str, path: str) -> Hashable:
    """What tells a list item from its siblings: its merge key's value, or the primitive itself."""
    if not key:
        return _identity(item)
    if not isinstance(item, dict) or key not in item:
        text = f"map: {go_value(item)} does not contain declared merge key: {key}" if isinstance(item, dict) else ""
        raise PatchError(f"a list item has no merge key {key!r}", path=path, op="merge", text=text)
    return _identity(item[key])


def _identity(value: Any) -> Hashable:
    if isinstance(value, bool | dict | list):
        return (type(value).__name__, json.dumps(value, sort_keys=True))
    return (type(value).__name__, value)  # to Go 80 and 80.0 are not the same


def _holds_maps(lists: Sequence[list[Any]], path: str) -> bool:
    """Whether lists are ones of objects; a mix, or lists of lists, cannot be merged (upstream: sliceElementType)."""
    items = [item for each in lists for item in each]
    if items and isinstance(items[0], list):
        text = "lists of lists are not supported"
        raise PatchError("a merged list holds no lists", path=path, op="merge", text=text)
    if len({_given_type(item) for item in items}) > 1:
        text = f"list element types are not identical: {go_value(list(lists))}"
        raise PatchError("a merged list must hold items of one type", path=path, op="merge", text=text)
    return bool(items) and isinstance(items[0], dict)


def _clean(value: Any) -> Any:
    """A patch value fit to stand alone, without nulls in objects; what instructs is left out as a whole (`_NOTHING`)."""
    if isinstance(value, dict):
        return _NOTHING if DIRECTIVE in value else _clean_map(value)
    return _clean_list(value) if isinstance(value, list) else value


def _clean_map(value: dict[str, Any]) -> dict[str, Any]:
    cleaned = {
        key: _clean(item)
        for key, item in value.items()
        if item is not None and key not in (DIRECTIVE, RETAIN_KEYS) and not _is_list_directive(key)
    }
    return {key: item for key, item in cleaned.items() if item is not _NOTHING}


def _clean_list(items: list[Any]) -> list[Any]:
    return [cleaned for item in items if (cleaned := _clean(item)) is not _NOTHING]


def _is_special(item: Any) -> bool:
    """Whether a list item only instructs: a deletion, or a directive with nothing else."""
    return isinstance(item, dict) and (item.get(DIRECTIVE) == "delete" or (DIRECTIVE in item and len(item) == 1))


def _is_list_directive(key: str) -> bool:
    return key.startswith((DELETE_FROM_PRIMITIVE_LIST, SET_ELEMENT_ORDER))


def _require_list(value: Any, path: str, op: str) -> list[Any]:
    if not isinstance(value, list):
        text = f"expected a []interface {{}}, but received a {_given_type(value)}"
        raise PatchError("a list is expected", path=path, op=op, text=text)
    return value


def _given_type(value: Any) -> str:
    return go_string(None) if value is None else go_type(value)


def _join(path: str, key: str) -> str:
    return f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
