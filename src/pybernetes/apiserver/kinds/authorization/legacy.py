"""authorization.k8s.io/v1beta1 (until 1.22): the groups of a subject are called `group`."""

from __future__ import annotations

from ...resource import Errors, Object, Resource
from ..versions import Family, older
from . import localsubjectaccessreview, selfsubjectaccessreview, selfsubjectrulesreview, subjectaccessreview

BETA = "authorization.v1beta1"


def from_beta(review: Object) -> Object:
    """As v1."""
    spec = dict(review.get("spec") or {})
    if (groups := spec.pop("group", None)) is not None:
        spec["groups"] = groups
    return {**review, "spec": spec}


def _of_subjects(hub: Resource) -> Resource:
    def validate(review: Object) -> Errors:
        return hub.validate(from_beta(review))

    return older(hub, BETA, validate=validate)


FAMILIES: tuple[Family, ...] = tuple(
    (hub, _of_subjects(hub) if "Self" not in hub.kind else older(hub, BETA))
    for hub in (
        localsubjectaccessreview.RESOURCE,
        selfsubjectaccessreview.RESOURCE,
        selfsubjectrulesreview.RESOURCE,
        subjectaccessreview.RESOURCE,
    )
)
