"""Sets of field paths, in the very form of FieldsV1.

A set is a dict from path element (`f:name`, `k:{"name":"c"}`, `v:"x"`, `i:0`) to what is below it. Below a member with nothing under it is {};
a member with something under it has the key "." besides. Sets are values: no function changes its arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

FieldSet = dict[str, Any]
Path = tuple[str, ...]

MEMBER: FieldSet = {}  # shared: never changed


def is_member(node: FieldSet) -> bool:
    """Whether the path that leads to the node is in the set itself."""
    return not node or "." in node


def union(a: FieldSet, b: FieldSet) -> FieldSet:
    """All paths of either."""
    if not a:
        return b
    if not b:
        return a
    out = dict(a)
    for key, node in b.items():
        own = out.get(key)
        out[key] = node if own is None else _union(own, node)
    return out


def _union(a: FieldSet, b: FieldSet) -> FieldSet:
    if not a or not b:
        more = a or b
        return more if not more or "." in more else {".": MEMBER, **more}
    return union(a, b)


def _tidy(node: FieldSet) -> FieldSet | None:
    """None for nothing, {} for a bare member."""
    if not node:
        return None
    return MEMBER if len(node) == 1 and "." in node else node


def difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """The paths of `a` that are not in `b`; what lies below a path of `b` stays."""
    if not a or not b:
        return a
    out = {}
    for key, node in a.items():
        other = b.get(key)
        rest = node if other is None else _difference(node, other)
        if rest is not None:
            out[key] = rest
    return out


def _difference(a: FieldSet, b: FieldSet) -> FieldSet | None:
    if not a:
        return None if is_member(b) else a
    if not b:
        return _tidy({key: node for key, node in a.items() if key != "."})
    return _tidy(difference(a, b))


def intersection(a: FieldSet, b: FieldSet) -> FieldSet:
    """The paths in both."""
    out = {}
    for key, node in a.items():
        other = b.get(key)
        if other is not None and (common := _intersection(node, other)) is not None:
            out[key] = common
    return out


def _intersection(a: FieldSet, b: FieldSet) -> FieldSet | None:
    if not a:
        return MEMBER if is_member(b) else None
    if not b:
        return MEMBER if "." in a else None
    return _tidy(intersection(a, b))


def paths(fields: FieldSet, above: Path = ()) -> Iterator[Path]:
    """Every path of the set: at each level first its members, then what is below (upstream: fieldpath/set.go, Iterate)."""
    children = [(key, node) for key, node in sorted(fields.items()) if key != "."]
    yield from ((*above, key) for key, node in children if is_member(node))
    for key, node in children:
        yield from paths(node, (*above, key))


def text(path: Path) -> str:
    """As messages show it: `.spec.containers[name="c"].image`."""
    return "".join(_element_text(element) for element in path)


def _element_text(element: str) -> str:
    kind, _, rest = element.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "k":
        keys = msgspec.json.decode(rest)
        return f"[{','.join(f'{name}={_value_text(keys[name])}' for name in sorted(keys))}]"
    return f"[={rest}]" if kind == "v" else f"[{rest}]"


def _value_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
