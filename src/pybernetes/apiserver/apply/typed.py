"""Objects beside their schema: which fields they set, how two differ, how one is laid over the other
(upstream: structured-merge-diff/typed)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pybernetes.api.field import quote
from pybernetes.api.govalues import go_syntax, go_type, go_value

from . import fieldset
from .fieldset import MEMBER, FieldSet
from .schema import DEDUCED, Node, Scalar

MISSING: Any = object()  # no value at all, which is not the same as null

_encode = msgspec.json.Encoder(order="sorted").encode


class TypedError(Exception):
    """An object does not fit its schema; the text begins with the path."""


def _granular(value: Any, node: Node) -> bool:
    """Whether the value's parts count one by one."""
    kind = node.kind
    if kind == "leaf":
        return False
    return isinstance(value, list if kind in ("list", "set") else dict)


def element(node: Node, item: Any) -> str:
    """The path element of a list's item, which the keys that it has make, or that have a default; TypedError for one without any.

    Upstream: typed/helpers.go listItemToPathElement.
    """
    if node.kind == "set":
        if isinstance(item, dict):
            raise TypedError("associative list without keys has an element that's a map type")
        if isinstance(item, list):
            raise TypedError("not supported: associative list with lists as elements")
        if item is None:
            raise TypedError("associative list without keys has an element that's an explicit null")
        return f"v:{_encode(item).decode()}"
    if not isinstance(item, dict):
        what = "a null element" if item is None else "non-map elements"
        raise TypedError(f"associative list with keys may not have {what}")
    values = {
        key: item[key] if key in item else node.defaults[key]
        for key in node.keys
        if key in item or key in node.defaults
    }
    if node.keys and not values:
        omitted = " ".join(quote(key) for key in node.keys)
        text = f"associative list with keys has an element that omits all key fields [{omitted}]"
        raise TypedError(f"{text} (and doesn't have default values for any key fields)")
    return f"k:{_encode(values).decode()}"


def _element_at(node: Node, index: int, item: Any) -> str:
    try:
        return element(node, item)
    except TypedError as error:
        raise TypedError(f": element {index}: {error}") from None


def _below(value: Any, node: Node) -> Iterable[tuple[str, Any, Node]]:
    """(path element, value, node) of each part of a granular value."""
    if isinstance(value, list):
        inner = node.element()
        return [(_element_at(node, index, item), item, inner) for index, item in enumerate(value)]
    if node.kind == "struct":
        return [(f"f:{key}", item, node.child(key)) for key, item in value.items()]
    inner = node.element()  # a map's parts are alike, and may be many
    return [(f"f:{key}", item, inner) for key, item in value.items()]


def field_set(value: Any, node: Node) -> FieldSet:
    """The fields that an applied object sets."""
    if not _granular(value, node):
        return {}
    out: FieldSet = {}
    for key, item, inner in _below(value, node):
        if inner.kind == "leaf":
            out[key] = MEMBER
            continue
        below = field_set(item, inner)
        own = isinstance(value, list) or item is None or item == {} or node.kind != "struct"
        if not below and (own or not _granular(item, inner)):
            out[key] = MEMBER
        elif below:
            out[key] = {".": MEMBER, **below} if own else below
    return out


def added(value: Any, node: Node) -> FieldSet:
    """What lies at and below a value that was not there before."""
    if not value or not _granular(value, node):
        return MEMBER
    out: FieldSet = {".": MEMBER}
    for key, item, inner in _below(value, node):
        out[key] = MEMBER if inner.kind == "leaf" or key in out else added(item, inner)
    return out


class Comparison:
    """How a second object differs from a first."""

    __slots__ = ("added", "modified", "removed")

    def __init__(self, added: FieldSet, modified: FieldSet, removed: FieldSet) -> None:
        self.added, self.modified, self.removed = added, modified, removed

    @property
    def changed(self) -> FieldSet:
        """Added or modified."""
        return fieldset.union(self.added, self.modified)


def compare(old: Any, new: Any, node: Node, without: Sequence[str] = ()) -> Comparison:
    """Of two whole objects; differences in the top-level fields `without` are left out."""
    out = Comparison({}, {}, {})
    for key in {**old, **new}:
        if key not in without:
            _compare(old.get(key, MISSING), new.get(key, MISSING), node.child(key), f"f:{key}", out)
    return out


def _compare(old: Any, new: Any, node: Node, key: str, out: Comparison) -> None:
    if old is MISSING:
        out.added[key] = added(new, node)
    elif new is MISSING:
        out.removed[key] = added(old, node)
    elif old != new:
        if node.kind == "leaf":
            out.modified[key] = MEMBER
            return
        parts = (not old or _granular(old, node)) and (not new or _granular(new, node)) and (old or new)
        if not parts:
            out.modified[key] = MEMBER
            return
        below = Comparison({}, {}, {})
        if isinstance(old or new, list):
            _compare_lists(old or [], new or [], node, below)
        else:
            before, after = old or {}, new or {}
            for name in {**before, **after}:
                _compare(before.get(name, MISSING), after.get(name, MISSING), node.child(name), f"f:{name}", below)
        for into, changed in (
            (out.added, below.added),
            (out.modified, below.modified),
            (out.removed, below.removed),
        ):
            if changed:
                into[key] = changed


def _indexed(items: list[Any], node: Node) -> dict[str, list[Any]]:
    positions: dict[str, list[Any]] = {}
    for item in items:
        positions.setdefault(element(node, item), []).append(item)
    return positions


