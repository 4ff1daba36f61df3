"""fieldPath of a rule: a JSON path of fields and keys below the rule's place (upstream: schema/cel/validation.go, ValidFieldPath)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CHARACTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}


def resolved(path: str, schema: Mapping[str, Any]) -> str | None:
    """The path as errors have it, without the first dot; None for one that leads nowhere in the schema."""
    at, shown = 0, ""
    below: Any = schema
    while at < len(path):
        match = _TOKEN.match(path, at)
        if match is None or not isinstance(below, Mapping):
            return None
        name = match[1] if match[1] is not None else _unescaped(match[2])
        if name is None:
            return None
        if below.get("properties") is not None:
            below = below["properties"].get(name)
            shown += f".{name}"
        elif isinstance(below.get("additionalProperties"), Mapping):
            below = below["additionalProperties"]
            shown += f"[{name}]"
        else:
            return None
        if below is None:
            return None
        at = match.end()
    return shown.removeprefix(".") or None


def _unescaped(text: str) -> str | None:
    if any(match[1] not in _CHARACTERS for match in _ESCAPE.finditer(text)):
        return None
    return _ESCAPE.sub(lambda match: _CHARACTERS[match[1]], text)
