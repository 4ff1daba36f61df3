"""What expressions of mutating policies make: Object{...}, Object.spec{...}, JSONPatch{...} (upstream: apiserver/pkg/cel/mutation).

They are not of the object's schema: any field may be set to anything, and whether it fits is told when it is laid over the object.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping
from typing import Any

from . import types
from .access import Made
from .convert import duration_text, timestamp_text
from .functions import Overload, traversal
from .library.declare import function
from .types import DYN, STRING, Type, object_type
from .values import Duration, Object, Optional, Steps, Timestamp, from_key, text_of, type_name

ROOT, PATCH = "Object", "JSONPatch"
DOUBLE_EXACT = 2**53  # JSON numbers are doubles to upstream: a larger integer is written as text


class Unfit(Exception):
    """A value that is no part of an object."""


class _AnyField(Mapping[str, Type]):
    def __getitem__(self, name: str) -> Type:
        return DYN

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


OBJECT = object_type(ROOT, _AnyField())
JSON_PATCH = object_type(PATCH, {"op": STRING, "path": STRING, "from": STRING, "value": DYN})
JSON_PATCHES = types.list_of(JSON_PATCH)


class Names(Mapping[str, Type]):
    """The named types of an environment, with those above; below Object there is a type of every name."""

    def __init__(self, others: Mapping[str, Type]) -> None:
        self._others = others

    def __getitem__(self, name: str) -> Type:
        if name == PATCH:
            return JSON_PATCH
        if name == ROOT or name.startswith(f"{ROOT}."):
            return object_type(name, _AnyField())
        return self._others[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self._others, ROOT, PATCH))

    def __len__(self) -> int:
        return len(self._others) + 2


def overloads() -> Iterator[Overload]:
    """jsonpatch.escapeKey: a text as one step of a JSON pointer."""
    yield function(
        "jsonpatch.escapeKey",
        "string_jsonpatch_escapeKey_string",
        (STRING,),
        STRING,
        lambda text: text.replace("~", "~0").replace("/", "~1"),
        traversal(0),
    )


def misnamed(value: Any) -> list[str]:
    """What is wrong with the names of objects within objects: Object.spec{...} may only be the field spec of Object{...}. CostExceeded."""
    return list(_misnamed(value, value.type_name, Steps())) if isinstance(value, Made) else []


def _misnamed(value: Any, expected: str, steps: Steps) -> Iterator[str]:
    steps.take()
    if isinstance(value, Made):
        if value.type_name != expected:
            why = "which matches field name path from root Object type"
            yield f'unexpected type name "{value.type_name}", expected "{expected}", {why}'
        for name in value.names():
            yield from _misnamed(value.get(name), f"{expected}.{name}", steps)
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _misnamed(item, expected, steps)


def plain(value: Any, exact: bool = True, steps: Steps | None = None) -> Any:
    """A value as JSON has it; without `exact` an integer that no double can hold is text.

    Unfit for a map with keys that are no strings, and for what JSON has not; CostExceeded, for what has the same part again and again.
    """
    steps = steps or Steps()
    steps.take()
    match value:
        case None | bool() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise Unfit(f"unsupported value: {text_of(value)}")
            return value
        case int():
            return int(value) if exact or abs(value) <= DOUBLE_EXACT else str(int(value))
        case bytes():
            return base64.b64encode(value).decode()
        case list():
            return [plain(item, exact, steps) for item in value]
        case dict():
            return {_key(from_key(key)): plain(item, exact, steps) for key, item in value.items()}
        case Timestamp():
            return timestamp_text(value)
        case Duration():
            return duration_text(value)
        case Optional():
            return plain(value.value, exact, steps) if value.present else None
        case Object():
            return {name: plain(value.get(name), exact, steps) for name in value.names()}
    raise Unfit(f"unsupported type: {type_name(value)}")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise Unfit(f'map key "{text_of(key)}" is of type {type_name(key)}, not string')
    return key
