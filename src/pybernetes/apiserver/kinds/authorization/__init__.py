"""The kinds of authorization.k8s.io/v1, none of which is stored: they are questions. endpoints/reviews.py answers them."""

from __future__ import annotations

from ...resource import Resource
from . import localsubjectaccessreview, selfsubjectaccessreview, selfsubjectrulesreview, subjectaccessreview

RESOURCES: tuple[Resource, ...] = (
    localsubjectaccessreview.RESOURCE,
    selfsubjectaccessreview.RESOURCE,
    selfsubjectrulesreview.RESOURCE,
    subjectaccessreview.RESOURCE,
)
