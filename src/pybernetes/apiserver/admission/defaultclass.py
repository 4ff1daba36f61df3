"""What DefaultStorageClass and DefaultIngressClass do alike: the one class marked as the default, the newest of several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def default_class(classes: Iterable[dict[str, Any]], annotations: Sequence[str]) -> dict[str, Any] | None:
    """None where no class is marked."""

    def marked(item: dict[str, Any]) -> bool:
        given = item["metadata"].get("annotations") or {}
        return any(given.get(name) == "true" for name in annotations)

    defaults = [item for item in classes if marked(item)]
    if not defaults:
        return None
    newest = max(item["metadata"].get("creationTimestamp", "") for item in defaults)
    same = [item for item in defaults if item["metadata"].get("creationTimestamp", "") == newest]
    return min(same, key=lambda item: str(item["metadata"]["name"]))
