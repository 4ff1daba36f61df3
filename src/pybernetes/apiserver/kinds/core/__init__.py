"""The kinds of v1: one module a kind, `RESOURCES` is the table."""

from __future__ import annotations

from ...resource import Resource
from . import (
    binding,
    componentstatus,
    configmap,
    endpoints,
    event,
    limitrange,
    namespace,
    node,
    persistentvolume,
    persistentvolumeclaim,
    pod,
    podtemplate,
    replicationcontroller,
    resourcequota,
    secret,
    service,
    serviceaccount,
)

RESOURCES: tuple[Resource, ...] = (
    binding.RESOURCE,
    componentstatus.RESOURCE,
    configmap.RESOURCE,
    endpoints.RESOURCE,
    event.RESOURCE,
    limitrange.RESOURCE,
    namespace.RESOURCE,
    node.RESOURCE,
    persistentvolumeclaim.RESOURCE,
    persistentvolume.RESOURCE,
    pod.RESOURCE,
    podtemplate.RESOURCE,
    replicationcontroller.RESOURCE,
    resourcequota.RESOURCE,
    secret.RESOURCE,
    serviceaccount.RESOURCE,
    service.RESOURCE,
)
