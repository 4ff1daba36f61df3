"""TokenReview of authentication.k8s.io/v1 (upstream: pkg/registry/authentication/tokenreview)."""

from __future__ import annotations

from ...resource import Resource

RESOURCE = Resource(
    group="authentication.k8s.io",
    version="v1",
    name="tokenreviews",
    kind="TokenReview",
    schema="io.k8s.api.authentication.v1.TokenReview",
    namespaced=False,
    verbs=("create",),
)
