"""Patches of RFC 6902 and RFC 7386 (upstream: ``github.com/evanphx/json-patch``); `strategicpatch` has upstream's own.

All functions are pure: neither the document nor the patch is changed, and the result shares nothing with either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .jsoncopy import json_copy

MAX_OPERATIONS = 10_000  # of one JSON patch (upstream's maxJSONPatchOperations); for callers to enforce
COPIED_BYTES = 3 << 20  # by all `copy` of one JSON patch (upstream's JSONPatchMaxCopyBytes)

_ARRAY_INDEX = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)  # as strconv.Atoi reads it


class PatchError(ValueError):
    """A patch that is malformed or does not fit the document."""

    def __init__(self, reason: str, *, path: str, op: str, text: str = "", malformed: bool = False) -> None:
        """`text`: how upstream's API server says it; `malformed`: and that the client is to blame (400, not 500)."""
        super().__init__(f"{op} {path!r}: {reason}")
        self.reason = reason
        self.path = path
        self.op = op
        self.text = text
        self.malformed = malformed


@dataclass(frozen=True)
class _Operation:
    """One JSON patch operation whose name and path are known to be well formed."""

    name: str
    path: str
    members: Mapping[str, Any]

    def fail(self, reason: str, path: str | None = None) -> PatchError:
        return PatchError(reason, path=self.path if path is None else path, op=self.name)

    def tokens(self, pointer: str | None = None) -> list[str]:
        return _parse_pointer(self, self.path if pointer is None else pointer)

    def value(self) -> Any:
        """None also where there is none: Go's nil."""
        return json_copy(self.members.get("value"))

    def source(self) -> str:
        source = self.members.get("from")
        if not isinstance(source, str):
            raise self.fail("member 'from' is missing or not a string")
        return source


