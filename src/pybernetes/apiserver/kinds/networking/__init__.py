"""The kinds of networking.k8s.io/v1."""

from __future__ import annotations

from ...resource import Resource
from . import ingress, ingressclass, ipaddress, networkpolicy, servicecidr

RESOURCES: tuple[Resource, ...] = (
    ingress.RESOURCE,
    ingressclass.RESOURCE,
    ipaddress.RESOURCE,
    networkpolicy.RESOURCE,
    servicecidr.RESOURCE,
)
