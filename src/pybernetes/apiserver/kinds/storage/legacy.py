"""storage.k8s.io/v1beta1 and v1alpha1 (until 1.22, storage capacities until 1.27): the fields of v1 under another name."""

from __future__ import annotations

from ..versions import Family, family, older
from . import csidriver, csinode, csistoragecapacity, storageclass, volumeattachment

BETA, ALPHA = "storage.v1beta1", "storage.v1alpha1"

FAMILIES: tuple[Family, ...] = (
    *(
        family(hub, older(hub, BETA))
        for hub in (csidriver.RESOURCE, csinode.RESOURCE, csistoragecapacity.RESOURCE, storageclass.RESOURCE)
    ),
    family(
        volumeattachment.RESOURCE,
        older(volumeattachment.RESOURCE, BETA, status=False),
        older(volumeattachment.RESOURCE, ALPHA, status=False),
    ),
)
