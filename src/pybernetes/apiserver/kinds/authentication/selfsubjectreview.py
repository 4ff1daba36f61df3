"""SelfSubjectReview of authentication.k8s.io/v1 (upstream: pkg/registry/authentication/selfsubjectreview)."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="authentication.k8s.io",
    version="v1",
    name="selfsubjectreviews",
    kind="SelfSubjectReview",
    schema="io.k8s.api.authentication.v1.SelfSubjectReview",
    namespaced=False,
    verbs=("create",),
)
