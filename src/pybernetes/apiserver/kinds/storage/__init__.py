"""The kinds of storage.k8s.io/v1."""

from __future__ import annotations

from ...resource import Resource
from . import csidriver, csinode, csistoragecapacity, storageclass, volumeattachment, volumeattributesclass

RESOURCES: tuple[Resource, ...] = (
    csidriver.RESOURCE,
    csinode.RESOURCE,
    csistoragecapacity.RESOURCE,
    storageclass.RESOURCE,
    volumeattachment.RESOURCE,
    volumeattributesclass.RESOURCE,
)
