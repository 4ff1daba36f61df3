"""SelfSubjectAccessReview of authorization.k8s.io/v1 (upstream: pkg/registry/authorization/selfsubjectaccessreview)."""

from __future__ import annotations

from ...resource import Errors, Object, Resource
from .reviews import GROUP, metadata_errors, spec_errors


def validate(review: Object) -> Errors:
    """On creation."""
    return spec_errors(review) + metadata_errors(review)


RESOURCE = Resource(
    group=GROUP,
    version="v1",
    name="selfsubjectaccessreviews",
    kind="SelfSubjectAccessReview",
    schema="io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    namespaced=False,
    verbs=("create",),
    validate=validate,
)
