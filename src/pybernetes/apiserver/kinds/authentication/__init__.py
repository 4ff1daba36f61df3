"""The kinds of authentication.k8s.io/v1, none of which is stored: they are questions. endpoints/reviews.py answers them."""

from __future__ import annotations

from ...resource import Resource
from . import selfsubjectreview, tokenreview

RESOURCES: tuple[Resource, ...] = (selfsubjectreview.RESOURCE, tokenreview.RESOURCE)
