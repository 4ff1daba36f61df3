"""What the reviews check alike (upstream: pkg/apis/authorization/validation)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Errors, Object

GROUP = "authorization.k8s.io"
SPEC = Path("spec")


def spec_errors(review: Object) -> Errors:
    """Exactly one of the two kinds of attributes."""
    spec: Mapping[str, Any] = review.get("spec") or {}
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and other is not None:
        why = "cannot be specified in combination with resourceAttributes"
        return [field.invalid(SPEC / "nonResourceAttributes", other, why)]
    if resource is None and other is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [field.invalid(SPEC / "resourceAttributes", resource, why)]
    return []


def subject_errors(review: Object) -> Errors:
    """Somebody must be named."""
    spec: Mapping[str, Any] = review.get("spec") or {}
    if spec.get("user") or spec.get("groups"):
        return []
    return [field.invalid(SPEC / "user", spec.get("user", ""), "at least one of user or group must be specified")]


def metadata_errors(review: Object, *allowed: str) -> Errors:
    """A question has no name."""
    given = {k: v for k, v in (review.get("metadata") or {}).items() if k not in (*allowed, "managedFields") and v}
    return [field.invalid(Path("metadata"), given, "must be empty")] if given else []