def json_patch(document: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """Apply RFC 6902 operations in order; the first failure raises PatchError.

    As upstream's library (evanphx/json-patch v4) does it, where that differs from the RFC: `replace` makes a member that is not there,
    `copy` of one gives null, `test` finds null there; -1 is the last index; what stands before the first slash is not looked at, and of
    the whole document there are `replace` and `test` alone.
    """
    if isinstance(operations, str | bytes) or not isinstance(operations, Sequence):
        raise PatchError("a JSON patch must be a list of operations", path="", op="json-patch")
    result = json_copy(document)
    copied = 0
    for raw in operations:
        operation = _parse_operation(raw)
        if operation.name == "copy":  # copies of copies double each time
            copied += len(json.dumps(_copied(result, operation)))
            if copied > COPIED_BYTES:
                raise operation.fail(f"the copied values exceed {COPIED_BYTES} bytes")
        result = _HANDLERS[operation.name](result, operation)
    return result


def _parse_operation(raw: Mapping[str, Any]) -> _Operation:
    if not isinstance(raw, Mapping):
        raise PatchError("an operation must be an object", path="", op="json-patch")
    name, path = raw.get("op"), raw.get("path")
    if not isinstance(name, str) or name not in _HANDLERS:
        raise PatchError("unknown operation", path=str(path), op=str(name))
    if not isinstance(path, str):
        raise PatchError("member 'path' is missing or not a string", path="", op=name)
    return _Operation(name, path, raw)


def _parse_pointer(operation: _Operation, pointer: str) -> list[str]:
    """Split a JSON pointer (RFC 6901) into unescaped reference tokens."""
    _, *tokens = pointer.split("/")
    if not tokens:
        raise operation.fail("a JSON pointer must have a '/'", pointer)
    return [token.replace("~1", "/").replace("~0", "~") for token in tokens]


def _array_index(token: str, length: int, operation: _Operation) -> int:
    """Read an array index lower than length; a negative one counts from there."""
    if not _ARRAY_INDEX.fullmatch(token):
        raise operation.fail(f"{token!r} is not an array index")
    index = int(token)
    if not -length <= index < length:
        raise operation.fail(f"array index {token} is out of range")
    return index % length


def _key_in(container: Any, token: str, operation: _Operation) -> Any:
    """The existing dict key or list index that token names in container."""
    if isinstance(container, list):
        return _array_index(token, len(container), operation)
    if not isinstance(container, dict):
        raise operation.fail(f"cannot look up {token!r} in a scalar")
    if token not in container:
        raise operation.fail(f"member {token!r} does not exist")
    return token


def _resolve(document: Any, tokens: Iterable[str], operation: _Operation) -> Any:
    for token in tokens:
        document = document[_key_in(document, token, operation)]
    return document


def _insert(document: Any, value: Any, operation: _Operation) -> Any:
    tokens = operation.tokens()
    parent, last = _resolve(document, tokens[:-1], operation), tokens[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _array_index(last, len(parent) + 1, operation), value)
    else:
        raise operation.fail("the parent is a scalar")
    return document


def _take(document: Any, tokens: Sequence[str], operation: _Operation) -> Any:
    """Remove the value at tokens from document and return it."""
    parent = _resolve(document, tokens[:-1], operation)
    key = _key_in(parent, tokens[-1], operation)
    return parent.pop(key)


def _op_add(document: Any, operation: _Operation) -> Any:
    return _insert(document, operation.value(), operation)


def _op_remove(document: Any, operation: _Operation) -> Any:
    _take(document, operation.tokens(), operation)
    return document


def _op_replace(document: Any, operation: _Operation) -> Any:
    value = operation.value()
    if not operation.path:
        if not isinstance(value, dict | list):
            raise operation.fail("the whole document must be an object or a list")
        return value
    tokens = operation.tokens()
    parent, last = _resolve(document, tokens[:-1], operation), tokens[-1]
    parent[last if isinstance(parent, dict) else _key_in(parent, last, operation)] = value
    return document


def _op_copy(document: Any, operation: _Operation) -> Any:
    return _insert(document, json_copy(_copied(document, operation)), operation)


def _copied(document: Any, operation: _Operation) -> Any:
    return _value_at(document, operation.tokens(operation.source()), operation)


def _value_at(document: Any, tokens: Sequence[str], operation: _Operation) -> Any:
    """None for a member that is not there, of an object that is."""
    parent, last = _resolve(document, tokens[:-1], operation), tokens[-1]
    return parent.get(last) if isinstance(parent, dict) else parent[_key_in(parent, last, operation)]


def _op_move(document: Any, operation: _Operation) -> Any:
    source, target = operation.tokens(operation.source()), operation.tokens()
    if source == target:
        _resolve(document, source, operation)
        return document
    if target[: len(source)] == source:
        raise operation.fail("a value cannot be moved into itself")
    return _insert(document, _take(document, source, operation), operation)


def _op_test(document: Any, operation: _Operation) -> Any:
    value = document if not operation.path else _value_at(document, operation.tokens(), operation)
    if not _same_json(value, operation.value()):
        raise operation.fail("the value differs from the expected one")
    return document


def _same_json(left: Any, right: Any) -> bool:
    """JSON equality: by the text, so that 1.0 is not 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same_json(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same_json, left, right))
    return type(left) is type(right) and bool(left == right)


_HANDLERS: Mapping[str, Callable[[Any, _Operation], Any]] = {
    "add": _op_add,
    "remove": _op_remove,
    "replace": _op_replace,
    "move": _op_move,
    "copy": _op_copy,
    "test": _op_test,
}


# --- RFC 7386 -------------------------------------------------------------------------------------------------------


def merge_patch(document: Any, patch: Any) -> Any:
    """Apply an RFC 7386 merge patch: objects merge, null deletes, all else replaces (upstream: evanphx/json-patch)."""
    return _merge_into(json_copy(document), json_copy(patch))


def _merge_into(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result: dict[str, Any] = target if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge_into(result.get(key), value)
    return result
