"""The media types of patches (upstream: apimachinery/pkg/types/patch.go)."""

from __future__ import annotations

from typing import Literal

PatchKind = Literal["json", "merge", "strategic"]

APPLY_PATCH = "application/apply-patch+yaml"
PATCHES: dict[
    PatchKind, str
] = {  # by what this package calls them; apply is no change of an object by itself, and stands apart
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