def _compare_lists(old: list[Any], new: list[Any], node: Node, out: Comparison) -> None:
    before, after = _indexed(old, node), _indexed(new, node)
    inner = node.element()
    for key in {**before, **after}:
        was, now = before.get(key, []), after.get(key, [])
        if len(was) <= 1 and len(now) <= 1:
            _compare(was[0] if was else MISSING, now[0] if now else MISSING, inner, key, out)
        elif was != now:  # duplicates have no identity: they are one thing
            target = out.modified if was and now else out.added if now else out.removed
            target[key] = MEMBER


def merge(live: Any, config: Any, node: Node) -> Any:
    """The live value with the applied one laid over it; either may be MISSING."""
    if config is MISSING:
        return live
    if live is MISSING or not live or not _granular(live, node):
        return config  # null, too: a value that others set is in its way
    if config is None:
        return live
    if not _granular(config, node):
        return config
    if isinstance(live, list):
        return _merge_lists(live, config, node)
    out = {key: merge(value, config.get(key, MISSING), node.child(key)) for key, value in live.items()}
    return out | {key: value for key, value in config.items() if key not in live}


def _merge_lists(live: list[Any], config: list[Any], node: Node) -> list[Any]:
    """The applied order for what is applied, the rest where it stood (upstream: mergingWalker.visitListItems)."""
    left, right = [element(node, i) for i in live], [element(node, i) for i in config]
    ours: dict[str, Any] = {}
    for key, item in zip(left, live, strict=True):
        ours[key] = MISSING if key in ours else item
    theirs = dict(zip(right, config, strict=True))
    shared = [key for key in right if key in ours]
    inner = node.element()
    out: list[Any] = []
    merged: set[str] = set()

    def take(key: str) -> None:
        merged.add(key)
        out.append(merge(ours.get(key, MISSING), theirs[key], inner))
        if shared and shared[0] == key:
            del shared[0]

    i = j = 0
    while i < len(left) or j < len(right):
        if i < len(left) and j < len(right):
            if left[i] == right[j]:
                take(right[j])
                i, j = i + 1, j + 1
                continue
            if left[i] in theirs and shared and shared[0] != left[i]:
                i += 1  # shared, but its turn comes with the applied order
                continue
        if i < len(left):
            if left[i] not in theirs:
                out.append(live[i])
                i += 1
                continue
            if left[i] in merged:
                i += 1
        if j < len(right):
            take(right[j])
            j += 1
    return out


def remove(value: Any, fields: FieldSet, node: Node) -> Any:
    """The value without what the set names; parts that become empty are gone (MISSING)."""
    if not fields or not value or not _granular(value, node):
        return value
    out: list[tuple[str, Any]] = []
    for key, item, inner in _below(value, node):
        below = fields.get(key)
        if below is not None and fieldset.is_member(below):
            continue
        kept = item if below is None else remove(item, below, inner)
        if kept is not MISSING:
            out.append((key, kept))
    if not out:
        return MISSING
    return [item for _, item in out] if isinstance(value, list) else {key[2:]: item for key, item in out}


def with_named_fields(fields: FieldSet, node: Node) -> FieldSet:
    """The set with every declared field that leads to a path of it."""
    out: FieldSet = {}
    for key, below in fields.items():
        if not below:
            out[key] = below
            continue
        declared = key.startswith("f:") and node.kind == "struct" and node.field(key[2:]) is not None
        inner = node.child(key[2:]) if key.startswith("f:") else node.element()
        deeper = with_named_fields(below, inner) if below else below
        out[key] = {".": MEMBER, **deeper} if declared and deeper else deeper
    return out


def _not_scalar(value: Any, scalar: Scalar) -> str:
    """Why a value is none of the type, as Go prints what it is; "" if it is."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match scalar:
        case "numeric":
            return "" if number else f"expected numeric (int or float), got {go_type(value)}"
        case "string" if not isinstance(value, str):
            return f"expected string, got &value.valueUnstructured{{Value:{go_syntax(value)}}}"
        case "boolean":
            return "" if isinstance(value, bool) else f"expected boolean, got &{{{go_value(value)}}}"
        case "untyped":
            return f"expected any scalar, got &{{{go_value(value)}}}" if isinstance(value, dict | list) else ""
    return ""


def _parts(value: Any, node: Node) -> Iterable[tuple[str, Any, Node]]:
    """As `_below`, of what is one value too."""
    if node.kind == "items":
        inner = node.element()
        return [(f"i:{index}", item, inner) for index, item in enumerate(value)]
    return _below(value, node)


_EXPECTED = {"list": list, "set": list, "items": list, "map": dict, "struct": dict}


def check(value: Any, node: Node, path: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with an object that is applied: values of other types, fields that are not declared, keys that are missing
    or twice (upstream: typed/validate.go)."""
    node = node.whole or node
    expected = _EXPECTED.get(node.kind)
    if value is None:
        return []
    if node.scalar is not None:
        return [f"{fieldset.text(path)}: {why}"] if (why := _not_scalar(value, node.scalar)) else []
    if expected is not None and not isinstance(value, expected):
        name = "list" if expected is list else "map"
        return [f"{fieldset.text(path)}: expected {name}, got &{{{go_value(value)}}}"]
    if not value or expected is None:
        return []
    problems: list[str] = []
    try:
        parts = _parts(value, node)
    except TypedError as error:
        return [f"{fieldset.text(path)}{error}"]
    seen: set[str] = set()
    for key, item, inner in parts:
        if key in seen:
            problems.append(f"{fieldset.text(path)}: duplicate entries for key {fieldset.text((key,))}")
        seen.add(key)
        if inner is DEDUCED and node.kind == "struct" and node.field(key[2:]) is None:
            problems.append(f"{fieldset.text((*path, key))}: field not declared in schema")
        else:
            problems += check(item, inner, (*path, key))
    return problems
