"""The kinds of certificates.k8s.io/v1."""

from __future__ import annotations

from ...resource import Resource
from . import certificatesigningrequest, clustertrustbundle, podcertificaterequest

RESOURCES: tuple[Resource, ...] = (
    certificatesigningrequest.RESOURCE,
    clustertrustbundle.RESOURCE,
    podcertificaterequest.RESOURCE,
)
