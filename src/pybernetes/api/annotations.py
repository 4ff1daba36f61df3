"""How large annotations may be (upstream: apimachinery/pkg/api/validation/objectmeta.go)."""

from __future__ import annotations

from collections.abc import Mapping

SIZE_LIMIT = 256 * 1024  # bytes of all keys and values of an object together


def too_large(annotations: Mapping[str, str]) -> bool:
    """Whether they exceed the limit (ValidateAnnotationsSize)."""
    if sum(len(k) + len(v) for k, v in annotations.items()) * 4 <= SIZE_LIMIT:
        return False
    return sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > SIZE_LIMIT
