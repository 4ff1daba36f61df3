"""SelfSubjectRulesReview of authorization.k8s.io/v1 (upstream: pkg/registry/authorization/selfsubjectrulesreview)."""

from __future__ import annotations

from ...resource import Resource
from .reviews import GROUP

RESOURCE = Resource(
    group=GROUP,
    version="v1",
    name="selfsubjectrulesreviews",
    kind="SelfSubjectRulesReview",
    schema="io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    namespaced=False,
    verbs=("create",),
)
