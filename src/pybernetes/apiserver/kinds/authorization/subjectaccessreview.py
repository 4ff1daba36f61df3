"""SubjectAccessReview of authorization.k8s.io/v1 (upstream: pkg/registry/authorization/subjectaccessreview)."""

from __future__ import annotations

from ...resource import Errors, Object, Resource
from .reviews import GROUP, metadata_errors, spec_errors, subject_errors


def validate(review: Object) -> Errors:
    """On creation."""
    return spec_errors(review) + subject_errors(review) + metadata_errors(review)


RESOURCE = Resource(
    group=GROUP,
    version="v1",
    name="subjectaccessreviews",
    kind="SubjectAccessReview",
    schema="io.k8s.api.authorization.v1.SubjectAccessReview",
    namespaced=False,
    verbs=("create",),
    validate=validate,
)
