"""LocalSubjectAccessReview of authorization.k8s.io/v1 (upstream: pkg/registry/authorization/localsubjectaccessreview)."""

from __future__ import annotations

from pybernetes.api import field

from ...resource import Errors, Object, Resource
from .reviews import GROUP, SPEC, metadata_errors, spec_errors, subject_errors


def validate(review: Object) -> Errors:
    """On creation: it stays in its namespace."""
    errors = spec_errors(review) + subject_errors(review) + metadata_errors(review, "namespace")
    spec = review.get("spec") or {}
    attributes, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    namespace = (review.get("metadata") or {}).get("namespace", "")
    if attributes is not None and attributes.get("namespace", "") != namespace:
        at = SPEC / "resourceAttributes" / "namespace"
        errors.append(field.invalid(at, attributes.get("namespace", ""), "must match metadata.namespace"))
    if other is not None:
        errors.append(field.invalid(SPEC / "nonResourceAttributes", other, "disallowed on this kind of request"))
    return errors


RESOURCE = Resource(
    group=GROUP,
    version="v1",
    name="localsubjectaccessreviews",
    kind="LocalSubjectAccessReview",
    schema="io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    verbs=("create",),
    validate=validate,
)
