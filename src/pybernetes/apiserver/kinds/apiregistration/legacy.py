"""apiregistration.k8s.io/v1beta1 (until 1.22): the fields of v1 under another name."""

from __future__ import annotations

from dataclasses import replace

from ..versions import Family, family, older
from .apiservice import RESOURCE

BETA = replace(
    older(RESOURCE, "apiregistration.v1beta1"),
    schema="io.k8s.kube-aggregator.pkg.apis.apiregistration.v1beta1.APIService",
    _cache={},
)

FAMILIES: tuple[Family, ...] = (family(RESOURCE, BETA),)
